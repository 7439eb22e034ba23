//! The system tables: what all bundles and turns of maintenance of a home say, as rows. docs/system-tables.md describes
//! them.
//!
//! ```text
//! BundleReader ─the parts that a table needs (parts)→ RunParts ─┐
//! MaintenanceRecord ────────────────────────────────────────────┴→ rows (runs, stages, outcomes, maintenance)
//! ```

mod column;
mod maintenance;
mod outcomes;
mod parts;
mod runs;
mod stages;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use windlass_base::ids::RunId;
use windlass_project::literal_rows::{Cell, Row};

pub use column::Column;
pub use maintenance::{turn_rows, unreadable_turn};

use self::outcomes::{Applied, Commit, Input, Written};
use self::parts::{Part, RunParts};
use self::stages::{Of, Stage};
use crate::artifact::ReceiptOutcome;
use crate::bundle::{BundleReader, RecordError};

/// The schema that the tables are in.
pub const SYSTEM_SCHEMA: &str = "windlass";

/// A table over all runs of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemTable {
    /// The runs.
    Runs,
    /// The stages of runs.
    Stages,
    /// The attempts at stages.
    Attempts,
    /// The operators of their plans, and what they measured.
    Operators,
    /// The tasks of the engine.
    Tasks,
    /// The state that each source was read at.
    Pins,
    /// How far stages have applied the changes of what they read.
    Cursors,
    /// The versions that stages have committed.
    Commits,
    /// How rows met expectations.
    Expectations,
    /// What each version was derived from.
    Lineage,
    /// What was written, and where.
    Tables,
    /// The actions of turns of maintenance.
    Maintenance,
}

impl SystemTable {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Runs,
        Self::Stages,
        Self::Attempts,
        Self::Operators,
        Self::Tasks,
        Self::Pins,
        Self::Cursors,
        Self::Commits,
        Self::Expectations,
        Self::Lineage,
        Self::Tables,
        Self::Maintenance,
    ];

    /// Its name in the schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Stages => "stages",
            Self::Attempts => "attempts",
            Self::Operators => "operators",
            Self::Tasks => "tasks",
            Self::Pins => "pins",
            Self::Cursors => "cursors",
            Self::Commits => "commits",
            Self::Expectations => "expectations",
            Self::Lineage => "lineage",
            Self::Tables => "tables",
            Self::Maintenance => "maintenance",
        }
    }

    /// The table of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == name)
    }

    /// The column with the id of a run or a turn, which sorts by time.
    pub fn id_column(self) -> &'static str {
        match self {
            Self::Maintenance => maintenance::TURN,
            _ => "run_id",
        }
    }

    /// The column that says when the run or the turn began. It is never null.
    pub fn start_column(self) -> &'static str {
        match self {
            Self::Runs => "started_at",
            Self::Maintenance => maintenance::STARTED_AT,
            _ => "run_started_at",
        }
    }

    /// The columns, in order.
    pub fn columns(self) -> Vec<Column> {
        fn names<T>(columns: &[(Column, T)]) -> Vec<Column> {
            columns.iter().map(|(column, _)| *column).collect()
        }
        let own = match self {
            Self::Runs => names(runs::RUNS),
            Self::Stages => names(stages::STAGES),
            Self::Attempts => names(stages::ATTEMPTS),
            Self::Operators => names(stages::OPERATORS),
            Self::Tasks => names(stages::TASKS),
            Self::Pins => names(runs::PINS),
            Self::Cursors => names(outcomes::CURSORS),
            Self::Commits => names(outcomes::COMMITS),
            Self::Expectations => names(stages::EXPECTATIONS),
            Self::Lineage => names(outcomes::LINEAGE),
            Self::Tables => names(outcomes::TABLES),
            Self::Maintenance => return names(maintenance::MAINTENANCE),
        };
        let key = [
            Column::text(self.id_column(), "the run; run ids sort by time"),
            Column::time(self.start_column(), "when the run began"),
        ];
        key.into_iter().chain(own).collect()
    }

    fn parts(self) -> &'static [Part] {
        match self {
            Self::Runs | Self::Maintenance => &[],
            Self::Pins => &[Part::Pins],
            Self::Stages => &[Part::Plan, Part::Stages],
            Self::Cursors | Self::Lineage => &[Part::Lineage],
            Self::Attempts | Self::Operators | Self::Tasks | Self::Commits | Self::Expectations | Self::Tables => {
                &[Part::Stages]
            }
        }
    }

    /// The rows of a run.
    fn rows(self, parts: &RunParts) -> Vec<Row> {
        let cells: Vec<Vec<Cell>> = match self {
            Self::Runs => vec![runs::RUNS.iter().map(|(_, cell)| cell(&parts.run)).collect::<Vec<Cell>>()],
            Self::Pins => {
                let pins = parts.pins.iter();
                pins.map(|pin| runs::PINS.iter().map(|(_, cell)| cell(pin)).collect::<Vec<Cell>>()).collect()
            }
            Self::Stages | Self::Commits => of_summaries(self, parts),
            Self::Attempts | Self::Operators | Self::Tasks | Self::Expectations | Self::Tables => {
                of_records(self, parts)
            }
            Self::Cursors | Self::Lineage => of_lineage(self, parts),
            Self::Maintenance => Vec::new(),
        };
        let key = runs::key(&parts.run);
        cells.into_iter().map(|cells| key.iter().cloned().chain(cells).collect()).collect()
    }
}

fn of_summaries(table: SystemTable, parts: &RunParts) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for summary in &parts.run.stages {
        let record = parts.stages.iter().find(|record| record.stage == summary.stage);
        if table == SystemTable::Stages {
            let decision = parts.decisions.iter().find(|decision| decision.stage == summary.stage);
            let stage = Stage { summary, decision, record };
            rows.push(stages::STAGES.iter().map(|(_, cell)| cell(&stage)).collect());
        } else if let Some(receipt) = summary.receipt.as_ref().filter(|is| is.outcome != ReceiptOutcome::Reused) {
            let commit = Commit { summary, receipt, record };
            rows.push(outcomes::COMMITS.iter().map(|(_, cell)| cell(&commit)).collect());
        }
    }
    rows
}

fn of_records(table: SystemTable, parts: &RunParts) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for record in &parts.stages {
        let stage = &record.stage;
        match table {
            SystemTable::Attempts => rows.extend(record.attempts.iter().map(|item| {
                let of = Of { stage, item };
                stages::ATTEMPTS.iter().map(|(_, cell)| cell(&of)).collect::<Vec<Cell>>()
            })),
            SystemTable::Operators => rows.extend(record.operators.iter().map(|item| {
                let of = Of { stage, item };
                stages::OPERATORS.iter().map(|(_, cell)| cell(&of)).collect::<Vec<Cell>>()
            })),
            SystemTable::Tasks => rows.extend(record.tasks.iter().map(|item| {
                let of = Of { stage, item };
                stages::TASKS.iter().map(|(_, cell)| cell(&of)).collect::<Vec<Cell>>()
            })),
            SystemTable::Expectations => rows.extend(record.expectations.iter().map(|item| {
                let of = Of { stage, item };
                stages::EXPECTATIONS.iter().map(|(_, cell)| cell(&of)).collect::<Vec<Cell>>()
            })),
            _ => rows.extend(
                Written::all_of(record)
                    .map(|written| outcomes::TABLES.iter().map(|(_, cell)| cell(&written)).collect::<Vec<Cell>>()),
            ),
        }
    }
    rows
}

fn of_lineage(table: SystemTable, parts: &RunParts) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for lineage in &parts.lineage {
        match table {
            SystemTable::Lineage => rows.extend(lineage.inputs.iter().map(|input| {
                let input = Input { lineage, input };
                outcomes::LINEAGE.iter().map(|(_, cell)| cell(&input)).collect::<Vec<Cell>>()
            })),
            // What was not committed has moved no cursor.
            _ if lineage.output_version.is_none() => {}
            _ => rows.extend(lineage.changes.iter().map(|change| {
                let applied = Applied { lineage, change };
                outcomes::CURSORS.iter().map(|(_, cell)| cell(&applied)).collect::<Vec<Cell>>()
            })),
        }
    }
    rows
}

/// What a bundle has for some of the tables.
#[derive(Debug, Default)]
pub struct RunRows {
    /// The rows of each table that has any.
    pub rows: Vec<(SystemTable, Vec<Row>)>,
    /// Why tables have no rows of this run, although they should.
    pub error: Option<RecordError>,
}

/// The rows that a run has in `tables`. A run whose `run.json` cannot be read has a row in `runs` that says why; one of
/// which another part cannot be read has no rows in the tables that need it. What is left of a bundle that is being removed
/// has no rows. `live` are the runs that a process is driving; `made_at` is when the id of the run was made.
pub async fn run_rows(
    reader: &BundleReader,
    run_id: &RunId,
    live: &BTreeSet<RunId>,
    made_at: Option<DateTime<Utc>>,
    tables: &BTreeSet<SystemTable>,
) -> RunRows {
    let run = match reader.run(run_id, live).await {
        Ok(run) => run,
        Err(error) if error.is_no_such_run() => return RunRows::default(),
        Err(error) => {
            let is_asked = tables.contains(&SystemTable::Runs);
            let row = is_asked.then(|| (SystemTable::Runs, vec![runs::unreadable(run_id, made_at, &error)]));
            return RunRows { rows: row.into_iter().collect(), error: Some(error) };
        }
    };
    let wanted: BTreeSet<Part> = tables.iter().flat_map(|table| table.parts()).copied().collect();
    let (parts, error) = match RunParts::read(reader, run.clone(), &wanted).await {
        Ok(parts) => (parts, None),
        Err(error) => (RunParts::without_parts(run), Some(error)),
    };
    let complete = tables.iter().filter(|table| error.is_none() || table.parts().is_empty());
    let rows = complete.map(|table| (*table, table.rows(&parts))).filter(|(_, rows)| !rows.is_empty());
    RunRows { rows: rows.collect(), error }
}
