//! The events of a stage.

use chrono::{DateTime, Utc};
use serde_json::json;
use windlass_base::ids::NodeName;
use windlass_project::tag::Tags;

use super::dataset::{InputFacts, column_lineage, dataset};
use super::event::{Dataset, EventType, Facets, Job, Run, RunEvent};
use super::{RunFacts, facets};
use crate::artifact::{Registration, StageRecord, StageStatus};

/// What a stage is, reads and writes.
#[derive(Debug, Clone)]
pub struct StageFacts<'f> {
    /// The stage.
    pub stage: &'f NodeName,
    /// Its query, if it is one in SQL.
    pub sql: Option<&'f str>,
    /// What the project says of it.
    pub description: Option<&'f str>,
    /// Its tags.
    pub tags: &'f Tags,
    /// What it reads.
    pub inputs: Vec<InputFacts<'f>>,
    /// Where its table is.
    pub location: &'f str,
    /// Its table as the stages behind it read it, once it is committed.
    pub output: Option<&'f Registration>,
}

/// The event with which a stage begins.
pub fn stage_begins(run: &RunFacts, stage: &StageFacts<'_>, at: DateTime<Utc>) -> RunEvent {
    let output = dataset(run, stage.stage, Some(stage.location), None, None);
    event(run, stage, EventType::Start, at, None, output)
}

/// The event of a stage that has ended as `record` says; none if it has not ended, or never began.
pub fn stage_ended(run: &RunFacts, stage: &StageFacts<'_>, record: &StageRecord) -> Option<RunEvent> {
    let event_type = match record.status {
        StageStatus::Committed => EventType::Complete,
        StageStatus::Failed => EventType::Fail,
        StageStatus::Cancelled => EventType::Abort,
        StageStatus::Pending | StageStatus::Running | StageStatus::Skipped => return None,
    };
    let last = record.attempts.last()?;
    let why = match event_type {
        EventType::Fail => record.attempts.iter().rev().find_map(|attempt| attempt.failure.as_ref()),
        _ => None,
    };
    let receipt = record.receipt.as_ref();
    let columns = stage.output.filter(|_| receipt.is_some()).map(|output| output.columns.as_slice());
    let version = receipt.map(|receipt| receipt.version);
    let mut output = dataset(run, stage.stage, Some(stage.location), version, columns);
    if let Some(columns) = record.lineage.as_ref().and_then(|lineage| lineage.columns.as_ref()) {
        column_lineage(&mut output.facets, run, columns, &stage.inputs);
    }
    facets::assertions(&mut output.facets, &record.expectations);
    if let Some(receipt) = receipt {
        facets::output_statistics(&mut output.output_facets, receipt);
    }
    let why = why.map(facets::line_of);
    Some(event(run, stage, event_type, last.ended_at.unwrap_or(last.started_at), why.as_deref(), output))
}

fn event(
    run: &RunFacts,
    stage: &StageFacts<'_>,
    event_type: EventType,
    at: DateTime<Utc>,
    why: Option<&str>,
    output: Dataset,
) -> RunEvent {
    let (mut of_run, mut of_job) = (Facets::new(), Facets::new());
    let parent = json!({
        "run": { "runId": run.uuid() },
        "job": { "namespace": run.namespace, "name": run.pipeline },
    });
    facets::add(&mut of_run, "parent", json!({ "run": parent["run"], "job": parent["job"], "root": parent }));
    facets::engine(&mut of_run);
    if let Some(why) = why {
        facets::failure(&mut of_run, why);
    }
    facets::job_type(&mut of_job, "QUERY");
    facets::tags(&mut of_job, stage.tags);
    if let Some(sql) = stage.sql {
        facets::add(&mut of_job, "sql", json!({ "query": sql, "dialect": "datafusion" }));
    }
    if let Some(description) = stage.description {
        facets::add(&mut of_job, "documentation", json!({ "description": description }));
    }
    let job = Job { namespace: run.namespace.clone(), name: run.name_of(stage.stage), facets: of_job };
    let of_stage = Run { run_id: run.uuid_of(stage.stage), facets: of_run };
    let mut event = run.event(event_type, at, of_stage, job);
    event.inputs = stage.inputs.iter().map(|input| input.dataset(run)).collect();
    event.outputs = vec![output];
    event
}
