//! How runs start on this scheduler: when a client submits one and a slot is free, when their turn in the queue comes, and
//! when they are taken up from the scheduler before.

use std::sync::Arc;
use std::time::Duration;

use windlass_api::v1::SubmitRunRequest;
use windlass_base::error::{Coded, full_message};
use windlass_base::ids::RunId;
use windlass_evidence::artifact::SavedPlan;

use super::api::run_id;
use super::error::ServiceError;
use super::live_run::{Accepted, Ending, LiveRun, Start};
use super::project::{Submitted, home_of_scope};
use super::queue::Priority;
use super::runs::Admitted;
use super::server::Shared;
use super::submission::{Submission, Unfinished, asked, unfinished};
use crate::run::{Begin, RunError, RunRequest};

/// How long the leases of a scheduler that is gone are waited for: longer than they last.
const PATIENCE: Duration = Duration::from_secs(75);
/// How long it takes until what is kept of a run is read again; it doubles up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Starts a run, or lets it wait for its turn. It is kept until it has ended. The same submission sent twice is one run.
pub(super) async fn submit(shared: &Arc<Shared>, request: SubmitRunRequest) -> Result<Arc<LiveRun>, ServiceError> {
    let run_id = run_id(&request.run_id)?;
    let begin = begin_of(&request)?;
    if request.resume {
        shared.runs.forget_ended(&run_id);
    }
    if let Some(known) = shared.runs.known(&run_id, !request.no_wait)? {
        return Ok(known);
    }
    // Also if it is to wait: what is wrong with it is told at once.
    let project = Submitted::open(shared, request.project.clone()).await?;
    let start = prepare(shared, &project, &request, begin, None).await?;
    let submission = Submission::of(shared, &run_id)?;
    submission.keep(shared, &project, &request).await?;
    let live = LiveRun::new(Accepted {
        run_id,
        pipeline: project.graph.name.clone(),
        home: project.home.clone(),
        priority: Priority::Asked(request.priority),
        target: target_of(&request),
        from_before: false,
    });
    match shared.runs.admit(live, !request.no_wait) {
        Ok(Admitted { run, starts: true }) => {
            drive(shared, Arc::clone(&run), start);
            Ok(run)
        }
        Ok(Admitted { run, starts: false }) => {
            if run.ended().is_some() {
                submission.forget().await;
            }
            Ok(run)
        }
        Err(error) => {
            submission.forget().await;
            Err(error)
        }
    }
}

/// Takes up the runs that the scheduler before has not ended: first those that had begun, then its queue.
pub(super) async fn take_up(shared: &Arc<Shared>) {
    let found = match unfinished(shared).await {
        Ok(found) => found,
        Err(error) => return tracing::error!("runs cannot be taken up: {}", full_message(&error)),
    };
    let mut runs = Vec::new();
    for kept in found {
        let run = kept.run.clone();
        tracing::info!(%run, begun = kept.begun, "taking up a run that the scheduler before has not ended");
        match accepted_before(shared, kept) {
            Ok(accepted) => runs.push(LiveRun::new(accepted)),
            Err(error) => {
                tracing::error!(%run, "a run cannot be taken up: {}", full_message(&error));
                forget(shared, &run).await;
            }
        }
    }
    for run in shared.runs.take_up(runs) {
        launch(shared, run);
    }
}

fn accepted_before(shared: &Shared, kept: Unfinished) -> Result<Accepted, ServiceError> {
    let Unfinished { run, request, scope, begun } = kept;
    let pipeline = scope.pipeline.clone().into();
    let home = home_of_scope(&shared.config, Some(scope))?;
    let priority = if begun { Priority::Begun } else { Priority::Asked(request.priority) };
    Ok(Accepted { run_id: run, pipeline, home, priority, target: target_of(&request), from_before: true })
}

/// Ends a run that was taken out of the queue.
pub(super) async fn cancel_queued(shared: &Arc<Shared>, run: Arc<LiveRun>) {
    let shared = Arc::clone(shared);
    // On a task of its own: that goes on if the client that cancels the run goes away.
    let ended = tokio::spawn(async move {
        let run_id = run.run_id.clone();
        forget(&shared, &run_id).await;
        run.end_with(Err(Arc::new(ServiceError::CancelledInQueue { run_id })));
    });
    let _ = ended.await;
}

/// Starts a run whose turn has come, with what is kept of it.
fn launch(shared: &Arc<Shared>, run: Arc<LiveRun>) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        match start_of(&shared, &run).await {
            Ok(start) => {
                if run.priority != Priority::Begun {
                    shared.metrics.run_waited(run.age());
                }
                drive(&shared, run, start);
            }
            Err(error) => {
                tracing::error!(run = %run.run_id, "a run cannot start: {}", full_message(&error));
                // A run that a scheduler leaves behind when it ends is one for the next scheduler.
                if !shared.runs.is_draining() || !matches!(error, ServiceError::CancelledInQueue { .. }) {
                    forget(&shared, &run.run_id).await;
                }
                end(&shared, &run, Err(Arc::new(error)));
            }
        }
    });
}

/// What a run starts with, from what is kept of it. While that cannot be read, it is tried again until the run is cancelled.
async fn start_of(shared: &Arc<Shared>, run: &Arc<LiveRun>) -> Result<Start, ServiceError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let (here, of) = (Arc::clone(shared), Arc::clone(run));
        // On a task of its own: a panic must not keep the run's slot for ever.
        let read = tokio::spawn(async move { from_kept(&here, &of).await }).await;
        match read.unwrap_or_else(|lost| Err(RunError::TaskLost(lost).into())) {
            Err(error) if error.is_retryable() => {
                tracing::warn!(run = %run.run_id, "a run cannot start yet: {}", full_message(&error));
            }
            outcome => return outcome,
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
            () = run.cancelled() => {
                return Err(ServiceError::CancelledInQueue { run_id: run.run_id.clone() });
            }
        }
    }
}

async fn from_kept(shared: &Arc<Shared>, run: &LiveRun) -> Result<Start, ServiceError> {
    let (request, contents) = Submission::of(shared, &run.run_id)?.read().await?;
    let project = Submitted::open_from(shared, request.project.clone(), contents).await?;
    let begin = begin_of(&request)?;
    let (begin, otherwise) = match run.from_before {
        false => (begin, None),
        true => (Begin::WhereItEnded { patience: PATIENCE }, Some(begin).filter(|_| !request.resume)),
    };
    prepare(shared, &project, &request, begin, otherwise).await
}

async fn prepare(
    shared: &Shared,
    project: &Submitted,
    request: &SubmitRunRequest,
    begin: Begin,
    otherwise: Option<Begin>,
) -> Result<Start, ServiceError> {
    let scheduler = project.scheduler(&shared.scheduler).await?;
    let plan = project.plan_request(run_id(&request.run_id)?, request.selection.clone())?;
    let approved = match request.approved_plan_json.as_str() {
        "" => None,
        text => Some(SavedPlan::read(text).map_err(ServiceError::from)?),
    };
    let run = RunRequest {
        plan,
        fail_fast: request.fail_fast,
        max_parallel: request.max_parallel.map(|most| most as usize),
        approved,
        asked: asked(request),
        begin,
        tells_lineage: true,
    };
    Ok(Start { scheduler, request: run, otherwise })
}

/// Drives a run that has a slot. The maintenance that follows it is none of its business: that is a turn of its own.
fn drive(shared: &Arc<Shared>, run: Arc<LiveRun>, start: Start) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let (scheduler, plan) = (start.scheduler.clone(), start.request.plan.clone());
        let ending = run.drive(start, &shared.metrics).await;
        let record = ending.as_ref().ok().cloned();
        if let Some(record) = &record {
            shared.metrics.run_finished(record.status.as_str());
        }
        // A run that was cut off after it had begun can be taken up.
        if record.is_some() || !run.has_begun() {
            forget(&shared, &run.run_id).await;
        }
        end(&shared, &run, ending);
        if let Some(record) = record {
            shared.turns.after_run(scheduler, plan, record);
        }
    });
}

/// A run has ended. Its slot is free before anyone hears of that: whoever does may submit the next one.
fn end(shared: &Arc<Shared>, run: &LiveRun, ending: Ending) {
    for next in shared.runs.free(&run.run_id) {
        launch(shared, next);
    }
    run.end_with(ending);
}

/// Forgets what was submitted for a run.
async fn forget(shared: &Shared, run: &RunId) {
    match Submission::of(shared, run) {
        Ok(submission) => submission.forget().await,
        Err(error) => tracing::warn!(%run, "the submission of a run cannot be forgotten: {}", full_message(&error)),
    }
}

/// What a request asks the run to begin with.
fn begin_of(request: &SubmitRunRequest) -> Result<Begin, ServiceError> {
    Ok(match (request.resume, request.retry_of.as_str()) {
        (true, _) => Begin::WhereItEnded { patience: Duration::ZERO },
        (false, "") => Begin::Anew,
        (false, earlier) => Begin::RetryOf(run_id(earlier)?),
    })
}

fn target_of(request: &SubmitRunRequest) -> String {
    request.project.as_ref().map(|project| project.target.clone()).unwrap_or_default()
}
