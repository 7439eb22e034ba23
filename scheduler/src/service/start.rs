//! How runs start on this scheduler: submitted by a client, or taken up from the scheduler before.

use std::sync::Arc;
use std::time::Duration;

use windlass_api::v1::SubmitRunRequest;
use windlass_base::error::{Coded, full_message};
use windlass_evidence::artifact::SavedPlan;

use super::api::run_id;
use super::error::ServiceError;
use super::live_run::{LiveRun, Start};
use super::project::Submitted;
use super::server::Shared;
use super::submission::{Submission, asked, unfinished};
use crate::run::{Begin, RunRequest};

/// How long the leases of a scheduler that is gone are waited for: longer than they last.
const PATIENCE: Duration = Duration::from_secs(75);

/// Starts a run, which is kept until it has ended. The same submission sent twice is one run.
pub(super) async fn start(
    shared: &Arc<Shared>,
    request: SubmitRunRequest,
    begin: Begin,
) -> Result<Arc<LiveRun>, ServiceError> {
    let run_id = run_id(&request.run_id)?;
    let project = Submitted::open(shared, request.project.clone()).await?;
    let scheduler = project.scheduler(&shared.scheduler).await?;
    let plan = project.plan_request(run_id.clone(), request.selection.clone())?;
    let approved = match request.approved_plan_json.as_str() {
        "" => None,
        text => Some(SavedPlan::read(text).map_err(ServiceError::from)?),
    };
    let mut submission = Submission::of(shared, &run_id)?;
    let is_taken_up = matches!(begin, Begin::WhereItEnded { patience } if !patience.is_zero());
    if matches!(begin, Begin::WhereItEnded { .. }) {
        shared.runs.forget_ended(&run_id);
    }
    if shared.runs.get(&run_id).is_none() {
        submission.keep(shared, &request).await?;
    }
    let run = RunRequest {
        plan,
        fail_fast: request.fail_fast,
        max_parallel: request.max_parallel.map(|most| most as usize),
        approved,
        asked: asked(&request),
        begin,
    };
    let (metrics, turns) = (Arc::clone(&shared.metrics), shared.turns.clone());
    let kept = submission.clone();
    let live = shared
        .runs
        .start(&run_id, || LiveRun::start(Start { scheduler, request: run, metrics, turns, submission: kept }));
    // One that was begun elsewhere is for the scheduler that leads next.
    if live.is_err() && !is_taken_up {
        submission.forget().await;
    }
    live
}

/// Takes up the runs that the scheduler before has not ended.
pub(super) async fn take_up(shared: &Arc<Shared>) {
    let found = match unfinished(shared).await {
        Ok(found) => found,
        Err(error) => return tracing::error!("runs cannot be taken up: {}", full_message(&error)),
    };
    for (submission, request) in found {
        let run = request.run_id.clone();
        tracing::info!(run, "taking up a run that the scheduler before has not ended");
        if let Err(error) = start(shared, request, Begin::WhereItEnded { patience: PATIENCE }).await {
            tracing::error!(run, "a run cannot be taken up: {}", full_message(&error));
            if !error.is_retryable() {
                submission.forget().await;
            }
        }
    }
}
