//! What the tasks of a write report: Delta actions as rows, and those rows put together again.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use deltalake::kernel::Action;
use serde::{Deserialize, Serialize};

use super::WriteError;

/// `kind` of a row that carries a file to add.
pub(crate) const ADD: &str = "add";
/// `kind` of a row that carries a change data file.
pub(crate) const CDC: &str = "cdc";
/// `kind` of a row that carries the replaced rows of a file.
pub(crate) const REPLACED: &str = "replaced";
/// `kind` of the last row of a task, with its totals.
pub(crate) const DONE: &str = "done";

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("kind", DataType::Utf8, false),
        Field::new("task", DataType::Utf8, false),
        Field::new("path", DataType::Utf8, false),
        Field::new("action", DataType::Utf8, false),
        Field::new("rows", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
    ]))
});

/// The schema of the rows that a writing task reports.
///
/// | column | meaning |
/// |---|---|
/// | `kind` | `add`: a data file; `cdc`: a change data file; `replaced`: rows of a file that are no longer in the table; `done`: the last row of a task, with its totals |
/// | `task` | a unique name of the attempt that wrote the file |
/// | `path` | the file's path below the table's root, for `replaced` as the log names it; for `done` the number of rows before it |
/// | `action` | the Delta action as JSON, for example `{"add":{…}}`; for `replaced` the rows' positions, for `done` of a merge its counts |
/// | `rows`, `bytes` | of the file or the positions, or in total |
pub fn report_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// What a task reports of one file. The columns are those of [`report_schema`].
#[derive(Debug, Clone)]
pub(crate) struct ReportRow {
    pub(crate) kind: &'static str,
    pub(crate) path: String,
    pub(crate) action: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// The row of a file that `action` brings into the table.
pub(crate) fn report_row(
    kind: &'static str,
    path: String,
    action: &Action,
    rows: u64,
    bytes: u64,
) -> Result<ReportRow, WriteError> {
    let action = serde_json::to_string(action).map_err(not_a_report)?;
    Ok(ReportRow { kind, path, action, rows, bytes })
}

/// The report of one task: `rows`, then their totals with `summary`.
pub(crate) fn report(rows: &[ReportRow], summary: &str) -> Result<RecordBatch, WriteError> {
    let task = uuid::Uuid::new_v4().simple().to_string();
    let total = ReportRow {
        kind: DONE,
        path: rows.len().to_string(),
        action: summary.to_owned(),
        rows: rows.iter().map(|row| row.rows).sum(),
        bytes: rows.iter().map(|row| row.bytes).sum(),
    };
    let all = || rows.iter().chain([&total]);
    RecordBatch::try_new(
        report_schema(),
        vec![
            Arc::new(StringArray::from_iter_values(all().map(|row| row.kind))),
            Arc::new(StringArray::from_iter_values(all().map(|_| task.as_str()))),
            Arc::new(StringArray::from_iter_values(all().map(|row| row.path.as_str()))),
            Arc::new(StringArray::from_iter_values(all().map(|row| row.action.as_str()))),
            Arc::new(Int64Array::from_iter_values(all().map(|row| row.rows.cast_signed()))),
            Arc::new(Int64Array::from_iter_values(all().map(|row| row.bytes.cast_signed()))),
        ],
    )
    .map_err(not_a_report)
}

/// A row of a report as it was received.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) kind: &'a str,
    pub(crate) path: &'a str,
    pub(crate) action: &'a str,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Gives each row of the reports of successful tasks to `take`, those with totals included. Returns how many tasks
/// have reported.
///
/// # Errors
/// [`WriteError::Incomplete`] if a task's report lacks rows or totals, [`WriteError::Encode`] for rows that are no
/// report, and the errors of `take`.
pub(crate) fn receive(
    batches: &[RecordBatch],
    mut take: impl FnMut(&Received<'_>) -> Result<(), WriteError>,
) -> Result<usize, WriteError> {
    let mut open: BTreeMap<String, Totals> = BTreeMap::new();
    for batch in batches {
        let reports = Reports::of(batch)?;
        for row in 0..batch.num_rows() {
            let received = reports.row(row);
            let totals = open.entry(reports.tasks.value(row).to_owned()).or_default();
            if received.kind == DONE {
                totals.promised = Some((received.path.to_owned(), received.rows, received.bytes));
            } else {
                totals.files += 1;
                totals.rows += received.rows;
                totals.bytes += received.bytes;
            }
            take(&received)?;
        }
    }
    for (task, totals) in &open {
        if totals.promised != Some((totals.files.to_string(), totals.rows, totals.bytes)) {
            return Err(WriteError::Incomplete { reason: format!("task {task} wrote more than was received") });
        }
    }
    Ok(open.len())
}

/// The files that a write left behind, not yet part of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFiles {
    actions: Vec<Action>,
    rows: u64,
    bytes: u64,
    tasks: usize,
}

impl StagedFiles {
    /// The values of `columns`, which partition the table, in the files to add: each combination once.
    pub fn partitions(&self, columns: &[String]) -> Vec<Vec<Option<String>>> {
        let adds = self.actions.iter().filter_map(|action| match action {
            Action::Add(add) => Some(add),
            _ => None,
        });
        let values = adds.map(|add| {
            columns.iter().map(|column| add.partition_values.get(column).cloned().flatten()).collect::<Vec<_>>()
        });
        values.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// Puts the reports of a write's successful tasks together.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] if a task's report lacks rows or totals, and [`WriteError::Encode`] for rows that
    /// are no report.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self, WriteError> {
        let mut staged = Self::default();
        staged.tasks = receive(batches, |row| match row.kind {
            ADD => staged.take(row),
            DONE => Ok(()),
            other => Err(not_a_report(format!("a write does not report `{other}`"))),
        })?;
        Ok(staged)
    }

    /// Takes in a reported data file.
    pub(crate) fn take(&mut self, row: &Received<'_>) -> Result<(), WriteError> {
        self.actions.push(serde_json::from_str(row.action).map_err(not_a_report)?);
        self.rows += row.rows;
        self.bytes += row.bytes;
        Ok(())
    }

    /// These files and those of `other`.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.actions.extend(other.actions);
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.tasks += other.tasks;
        self
    }

    /// Rows in all files.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.actions.len()
    }

    /// How many tasks reported; a write has one for each partition of its plan.
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// The paths of the files below the table's root.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().filter_map(|action| match action {
            Action::Add(add) => Some(add.path.as_str()),
            _ => None,
        })
    }

    /// The actions that make the files part of the table.
    pub(crate) fn actions(&self) -> &[Action] {
        &self.actions
    }
}

/// What a task said it wrote, and what came of it.
#[derive(Debug, Default)]
struct Totals {
    files: usize,
    rows: u64,
    bytes: u64,
    promised: Option<(String, u64, u64)>,
}

/// The columns of a batch of reports.
struct Reports<'a> {
    kinds: &'a StringArray,
    tasks: &'a StringArray,
    paths: &'a StringArray,
    actions: &'a StringArray,
    rows: &'a Int64Array,
    bytes: &'a Int64Array,
}

impl<'a> Reports<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, WriteError> {
        let text = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| not_a_report(format!("there is no text column `{name}`")))
        };
        let number = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            column.ok_or_else(|| not_a_report(format!("there is no bigint column `{name}`")))
        };
        Ok(Self {
            kinds: text("kind")?,
            tasks: text("task")?,
            paths: text("path")?,
            actions: text("action")?,
            rows: number("rows")?,
            bytes: number("bytes")?,
        })
    }

    fn row(&self, row: usize) -> Received<'a> {
        Received {
            kind: self.kinds.value(row),
            path: self.paths.value(row),
            action: self.actions.value(row),
            rows: self.rows.value(row).cast_unsigned(),
            bytes: self.bytes.value(row).cast_unsigned(),
        }
    }
}

pub(crate) fn not_a_report(reason: impl ToString) -> WriteError {
    WriteError::Encode { what: "the report of a task".to_owned(), reason: reason.to_string() }
}
