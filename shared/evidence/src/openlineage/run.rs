//! The events of a run as a whole.

use chrono::{DateTime, Utc};

use super::event::{EventType, Facets, Run, RunEvent};
use super::{RunFacts, facets};
use crate::artifact::{RunRecord, RunStatus};

/// The event with which a run begins.
pub fn run_begins(run: &RunFacts, at: DateTime<Utc>) -> RunEvent {
    event(run, EventType::Start, at, None)
}

/// The event of a run that another process has taken up.
pub fn run_goes_on(run: &RunFacts, at: DateTime<Utc>) -> RunEvent {
    event(run, EventType::Running, at, None)
}

/// The event of a run that has ended; none while it has not.
pub fn run_ended(run: &RunFacts, record: &RunRecord) -> Option<RunEvent> {
    let event_type = match record.status {
        RunStatus::Succeeded => EventType::Complete,
        RunStatus::Failed => EventType::Fail,
        RunStatus::Cancelled => EventType::Abort,
        RunStatus::Pending | RunStatus::Running | RunStatus::Interrupted => return None,
    };
    let failures = record.stages.iter().filter_map(|stage| Some((&stage.stage, stage.failure.as_ref()?)));
    let failures: Vec<String> =
        failures.map(|(stage, failure)| format!("stage `{stage}`: {}", facets::line_of(failure))).collect();
    let why = (event_type == EventType::Fail).then(|| failures.join("\n"));
    Some(event(run, event_type, record.ended_at.unwrap_or(record.started_at), why.as_deref()))
}

fn event(run: &RunFacts, event_type: EventType, at: DateTime<Utc>, why: Option<&str>) -> RunEvent {
    let (mut of_run, mut of_job) = (Facets::new(), Facets::new());
    facets::engine(&mut of_run);
    if let Some(why) = why {
        facets::failure(&mut of_run, why);
    }
    facets::job_type(&mut of_job, "DAG");
    run.event(event_type, at, Run { run_id: run.uuid(), facets: of_run }, run.job(of_job))
}
