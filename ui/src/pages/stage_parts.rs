//! The parts of the page of a stage.

use chrono::{DateTime, Utc};
use windlass_evidence::artifact::{
    ExpectationRecord, LineageInput, PinsRecord, SourceChange, StageDecision, StageLineage, StageRecord,
};

use super::run_parts::state_of_attempt;
use crate::project_texts::StageText;
use crate::view::text::{NONE, bytes, count, duration, elapsed_ms, or_none, or_unknown, time};

/// The query of a stage.
pub(super) struct Query {
    pub(super) file: String,
    pub(super) sql: String,
    /// Whether it is the query that the run had.
    pub(super) is_exact: bool,
}

impl Query {
    /// What the project says; nothing of a stage that is a plan.
    pub(super) fn of(text: &StageText, is_exact: bool) -> Option<Self> {
        text.sql.as_ref().map(|sql| Self { file: text.file.clone(), sql: sql.clone(), is_exact })
    }
}

/// An expectation, and how rows met it.
pub(super) struct ExpectationRow {
    pub(super) name: String,
    pub(super) rule: String,
    pub(super) severity: &'static str,
    pub(super) class: &'static str,
    pub(super) result: &'static str,
    pub(super) checked: String,
    pub(super) failed: String,
    pub(super) samples: Vec<String>,
}

/// How the rows met each expectation.
pub(super) fn expectations(record: &StageRecord) -> Vec<ExpectationRow> {
    let row = |known: &ExpectationRecord| {
        let (class, result) = match known.broken {
            true => ("failed", "broken"),
            false => ("full", "met"),
        };
        ExpectationRow {
            name: known.name.clone(),
            rule: known.rule.clone(),
            severity: known.severity.as_str(),
            class,
            result,
            checked: count(known.rows_checked),
            failed: count(known.rows_failed),
            samples: known.samples.clone(),
        }
    };
    record.expectations.iter().map(row).collect()
}

/// Something that a stage read.
pub(super) struct InputRow {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) size: String,
    pub(super) identity: String,
}

/// What a stage read, at which state.
pub(super) fn inputs(lineage: Option<&StageLineage>, pins: Option<&PinsRecord>) -> Vec<InputRow> {
    let inputs = lineage.map(|lineage| lineage.inputs.as_slice()).unwrap_or_default();
    let row = |input: &LineageInput| {
        let pin = pins.and_then(|pins| pins.pins.iter().find(|pin| pin.source == input.name));
        InputRow {
            name: input.name.to_string(),
            version: or_none(input.version.map(|version| version.to_string())),
            kind: pin.map_or_else(|| "stage".to_owned(), |pin| pin.kind.clone()),
            size: or_none(pin.map(|pin| bytes(pin.bytes))),
            identity: input.identity.clone().unwrap_or_default(),
        }
    };
    inputs.iter().map(row).collect()
}

/// How far a cursor was moved.
pub(super) struct ChangeRow {
    pub(super) source: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) files: String,
    pub(super) rows: String,
    pub(super) bytes: String,
}

/// The changes that were applied, or that are planned to be.
pub(super) fn changes(lineage: Option<&StageLineage>, decision: Option<&StageDecision>) -> Vec<ChangeRow> {
    let applied = lineage.map(|lineage| lineage.changes.as_slice()).filter(|changes| !changes.is_empty());
    let planned = decision.map(|decision| decision.changes.as_slice());
    let row = |change: &SourceChange| ChangeRow {
        source: change.source.to_string(),
        from: or_none(change.from.map(|version| version.to_string())),
        to: or_none(change.to.map(|version| version.to_string())),
        files: count(change.files),
        rows: or_unknown(change.rows, count),
        bytes: bytes(change.bytes),
    };
    applied.or(planned).unwrap_or_default().iter().map(row).collect()
}

/// Something that was saved.
pub(super) struct OutputRow {
    pub(super) name: String,
    pub(super) materialization: String,
    pub(super) version: String,
    pub(super) rows: String,
    pub(super) bytes: String,
    pub(super) location: String,
}

/// What was saved: the table, its exports, and the rows in quarantine.
pub(super) fn outputs(record: &StageRecord) -> Vec<OutputRow> {
    let saved = record.outputs.iter().map(|output| OutputRow {
        name: output.export.as_ref().map_or_else(|| "table".to_owned(), |export| format!("export {export}")),
        materialization: output.materialization.clone(),
        version: output.version.to_string(),
        rows: count(output.rows),
        bytes: bytes(output.bytes),
        location: output.location.clone(),
    });
    let quarantine = record.quarantine.iter().map(|quarantine| OutputRow {
        name: "quarantine".to_owned(),
        materialization: "delta".to_owned(),
        version: quarantine.version.to_string(),
        rows: count(quarantine.rows),
        bytes: NONE.to_owned(),
        location: quarantine.location.clone(),
    });
    saved.chain(quarantine).collect()
}

/// An attempt.
pub(super) struct AttemptRow {
    pub(super) number: u32,
    pub(super) class: &'static str,
    pub(super) result: String,
    pub(super) started: String,
    pub(super) took: String,
    pub(super) job: String,
    pub(super) failure: String,
}

/// Every attempt at a stage.
pub(super) fn attempts(record: &StageRecord, now: DateTime<Utc>) -> Vec<AttemptRow> {
    let rows = record.attempts.iter().map(|attempt| {
        let (class, word) = state_of_attempt(attempt.status);
        let failure = attempt.failure.as_ref();
        AttemptRow {
            number: attempt.number,
            class,
            result: if attempt.commit_only { format!("{word}, commit only") } else { word.to_owned() },
            started: time(attempt.started_at),
            took: duration(elapsed_ms(attempt.started_at, attempt.ended_at.unwrap_or(now))),
            job: or_none(attempt.job_id.clone()),
            failure: failure.map(|failure| failure.to_string()).unwrap_or_default(),
        }
    });
    rows.collect()
}
