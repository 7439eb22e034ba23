//! What the tasks of a write report: Delta actions as rows, and those rows put together again.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use deltalake::kernel::{Action, Add};
use serde::{Deserialize, Serialize};

use super::WriteError;

/// `kind` of a row that carries a file to add.
const ADD: &str = "add";
/// `kind` of the last row of a task, with its totals.
const DONE: &str = "done";

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
/// | `kind` | `add`: a data file; `done`: the last row of a task, with its totals |
/// | `task` | a unique name of the attempt that wrote the file |
/// | `path` | the file's path below the table's root; for `done` the number of its files |
/// | `action` | the Delta action as JSON, for example `{"add":{…}}`; empty for `done` |
/// | `rows`, `bytes` | of the file, or in total |
pub fn report_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// A written file: its action and its rows.
#[derive(Debug, Clone)]
pub(super) struct WrittenFile {
    pub(super) add: Add,
    pub(super) rows: u64,
}

/// The report of one task: a row a file, then its totals.
pub(super) fn report(files: &[WrittenFile]) -> Result<RecordBatch, WriteError> {
    let encode = |reason: String| WriteError::Encode { what: "the report of a task".to_owned(), reason };
    let task = uuid::Uuid::new_v4().simple().to_string();
    let mut actions = Vec::with_capacity(files.len() + 1);
    for file in files {
        let action = Action::Add(file.add.clone());
        actions.push(serde_json::to_string(&action).map_err(|error| encode(error.to_string()))?);
    }
    actions.push(String::new());
    let count = files.len().to_string();
    let kinds = files.iter().map(|_| ADD).chain([DONE]);
    let tasks = actions.iter().map(|_| task.as_str());
    let paths = files.iter().map(|file| file.add.path.as_str()).chain([count.as_str()]);
    let all_rows: u64 = files.iter().map(|file| file.rows).sum();
    let rows = files.iter().map(|file| file.rows).chain([all_rows]).map(u64::cast_signed);
    let all_bytes: i64 = files.iter().map(|file| file.add.size).sum();
    let bytes = files.iter().map(|file| file.add.size).chain([all_bytes]);
    RecordBatch::try_new(
        report_schema(),
        vec![
            Arc::new(StringArray::from_iter_values(kinds)),
            Arc::new(StringArray::from_iter_values(tasks)),
            Arc::new(StringArray::from_iter_values(paths)),
            Arc::new(StringArray::from_iter_values(&actions)),
            Arc::new(Int64Array::from_iter_values(rows)),
            Arc::new(Int64Array::from_iter_values(bytes)),
        ],
    )
    .map_err(|error| encode(error.to_string()))
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
    /// Puts the reports of a write's successful tasks together.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] if a task's report lacks rows or totals, and [`WriteError::Encode`] for rows that
    /// are no report.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self, WriteError> {
        let mut staged = Self::default();
        let mut open: BTreeMap<String, Totals> = BTreeMap::new();
        for batch in batches {
            let reports = Reports::of(batch)?;
            for row in 0..batch.num_rows() {
                let (rows, bytes) = (reports.rows.value(row).cast_unsigned(), reports.bytes.value(row).cast_unsigned());
                let totals = open.entry(reports.tasks.value(row).to_owned()).or_default();
                if reports.kinds.value(row) == DONE {
                    totals.promised = Some((reports.paths.value(row).to_owned(), rows, bytes));
                    continue;
                }
                let action = serde_json::from_str(reports.actions.value(row)).map_err(not_a_report)?;
                staged.actions.push(action);
                totals.files += 1;
                totals.rows += rows;
                totals.bytes += bytes;
            }
        }
        for (task, totals) in &open {
            if totals.promised != Some((totals.files.to_string(), totals.rows, totals.bytes)) {
                return Err(WriteError::Incomplete { reason: format!("task {task} wrote more than was received") });
            }
            staged.rows += totals.rows;
            staged.bytes += totals.bytes;
        }
        staged.tasks = open.len();
        Ok(staged)
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
    pub(in crate::delta) fn actions(&self) -> &[Action] {
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
}

fn not_a_report(reason: impl ToString) -> WriteError {
    WriteError::Encode { what: "the report of a task".to_owned(), reason: reason.to_string() }
}
