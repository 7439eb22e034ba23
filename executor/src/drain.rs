//! Leaving a cluster without costing it work.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ballista_core::serde::protobuf::executor_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{ExecutorStatus, GetJobStatusParams, HeartBeatParams, job_status};
use ballista_executor::executor_server::TERMINATING;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use crate::membership::Membership;
use crate::services::{BoxError, Services};

/// How often the executor looks whether it may leave, and tells the scheduler that it is about to.
const PERIOD: Duration = Duration::from_millis(500);
/// How often in a row it must have been free to leave: a task may just be on its way.
const IDLE_ROUNDS: u32 = 3;
/// How often in a row the scheduler may be out of reach. It holds the jobs: without it nobody waits for anything here.
const MAX_UNANSWERED_ROUNDS: u32 = 4;

/// How an executor's time after the request to stop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing here is waited for any more.
    Finished,
    /// The deadline came first; as many tasks were running.
    DeadlinePassed {
        /// The tasks.
        tasks: usize,
    },
    /// The scheduler is gone, and with it anyone who waits for tasks and files of this executor.
    NobodyWaits,
}

/// Has the scheduler send nothing more, then waits until no task runs and no unfinished job needs a file in `folder`.
pub(crate) async fn drain(services: &Services, member: &Membership, folder: &Path, deadline: Duration) -> Drained {
    let end = Instant::now() + deadline;
    // The engine's own heartbeats say so from now on, for every executor of this process.
    TERMINATING.store(true, Ordering::Release);
    let mut client = None;
    let (mut quiet, mut silent) = (0, 0);
    while Instant::now() < end {
        match round(services, member, folder, &mut client).await {
            Ok(needed) => {
                silent = 0;
                quiet = if needed || services.metrics.running() > 0 { 0 } else { quiet + 1 };
            }
            Err(error) => {
                tracing::debug!(%error, "the scheduler does not answer while this executor drains");
                client = None;
                silent += 1;
            }
        }
        if quiet == IDLE_ROUNDS {
            return Drained::Finished;
        }
        if silent == MAX_UNANSWERED_ROUNDS {
            return Drained::NobodyWaits;
        }
        sleep(PERIOD).await;
    }
    Drained::DeadlinePassed { tasks: services.metrics.running() }
}

/// Tells the scheduler that the executor is about to leave, and asks whether a job needs its files.
async fn round(
    services: &Services,
    member: &Membership,
    folder: &Path,
    client: &mut Option<SchedulerGrpcClient<Channel>>,
) -> Result<bool, BoxError> {
    let scheduler = match client {
        Some(scheduler) => scheduler,
        None => client.insert(services.connect().await?),
    };
    scheduler
        .heart_beat_from_executor(HeartBeatParams {
            executor_id: member.registration.id.clone(),
            metrics: Vec::new(),
            status: Some(ExecutorStatus { status: Some(Status::Terminating(String::new())) }),
            metadata: Some(member.registration.clone()),
        })
        .await?;
    for job_id in jobs_with_files(folder) {
        let answer = scheduler.get_job_status(GetJobStatusParams { job_id }).await?.into_inner();
        // A job that has ended well keeps its files until its result has been taken; a failed one needs none.
        match answer.status.and_then(|status| status.status) {
            Some(job_status::Status::Failed(_)) | None => {}
            Some(_) => return Ok(true),
        }
    }
    Ok(false)
}

/// The jobs that have files in `folder`: each has a folder of its name there.
fn jobs_with_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
