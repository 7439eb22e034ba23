//! Tracks the jobs whose tasks run here, and ends tasks that nobody waits for.
//!
//! A cancel may overtake the task that it is meant for, or be lost: the engine sends the two independently and ignores
//! a failed cancel. Such a task would run to its end for nobody. So while tasks run, the scheduler is asked for the
//! state of their jobs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{GetJobStatusParams, job_status};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use windlass_base::ids::EngineJobId;

/// How often the scheduler is asked. Shorter tasks are never checked.
const PERIOD: Duration = Duration::from_secs(1);

/// The jobs whose tasks run on one member of a cluster. Clones share the jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningJobs {
    ended: CancellationToken,
    jobs: Arc<Mutex<HashMap<EngineJobId, Job>>>,
}

#[derive(Debug)]
struct Job {
    tasks: usize,
    /// Whether it was running when the scheduler was last asked.
    seen: bool,
    stop: CancellationToken,
}

impl RunningJobs {
    /// Counts a task of `job` until the value is dropped.
    pub(crate) fn start(&self, job: &EngineJobId) -> JobTask {
        let mut jobs = self.jobs.lock();
        let entry =
            jobs.entry(job.clone()).or_insert_with(|| Job { tasks: 0, seen: false, stop: self.ended.child_token() });
        entry.tasks += 1;
        JobTask { running: self.clone(), job: job.clone(), stop: entry.stop.clone() }
    }

    /// Ends all tasks, including those that arrive later.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    /// Ends the tasks of jobs that `scheduler` no longer runs, and removes the files of failed jobs in `folder`, until
    /// all tasks have ended.
    pub(crate) async fn watch(self, mut scheduler: SchedulerGrpcClient<Channel>, folder: PathBuf) {
        let mut period = interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watching = async {
            let mut stopped = Vec::new();
            loop {
                period.tick().await;
                for (job, stop) in self.known_since_last_round() {
                    let fate = job_state(&mut scheduler, &job).await;
                    if fate == JobState::Runs {
                        continue;
                    }
                    tracing::info!(%job, "ending tasks whose job the scheduler no longer runs");
                    stop.cancel();
                    if fate == JobState::Failed {
                        stopped.push(job);
                    }
                }
                // The scheduler had the job's files removed before its last tasks wrote more.
                for job in stopped.extract_if(.., |job| !self.has(job)) {
                    if let Err(error) = tokio::fs::remove_dir_all(folder.join(job.as_str())).await {
                        tracing::debug!(%job, %error, "the job left no files, or they cannot be removed");
                    }
                }
            }
        };
        tokio::select! {
            () = watching => {}
            () = self.ended.cancelled() => {}
        }
    }

    fn has(&self, job: &EngineJobId) -> bool {
        self.jobs.lock().contains_key(job)
    }

    /// The jobs that were running when this was last called.
    fn known_since_last_round(&self) -> Vec<(EngineJobId, CancellationToken)> {
        let mut jobs = self.jobs.lock();
        let seen = jobs
            .iter_mut()
            .filter_map(|(id, job)| std::mem::replace(&mut job.seen, true).then(|| (id.clone(), job.stop.clone())));
        seen.filter(|(_, stop)| !stop.is_cancelled()).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobState {
    Runs,
    /// Its files may still be read.
    Succeeded,
    /// Its files will not be read any more.
    Failed,
}

/// The state of `job`, if the scheduler answers.
async fn job_state(scheduler: &mut SchedulerGrpcClient<Channel>, job: &EngineJobId) -> JobState {
    use job_status::Status::{Failed, Successful};
    let asked = scheduler.get_job_status(GetJobStatusParams { job_id: job.to_string() }).await;
    let Ok(answer) = asked else { return JobState::Runs };
    match answer.into_inner().status.and_then(|status| status.status) {
        Some(Successful(_)) => JobState::Succeeded,
        Some(Failed(_)) | None => JobState::Failed,
        Some(_) => JobState::Runs,
    }
}

/// A running task.
#[derive(Debug)]
pub(crate) struct JobTask {
    running: RunningJobs,
    job: EngineJobId,
    stop: CancellationToken,
}

impl JobTask {
    /// Waits until the task has to end before it has finished.
    pub(crate) async fn to_end(&self) {
        self.stop.cancelled().await;
    }
}

impl Drop for JobTask {
    fn drop(&mut self) {
        let mut jobs = self.running.jobs.lock();
        if let Some(job) = jobs.get_mut(&self.job) {
            job.tasks -= 1;
            if job.tasks == 0 {
                jobs.remove(&self.job);
            }
        }
    }
}
