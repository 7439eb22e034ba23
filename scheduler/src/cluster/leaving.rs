//! Executors that are about to leave: they wait until nobody needs their files, and have to be told.

use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::serde::protobuf::executor_grpc_client::ExecutorGrpcClient;
use ballista_core::serde::protobuf::{RemoveJobDataParams, executor_status};
use ballista_core::utils::{GrpcClientConfig, create_grpc_client_connection};

use super::EngineServer;

/// Removes what a job has written on executors that are leaving. The engine tells only those that stay.
pub(crate) async fn remove_from_leaving(server: Arc<EngineServer>, job: JobId) {
    let manager = &server.state.executor_manager;
    let Ok(executors) = manager.get_executors_state().await else { return };
    for (executor, ..) in executors {
        let status = manager.get_executor_hearbeat(&executor.id).and_then(|heartbeat| heartbeat.status?.status);
        if !matches!(status, Some(executor_status::Status::Terminating(_))) {
            continue;
        }
        let url = format!("http://{}:{}", executor.host, executor.grpc_port);
        let params = RemoveJobDataParams { job_id: job.as_str().to_owned(), remove_stage_ids: Vec::new() };
        let removed = match create_grpc_client_connection(url, &GrpcClientConfig::default()).await {
            Ok(channel) => ExecutorGrpcClient::new(channel).remove_job_data(params).await.map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = removed {
            tracing::debug!(executor = %executor.id, error, "an executor that leaves keeps the files of a job");
        }
    }
}
