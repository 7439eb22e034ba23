//! The service for shuffle files: the engine's own, with validation of requests.
//!
//! The engine builds paths from the ids in a request without validation. So ids that are more than a name, and paths
//! that are links, are refused here.

use std::path::{Path, PathBuf};

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, PollInfo, SchemaResult, Ticket,
};
use async_trait::async_trait;
use ballista_core::execution_plans::create_shuffle_path;
use ballista_core::execution_plans::range_shuffle::index_path;
use ballista_core::execution_plans::sort_shuffle::get_index_path;
use ballista_core::serde::decode_protobuf;
use ballista_core::serde::scheduler::{Action as FetchAction, ShuffleLayout};
use ballista_executor::flight_service::BallistaFlightService;
use tonic::{Code, Request, Response, Status, Streaming};
use windlass_api as proto;
use windlass_base::error::Coded;
use windlass_base::ids::{EngineJobId, Refused};

type Engine = BallistaFlightService;

/// Serves the files of jobs below one folder, and nothing else.
pub(crate) struct ShuffleService {
    folder: PathBuf,
    inner: Engine,
}

impl ShuffleService {
    /// Serves the files in `folder`, whose path has no links.
    pub(crate) fn new(folder: &str) -> Self {
        Self { folder: PathBuf::from(folder), inner: Engine::new(folder.to_owned()) }
    }

    /// Refuses requests for anything but files of a job.
    fn check(&self, request: &[u8]) -> Result<(), Status> {
        // Malformed requests are refused by the engine.
        let Ok(FetchAction::FetchPartition { job_id, stage_id, partition_id, file_id, layout, .. }) =
            decode_protobuf(request)
        else {
            return Ok(());
        };
        let job = EngineJobId::parse(job_id.as_str()).map_err(refused)?;
        let sorted = matches!(layout, ShuffleLayout::Sort);
        let Ok(file) = create_shuffle_path(&self.folder, &job_id, stage_id, partition_id, file_id, sorted) else {
            return Ok(());
        };
        match is_behind_link(&file) {
            true => Err(refused(Refused::new("id of a job", job.as_str(), "its files are links to somewhere else"))),
            false => Ok(()),
        }
    }
}

/// Whether a file, one of its folders or an index next to it is a link. The engine creates none.
///
/// Missing files are reported by the engine.
fn is_behind_link(file: &Path) -> bool {
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.file_type().is_symlink());
    let folder_is_elsewhere =
        file.parent().is_some_and(|folder| folder.canonicalize().is_ok_and(|real| real != folder));
    folder_is_elsewhere || [file, &get_index_path(file), &index_path(file)].into_iter().any(is_link)
}

fn refused(error: Refused) -> Status {
    tracing::warn!(code = %error.code(), %error, "a request for shuffle files is refused");
    proto::status(Code::InvalidArgument, &error)
}

#[async_trait]
impl FlightService for ShuffleService {
    type HandshakeStream = <Engine as FlightService>::HandshakeStream;
    type ListFlightsStream = <Engine as FlightService>::ListFlightsStream;
    type DoGetStream = <Engine as FlightService>::DoGetStream;
    type DoPutStream = <Engine as FlightService>::DoPutStream;
    type DoActionStream = <Engine as FlightService>::DoActionStream;
    type ListActionsStream = <Engine as FlightService>::ListActionsStream;
    type DoExchangeStream = <Engine as FlightService>::DoExchangeStream;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        self.check(&request.get_ref().ticket)?;
        self.inner.do_get(request).await
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        self.check(&request.get_ref().body)?;
        self.inner.do_action(request).await
    }

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.inner.handshake(request).await
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.inner.list_flights(request).await
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        self.inner.get_flight_info(request).await
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        self.inner.poll_flight_info(request).await
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        self.inner.get_schema(request).await
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        self.inner.do_put(request).await
    }

    async fn list_actions(&self, request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        self.inner.list_actions(request).await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.inner.do_exchange(request).await
    }
}
