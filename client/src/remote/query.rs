//! Queries on a cluster, with results by Arrow Flight.

use arrow_flight::Ticket;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder, FlightRecordBatchStream};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use windlass_api::API_MESSAGE_BYTES;
use windlass_api::v1::data_request::Kind;
use windlass_api::v1::{DataRequest, Query};
use windlass_project::spec::{ProjectFiles, question_files};

use super::connection::{Connection, Retry};
use crate::error::ClientError;
use crate::query_result::QueryResult;

/// The largest message with rows: a batch with large rows is sent as a whole.
const ROWS_MESSAGE_BYTES: usize = 16 * API_MESSAGE_BYTES;

/// Runs a query; the rows are fetched as they are read.
pub(super) async fn rows(
    connection: &Connection,
    files: &ProjectFiles,
    question: Query,
) -> Result<QueryResult, ClientError> {
    // Problems may point into the query.
    let files = &question_files(&question.sql).with(files);
    let ticket = Ticket { ticket: DataRequest { kind: Some(Kind::Query(question)) }.encode_to_vec().into() };
    let mut retry = Retry::new(connection.reconnect_timeout());
    let data = loop {
        let mut client = FlightServiceClient::new(connection.channel()).max_decoding_message_size(ROWS_MESSAGE_BYTES);
        match client.do_get(ticket.clone()).await {
            Ok(answer) => break answer.into_inner(),
            // Nothing has been read yet, so the query can be repeated.
            Err(status) if connection.recovers(&status, &mut retry).await => {}
            Err(status) => return Err(connection.to_client_error(status, files)),
        }
    };
    let mut decoder = FlightDataDecoder::new(data.map_err(|status| FlightError::Tonic(Box::new(status))));
    let schema = match decoder.next().await.transpose().map_err(|error| flight_error(connection, files, error))? {
        Some(first) => match first.payload {
            DecodedPayload::Schema(schema) => schema,
            _ => return Err(unexpected(connection)),
        },
        None => return Err(unexpected(connection)),
    };
    let (connection, files) = (connection.clone(), files.clone());
    let batches = FlightRecordBatchStream::new(decoder)
        .map_err(move |error| DataFusionError::External(Box::new(flight_error(&connection, &files, error))));
    Ok(QueryResult::new(Box::pin(RecordBatchStreamAdapter::new(schema, batches))))
}

fn flight_error(connection: &Connection, files: &ProjectFiles, error: FlightError) -> ClientError {
    match error {
        FlightError::Tonic(status) => connection.to_client_error(*status, files),
        other => connection.unreadable_answer("the rows", &other),
    }
}

fn unexpected(connection: &Connection) -> ClientError {
    connection
        .unreadable_answer("the answer", &FlightError::ProtocolError("it does not begin with a schema".to_owned()))
}
