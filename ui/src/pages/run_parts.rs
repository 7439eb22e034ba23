//! The parts of the page of a run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{AttemptRecord, AttemptStatus, PinRecord, PlanRecord, StageRecord};
use windlass_evidence::time_spent::CriticalPath;

use crate::view::gantt::{AttemptTimes, StageTimes};
use crate::view::picture::{Node, Picture, picture};
use crate::view::stages::StageFacts;
use crate::view::state::State;
use crate::view::text::{NONE, bytes, count, counted, duration, or_none, stage_href, time};

/// The width of the longest bar of the table.
const BAR: u64 = 80;

/// A stage in the table.
pub(super) struct StageRow {
    pub(super) href: String,
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) state: String,
    pub(super) decision: String,
    pub(super) why: String,
    pub(super) took: String,
    pub(super) bar: u64,
    pub(super) is_critical: bool,
    pub(super) version: String,
    pub(super) rows: String,
    pub(super) changed: String,
    pub(super) bytes: String,
}

/// A failure, and what to do about it.
pub(super) struct FailureView {
    pub(super) href: String,
    pub(super) stage: String,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// A source at the state that the run read.
pub(super) struct PinRow {
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) version: String,
    pub(super) committed: String,
    pub(super) chosen_by: String,
    pub(super) files: String,
    pub(super) bytes: String,
    pub(super) location: String,
}

impl PinRow {
    /// A pin of the run.
    pub(super) fn of(pin: &PinRecord) -> Self {
        Self {
            source: pin.source.to_string(),
            kind: pin.kind.clone(),
            version: pin.version.map_or_else(|| "as listed".to_owned(), |version| version.to_string()),
            committed: or_none(pin.committed_at.map(time)),
            chosen_by: pin.chosen_by.clone(),
            files: count(pin.files),
            bytes: bytes(pin.bytes),
            location: pin.location.clone(),
        }
    }
}

impl FailureView {
    /// A failure of a stage.
    pub(super) fn of(run_id: &RunId, stage: &NodeName, failure: &Failure) -> Self {
        Self {
            href: stage_href(run_id, stage),
            stage: stage.to_string(),
            code: failure.code.clone(),
            message: failure.message.clone(),
            help: failure.help.clone(),
        }
    }
}

/// The failures of all stages.
pub(super) fn failures(run_id: &RunId, facts: &[StageFacts]) -> Vec<FailureView> {
    let failed = facts.iter().filter_map(|stage| Some((stage, stage.failure.as_ref()?)));
    failed.map(|(stage, failure)| FailureView::of(run_id, &stage.name, failure)).collect()
}

/// The stages as rows.
pub(super) fn rows(
    run_id: &RunId,
    facts: &[StageFacts],
    plan: Option<&PlanRecord>,
    path: &CriticalPath,
) -> Vec<StageRow> {
    let reasons = plan.into_iter().flat_map(|plan| &plan.stages).map(|stage| (&stage.stage, stage.reason.as_str()));
    let reasons: BTreeMap<&NodeName, &str> = reasons.collect();
    let longest = facts.iter().map(|stage| stage.duration_ms).max().unwrap_or_default().max(1);
    let row = |stage: &StageFacts| {
        let receipt = stage.receipt.as_ref();
        StageRow {
            href: stage_href(run_id, &stage.name),
            name: stage.name.to_string(),
            class: stage.state.class(),
            state: state_of(stage),
            decision: decision_of(stage),
            why: why(stage, reasons.get(&stage.name).copied()),
            took: if stage.duration_ms > 0 { duration(stage.duration_ms) } else { NONE.to_owned() },
            bar: stage.duration_ms.saturating_mul(BAR) / longest,
            is_critical: path.stages.contains(&stage.name),
            version: or_none(receipt.map(|receipt| receipt.version.to_string())),
            rows: or_none(receipt.map(|receipt| count(receipt.rows))),
            changed: or_none(receipt.and_then(|receipt| receipt.changed_rows).map(count)),
            bytes: or_none(receipt.map(|receipt| bytes(receipt.bytes))),
        }
    };
    facts.iter().map(row).collect()
}

/// Where a stage stands, and how far it has come.
pub(super) fn state_of(stage: &StageFacts) -> String {
    let mut text = stage.state.word().to_owned();
    if let (State::Running, Some((done, total))) = (stage.state, stage.tasks) {
        text.push_str(&format!(", {done} of {}", counted(total, "task")));
    }
    if stage.attempts > 1 {
        text.push_str(&format!(", {} attempts", stage.attempts));
    }
    text
}

/// What was decided, and the strategy.
pub(super) fn decision_of(stage: &StageFacts) -> String {
    let strategy = stage.strategy.map(|strategy| strategy.as_str());
    match (stage.decision.map(|decision| decision.as_str()), strategy) {
        (Some(decision), Some(strategy)) if decision != strategy => format!("{decision}, {strategy}"),
        (Some(word), _) | (None, Some(word)) => word.to_owned(),
        (None, None) => NONE.to_owned(),
    }
}

fn why(stage: &StageFacts, reason: Option<&str>) -> String {
    match (&stage.skipped_because_of, &stage.fallback) {
        (Some(cause), _) => format!("{cause} failed"),
        (None, Some(fallback)) => format!("all rows were computed: {fallback}"),
        (None, None) => reason.unwrap_or_default().to_owned(),
    }
}

/// The stages as a graph; those of the critical path are marked.
pub(super) fn dag(run_id: &RunId, facts: &[StageFacts], path: &CriticalPath) -> Option<Picture> {
    let node = |stage: &StageFacts| Node {
        name: stage.name.to_string(),
        caption: format!("{} · {}", decision_of(stage), stage.state.word()),
        class: stage.state.class(),
        is_marked: path.stages.contains(&stage.name),
        href: Some(stage_href(run_id, &stage.name)),
        reads: stage.depends_on.iter().map(ToString::to_string).collect(),
    };
    picture("The stages of the run and what they wait for", facts.iter().map(node).collect())
}

/// When each stage ran: by its own record, or while it runs by the log.
pub(super) fn times(
    run_id: &RunId,
    facts: &[StageFacts],
    records: &[StageRecord],
    now: DateTime<Utc>,
) -> Vec<StageTimes> {
    let records: BTreeMap<&NodeName, &StageRecord> = records.iter().map(|record| (&record.stage, record)).collect();
    let times = |stage: &StageFacts| {
        let record = records.get(&stage.name);
        let attempts = match record {
            Some(record) => record.attempts.iter().map(|attempt| attempt_of(attempt, now)).collect(),
            None => stage.started_at.map(|started| under_way(stage, started)).into_iter().collect(),
        };
        let tasks = record.map(|record| record.tasks.clone()).unwrap_or_default();
        StageTimes { name: stage.name.clone(), href: stage_href(run_id, &stage.name), attempts, tasks }
    };
    facts.iter().map(times).collect()
}

fn attempt_of(attempt: &AttemptRecord, now: DateTime<Utc>) -> AttemptTimes {
    let (class, word) = state_of_attempt(attempt.status);
    AttemptTimes {
        start: attempt.started_at.timestamp_millis(),
        staged: attempt.staged_at.map(|staged| staged.timestamp_millis()),
        end: attempt.ended_at.unwrap_or(now).max(attempt.started_at).timestamp_millis(),
        class,
        title: format!("attempt {}, {word}", attempt.number),
    }
}

fn under_way(stage: &StageFacts, started: DateTime<Utc>) -> AttemptTimes {
    let start = started.timestamp_millis();
    AttemptTimes {
        start,
        staged: None,
        end: start.saturating_add(i64::try_from(stage.duration_ms).unwrap_or_default()),
        class: stage.state.class(),
        title: stage.state.word().to_owned(),
    }
}

/// The class and the word of an attempt's end.
pub(super) fn state_of_attempt(status: AttemptStatus) -> (&'static str, &'static str) {
    match status {
        AttemptStatus::Running => ("running", "running"),
        AttemptStatus::Committed => ("full", "committed"),
        AttemptStatus::Failed => ("failed", "failed"),
        AttemptStatus::Cancelled => ("cancelled", "cancelled"),
        AttemptStatus::Interrupted => ("interrupted", "interrupted"),
    }
}
