//! Rows by Arrow Flight: the answer to a question, or what a run's operators measured.
//!
//! The ticket, or the command of a descriptor, is a `windlass.v1.DataRequest`. A batch is read from the executors when
//! the one before it has been sent, so a slow reader slows the reading down and fills no memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};
use windlass_api::v1;
use windlass_api::v1::DataRequest;
use windlass_api::v1::data_request::Kind;
use windlass_base::ids::{NodeName, RunId, TableVersion};
use windlass_evidence::bundle::{BundleReader, metrics_schema};

use super::api::run_id;
use super::bundle::bundle_of;
use super::error::{ServiceError, bad_request};
use super::project::{Submitted, home_of_scope};
use super::server::Shared;
use crate::execute::EngineError;
use crate::query::{QueryError, QueryRequest, query};

type Rows = BoxStream<'static, Result<RecordBatch, FlightError>>;
type Data<T> = BoxStream<'static, Result<T, Status>>;

/// The Flight half of the API.
pub(super) struct DataService {
    shared: Arc<Shared>,
}

impl DataService {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn rows(&self, request: &[u8]) -> Result<(SchemaRef, Rows), ServiceError> {
        let request = DataRequest::decode(request).map_err(|error| bad_request(error.to_string()))?;
        match request.kind {
            Some(Kind::Query(request)) => self.query(request).await,
            Some(Kind::RunMetrics(request)) => self.run_metrics(request).await,
            None => Err(bad_request("it asks for no data")),
        }
    }

    async fn query(&self, request: v1::Query) -> Result<(SchemaRef, Rows), ServiceError> {
        self.shared.check_leads()?;
        let project = Submitted::open(&self.shared, request.project).await?;
        let scheduler = project.scheduler(&self.shared.scheduler).await?;
        let mut versions = BTreeMap::new();
        for (name, version) in request.versions {
            versions.insert(project.node(&name)?, TableVersion(version));
        }
        let plan = project.plan_request(RunId::new("query"), None)?;
        let question = QueryRequest {
            graph: plan.graph,
            base: plan.base,
            home: plan.home,
            params: plan.params,
            sql: request.sql,
            limit: usize::try_from(request.limit).ok().filter(|limit| *limit > 0),
            versions,
        };
        let rows = query(&scheduler, question).await?;
        Ok((rows.schema(), rows.stream().map_err(lost_rows).boxed()))
    }

    async fn run_metrics(&self, request: v1::RunMetrics) -> Result<(SchemaRef, Rows), ServiceError> {
        let run_id = run_id(&request.run_id)?;
        let home = home_of_scope(&self.shared.config, request.scope)?;
        let reader = BundleReader::new(Arc::new(bundle_of(&self.shared, &home)?));
        let mut stages: Vec<NodeName> = request.stages.into_iter().map(NodeName::from).collect();
        if stages.is_empty() {
            let record = reader.run(&run_id, &std::collections::BTreeSet::new()).await?;
            stages = record.stages.into_iter().map(|stage| stage.stage).collect();
        }
        let batches = stream::iter(stages).then(move |stage| {
            let (reader, run_id) = (reader.clone(), run_id.clone());
            async move { reader.metrics(&run_id, &stage).await }
        });
        let rows = batches
            .map_err(|error| FlightError::Tonic(Box::new(Status::from(ServiceError::from(error)))))
            .map_ok(|batches| stream::iter(batches.unwrap_or_default().into_iter().map(Ok)))
            .try_flatten();
        Ok((metrics_schema(), rows.boxed()))
    }
}

/// Rows that were lost on the way, with our code.
fn lost_rows(error: DataFusionError) -> FlightError {
    let error = QueryError::Engine(EngineError::Fetch(error.find_root().message().into_owned()));
    FlightError::Tonic(Box::new(Status::from(ServiceError::from(error))))
}

fn unsupported<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("ask with GetFlightInfo or DoGet and a windlass.v1.DataRequest"))
}

#[async_trait]
impl FlightService for DataService {
    type HandshakeStream = Data<HandshakeResponse>;
    type ListFlightsStream = Data<FlightInfo>;
    type DoGetStream = Data<FlightData>;
    type DoPutStream = Data<PutResult>;
    type DoActionStream = Data<arrow_flight::Result>;
    type ListActionsStream = Data<ActionType>;
    type DoExchangeStream = Data<FlightData>;

    /// Where the rows are to be had: here, for a ticket that is the same request.
    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let descriptor = request.into_inner();
        let ticket = Ticket { ticket: descriptor.cmd.clone() };
        let endpoint = FlightEndpoint::new().with_ticket(ticket);
        Ok(Response::new(FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint)))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let (schema, rows) = self.rows(&request.into_inner().ticket).await?;
        let data = FlightDataEncoderBuilder::new().with_schema(schema).build(rows);
        Ok(Response::new(data.map_err(Status::from).boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        unsupported()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        unsupported()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        unsupported()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        unsupported()
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        unsupported()
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        unsupported()
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        unsupported()
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        unsupported()
    }
}
