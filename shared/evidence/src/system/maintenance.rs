//! `maintenance`: what turns of maintenance have decided and done.

use chrono::{DateTime, Utc};
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::RunId;
use windlass_project::literal_rows::{Cell, Row};

use super::column::{Column, integer, maybe_integer, maybe_text, maybe_time, text, time};
use crate::artifact::{ActionOutcome, MaintenanceAction, MaintenanceRecord, TableMaintenance, TableSize};
use crate::bundle::RecordError;

/// An action on a table, a table without any, or a turn without tables.
pub(super) struct Action<'a> {
    turn: &'a MaintenanceRecord,
    table: Option<&'a TableMaintenance>,
    action: Option<&'a MaintenanceAction>,
}

type ActionCell = fn(&Action<'_>) -> Cell;

pub(super) const MAINTENANCE: &[(Column, ActionCell)] = &[
    (Column::text(TURN, "the turn; turn ids sort by time, as run ids do"), |of| text(&of.turn.turn)),
    (Column::time(STARTED_AT, "when the turn began"), |of| time(of.turn.started_at)),
    (Column::time("ended_at", "when the turn ended; null if it was cut off"), |of| maybe_time(of.turn.ended_at)),
    (Column::text("pipeline", "the pipeline"), |of| text(&of.turn.pipeline)),
    (Column::boolean("stopped", "whether the turn was stopped before it had looked at all tables"), |of| {
        Cell::Boolean(of.turn.stopped)
    }),
    (Column::text("table_name", "the stage, or the name of its quarantine"), |of| {
        maybe_text(of.table.map(|table| &table.table))
    }),
    (Column::text("location", "where the table is"), |of| maybe_text(of.table.map(|table| &table.location))),
    (
        Column::text(
            "action",
            "`compact`, `zorder`, `checkpoint`, `vacuum`, `full_vacuum`, `clean_log`; null for a table that was not looked at",
        ),
        |of| maybe_text(of.action.map(|action| action.kind.as_str())),
    ),
    (Column::boolean("due", "whether it was to be done"), |of| {
        of.action.map_or(Cell::Null, |action| Cell::Boolean(action.due))
    }),
    (Column::text("reason", "why, or why not"), |of| maybe_text(of.action.map(|action| &action.reason))),
    (Column::integer("files", "files that it was to read or remove"), |of| {
        maybe_integer(of.action.map(|action| action.files))
    }),
    (Column::integer("bytes", "their bytes"), |of| maybe_integer(of.action.map(|action| action.bytes))),
    (Column::boolean("done", "whether it was done"), |of| {
        of.action.map_or(Cell::Null, |action| {
            Cell::Boolean(action.outcome.as_ref().is_some_and(|outcome| outcome.failure.is_none()))
        })
    }),
    (Column::integer("version", "the version that it committed; null if it changes no version"), |of| {
        outcome(of, |outcome| outcome.version.map(|version| version.0))
    }),
    (Column::integer("files_removed", "files that it removed, or replaced by others"), |of| {
        outcome(of, |outcome| Some(outcome.files_removed))
    }),
    (Column::integer("bytes_removed", "their bytes"), |of| outcome(of, |outcome| Some(outcome.bytes_removed))),
    (Column::integer("files_added", "files that it wrote"), |of| outcome(of, |outcome| Some(outcome.files_added))),
    (Column::integer("bytes_added", "their bytes"), |of| outcome(of, |outcome| Some(outcome.bytes_added))),
    (Column::integer("duration_ms", "how long the action took"), |of| outcome(of, |outcome| Some(outcome.duration_ms))),
    (Column::integer("version_before", "the table's version before the turn"), |of| {
        size(before(of), |size| size.version.0)
    }),
    (Column::integer("files_before", "its data files before the turn"), |of| size(before(of), |size| size.files)),
    (Column::integer("bytes_before", "their bytes"), |of| size(before(of), |size| size.bytes)),
    (Column::integer("log_bytes_before", "bytes of its log before the turn"), |of| {
        size(before(of), |size| size.log_bytes)
    }),
    (Column::integer("version_after", "the table's version after the turn; null if nothing was done"), |of| {
        size(after(of), |size| size.version.0)
    }),
    (Column::integer("files_after", "its data files after the turn"), |of| size(after(of), |size| size.files)),
    (Column::integer("bytes_after", "their bytes"), |of| size(after(of), |size| size.bytes)),
    (Column::integer("log_bytes_after", "bytes of its log after the turn"), |of| {
        size(after(of), |size| size.log_bytes)
    }),
    (Column::text(ERROR_CODE, "the code of `error`"), |of| maybe_text(failure(of).map(|failure| &failure.code))),
    (Column::text(ERROR, "why the action failed, the table was not looked at, or the record cannot be read"), |of| {
        maybe_text(failure(of).map(|failure| &failure.message))
    }),
];

pub(super) const TURN: &str = "turn";
pub(super) const STARTED_AT: &str = "started_at";
const ERROR_CODE: &str = "error_code";
const ERROR: &str = "error";

fn outcome(of: &Action<'_>, what: fn(&ActionOutcome) -> Option<u64>) -> Cell {
    maybe_integer(of.action.and_then(|action| action.outcome.as_ref()).and_then(what))
}

fn before<'a>(of: &Action<'a>) -> Option<&'a TableSize> {
    of.table.map(|table| &table.before)
}

fn after<'a>(of: &Action<'a>) -> Option<&'a TableSize> {
    of.table.and_then(|table| table.after.as_ref())
}

fn size(size: Option<&TableSize>, what: fn(&TableSize) -> u64) -> Cell {
    size.map_or(Cell::Null, |size| integer(what(size)))
}

fn failure<'a>(of: &Action<'a>) -> Option<&'a Failure> {
    match of.action {
        Some(action) => action.outcome.as_ref()?.failure.as_ref(),
        None => of.table?.failure.as_ref(),
    }
}

/// The rows of a turn: one for each action, and one for each table that was not looked at.
pub fn turn_rows(turn: &MaintenanceRecord) -> Vec<Row> {
    let mut found = Vec::new();
    for table in &turn.tables {
        let table = Some(table);
        let actions = table.into_iter().flat_map(|table| &table.actions);
        found.extend(actions.map(|action| Action { turn, table, action: Some(action) }));
        if table.is_some_and(|table| table.actions.is_empty() || table.failure.is_some()) {
            found.push(Action { turn, table, action: None });
        }
    }
    if found.is_empty() {
        found.push(Action { turn, table: None, action: None });
    }
    found.iter().map(|action| MAINTENANCE.iter().map(|(_, cell)| cell(action)).collect()).collect()
}

/// The row of a turn whose record cannot be read. It began about when its id was made.
pub fn unreadable_turn(turn: &RunId, made_at: Option<DateTime<Utc>>, error: &RecordError) -> Row {
    let failure = error.to_failure();
    let known = MAINTENANCE.iter().map(|(column, _)| match column.name {
        TURN => text(turn),
        STARTED_AT => maybe_time(made_at),
        ERROR_CODE => text(&failure.code),
        ERROR => text(&failure.message),
        _ => Cell::Null,
    });
    known.collect()
}
