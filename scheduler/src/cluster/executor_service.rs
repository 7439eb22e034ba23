//! What executors may ask of the engine's scheduler: its own service, behind a look at the ids in each message.
//!
//! The engine's service also takes queries, cancels and requests to remove the files of a job from anyone who reaches the
//! port. Here all that is done in the process, or through the API, so nothing but the calls of executors is answered.

use async_trait::async_trait;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{
    CancelJobParams, CancelJobResult, CleanJobDataParams, CleanJobDataResult, CreateUpdateSessionParams,
    CreateUpdateSessionResult, ExecuteQueryParams, ExecuteQueryResult, ExecutorRegistration, ExecutorStoppedParams,
    ExecutorStoppedResult, GetJobMetricsParams, GetJobMetricsResult, GetJobStatusParams, GetJobStatusResult,
    HeartBeatParams, HeartBeatResult, PollWorkParams, PollWorkResult, RegisterExecutorParams, RegisterExecutorResult,
    RemoveSessionParams, RemoveSessionResult, UpdateTaskStatusParams, UpdateTaskStatusResult,
};
use tonic::{Code, Request, Response, Status};
use windlass_api as proto;
use windlass_base::error::Coded;
use windlass_base::ids::received::check_id;
use windlass_base::ids::{EngineJobId, Refused};

use super::EngineServer;
use crate::leadership::Leadership;

type Answer<T> = Result<Response<T>, Status>;

/// The service that executors join.
pub(crate) struct ExecutorService {
    inner: EngineServer,
    leadership: Leadership,
}

impl ExecutorService {
    /// The calls of executors to `inner`, as long as this process leads.
    pub(crate) fn new(inner: EngineServer, leadership: Leadership) -> Self {
        Self { inner, leadership }
    }

    /// Whether executors may join.
    fn check_leads(&self) -> Result<(), Status> {
        if self.leadership.leads() { Ok(()) } else { Err(standby()) }
    }
}

fn standby() -> Status {
    Status::unavailable("this scheduler does not lead")
}

fn refused(error: Refused) -> Status {
    tracing::warn!(code = %error.code(), %error, "a message to the engine's scheduler is refused");
    proto::status(Code::InvalidArgument, &error)
}

fn check_executor(id: &str) -> Result<(), Status> {
    check_id(id).map_err(|reason| refused(Refused::new("id of an executor", id, reason)))
}

fn check_registration(registration: Option<&ExecutorRegistration>) -> Result<(), Status> {
    registration.map_or(Ok(()), |registration| check_executor(&registration.id))
}

fn check_job(id: &str) -> Result<(), Status> {
    EngineJobId::parse(id).map(drop).map_err(refused)
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("this port is for executors; clients use the API of windlass"))
}

#[async_trait]
impl SchedulerGrpc for ExecutorService {
    type ExecuteQueryPushStream = <EngineServer as SchedulerGrpc>::ExecuteQueryPushStream;

    async fn register_executor(&self, request: Request<RegisterExecutorParams>) -> Answer<RegisterExecutorResult> {
        check_registration(request.get_ref().metadata.as_ref())?;
        self.check_leads()?;
        self.inner.register_executor(request).await
    }

    async fn heart_beat_from_executor(&self, request: Request<HeartBeatParams>) -> Answer<HeartBeatResult> {
        check_executor(&request.get_ref().executor_id)?;
        check_registration(request.get_ref().metadata.as_ref())?;
        // A leader that is not sure of it for a moment loses no executor for that.
        if !self.leadership.is_elected() {
            return Err(standby());
        }
        self.inner.heart_beat_from_executor(request).await
    }

    async fn update_task_status(&self, request: Request<UpdateTaskStatusParams>) -> Answer<UpdateTaskStatusResult> {
        check_executor(&request.get_ref().executor_id)?;
        for status in &request.get_ref().task_status {
            check_job(&status.job_id)?;
        }
        self.inner.update_task_status(request).await
    }

    async fn get_job_status(&self, request: Request<GetJobStatusParams>) -> Answer<GetJobStatusResult> {
        check_job(&request.get_ref().job_id)?;
        self.inner.get_job_status(request).await
    }

    async fn executor_stopped(&self, request: Request<ExecutorStoppedParams>) -> Answer<ExecutorStoppedResult> {
        check_executor(&request.get_ref().executor_id)?;
        self.inner.executor_stopped(request).await
    }

    /// Tasks are not fetched here but sent. Executors call this to find out who leads.
    async fn poll_work(&self, _: Request<PollWorkParams>) -> Answer<PollWorkResult> {
        self.check_leads()?;
        not_here()
    }

    async fn create_update_session(&self, _: Request<CreateUpdateSessionParams>) -> Answer<CreateUpdateSessionResult> {
        not_here()
    }

    async fn remove_session(&self, _: Request<RemoveSessionParams>) -> Answer<RemoveSessionResult> {
        not_here()
    }

    async fn execute_query_push(&self, _: Request<ExecuteQueryParams>) -> Answer<Self::ExecuteQueryPushStream> {
        not_here()
    }

    async fn execute_query(&self, _: Request<ExecuteQueryParams>) -> Answer<ExecuteQueryResult> {
        not_here()
    }

    async fn get_job_metrics(&self, _: Request<GetJobMetricsParams>) -> Answer<GetJobMetricsResult> {
        not_here()
    }

    async fn cancel_job(&self, _: Request<CancelJobParams>) -> Answer<CancelJobResult> {
        not_here()
    }

    async fn clean_job_data(&self, _: Request<CleanJobDataParams>) -> Answer<CleanJobDataResult> {
        not_here()
    }
}
