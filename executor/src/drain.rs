//! Leaves a cluster without losing work.

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

/// How often the executor checks whether it can leave, and notifies the scheduler that it is leaving.
const PERIOD: Duration = Duration::from_millis(500);
/// How many times in a row it must be idle: a task may just be on its way.
const IDLE_ROUNDS: u32 = 3;
/// How many times in a row the scheduler may be unreachable. It owns the jobs: without it nobody waits for anything
/// here.
const MAX_UNANSWERED_ROUNDS: u32 = 4;

/// How draining an executor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing is needed here any more.
    Finished,
    /// The deadline passed while tasks were running.
    DeadlinePassed {
        /// The number of tasks.
        tasks: usize,
    },
    /// The scheduler is gone, and with it everyone waiting for tasks and files of this executor.
    NobodyWaits,
}

/// Tells the scheduler to send nothing more, then waits until no task runs and no unfinished job needs a file in
/// `folder`.
pub(crate) async fn drain(services: &Services, member: &Membership, folder: &Path, deadline: Duration) -> Drained {
    let end = Instant::now() + deadline;
    // From now on, the engine's heartbeats report this for every executor of this process.
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

/// Notifies the scheduler that the executor is leaving, and asks whether a job needs its files.
async fn round(
    services: &Services,
    member: &Membership,
    folder: &Path,
    client: &mut Option<SchedulerGrpcClient<Channel>>,
) -> Result<bool, BoxError> {
    let scheduler = match client {
        Some(scheduler) => scheduler,
        None => client.insert(services.connect(&member.scheduler.address).await?),
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
        // A successful job needs its files until its result has been read; a failed one needs none.
        match answer.status.and_then(|status| status.status) {
            Some(job_status::Status::Failed(_)) | None => {}
            Some(_) => return Ok(true),
        }
    }
    Ok(false)
}

/// The jobs with files in `folder`: each has a folder with its name.
fn jobs_with_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
