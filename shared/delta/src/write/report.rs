//! The reports of tasks: what each has written, as rows. The border at which the actions of staged files are Arrow.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use deltalake::kernel::{Action, Add, AddCDCFile};
use serde::de::DeserializeOwned;

use super::WriteError;
use super::action_lines::{AddLine, CdcLine};

/// `kind` of a row that carries a file to add.
const ADD: &str = "add";
/// `kind` of a row that carries a change data file.
const CDC: &str = "cdc";
/// `kind` of a row that carries the replaced rows of a file.
const REPLACED: &str = "replaced";
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
/// | `kind` | `add`: a data file; `cdc`: a change data file; `replaced`: rows of a file that are no longer in the table; `done`: the last row of a task, with its totals |
/// | `task` | a unique name of the attempt that wrote the file |
/// | `path` | the file's path below the table's root, for `replaced` as the log names it; for `done` the number of rows before it |
/// | `action` | the Delta action as JSON, for example `{"add":{…}}`; for `replaced` the rows' positions, for `done` of a merge its counts |
/// | `rows`, `bytes` | of the file or the positions, or in total |
pub fn report_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// A file that a task has written.
#[derive(Debug, Clone)]
pub(crate) struct WrittenFile<A> {
    /// The action that brings it into the table.
    pub(crate) action: A,
    /// Its rows.
    pub(crate) rows: u64,
}

/// What one task has done.
#[derive(Debug, Default)]
pub(crate) struct TaskReport {
    /// The files with rows of the table.
    pub(crate) added: Vec<WrittenFile<Add>>,
    /// The change data files.
    pub(crate) changes: Vec<WrittenFile<AddCDCFile>>,
    /// The rows that are no longer in the table.
    pub(crate) replaced: Vec<ReplacedRows>,
    /// What a merge has counted, as JSON.
    pub(crate) counts: String,
}

/// Rows of a file that are no longer in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplacedRows {
    /// The file as the log names it.
    pub(crate) file: String,
    /// Their positions, as the log would hold them inline.
    pub(crate) positions: String,
    /// How many they are.
    pub(crate) rows: u64,
}

/// A row as the columns of [`report_schema`] have it.
struct Row {
    kind: &'static str,
    path: String,
    action: String,
    rows: u64,
    bytes: u64,
}

impl TaskReport {
    /// The report as rows: the files in the order of their paths, what is replaced, then the totals.
    ///
    /// # Errors
    /// [`WriteError::Encode`] for an action that cannot be written as JSON.
    pub(crate) fn into_batch(self) -> Result<RecordBatch, WriteError> {
        let task = uuid::Uuid::new_v4().simple().to_string();
        let mut rows = Vec::new();
        for WrittenFile { action, rows: count } in self.added {
            let (path, bytes) = (action.path.clone(), action.size.cast_unsigned());
            rows.push(Row { kind: ADD, path, action: text(&Action::Add(action))?, rows: count, bytes });
        }
        for WrittenFile { action, rows: count } in self.changes {
            let (path, bytes) = (action.path.clone(), action.size.cast_unsigned());
            rows.push(Row { kind: CDC, path, action: text(&Action::Cdc(action))?, rows: count, bytes });
        }
        for ReplacedRows { file, positions, rows: count } in self.replaced {
            let bytes = positions.len() as u64;
            rows.push(Row { kind: REPLACED, path: file, action: positions, rows: count, bytes });
        }
        rows.push(Row {
            kind: DONE,
            path: rows.len().to_string(),
            action: self.counts,
            rows: rows.iter().map(|row| row.rows).sum(),
            bytes: rows.iter().map(|row| row.bytes).sum(),
        });
        RecordBatch::try_new(
            report_schema(),
            vec![
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.kind))),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|_| task.as_str()))),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.path.as_str()))),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.action.as_str()))),
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.rows.cast_signed()))),
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.bytes.cast_signed()))),
            ],
        )
        .map_err(not_a_report)
    }
}

fn text(action: &Action) -> Result<String, WriteError> {
    serde_json::to_string(action).map_err(not_a_report)
}

/// A row of a report as it was received.
#[derive(Debug)]
pub(crate) enum Received {
    /// A file with rows of the table.
    Added {
        /// The file.
        file: WrittenFile<Add>,
        /// Its bytes.
        bytes: u64,
    },
    /// A change data file.
    Changes {
        /// The file.
        file: AddCDCFile,
        /// Its bytes.
        bytes: u64,
    },
    /// Rows that are no longer in the table.
    Replaced(ReplacedRows),
    /// The end of a task's report: what a merge has counted, as JSON.
    Done(String),
}

/// Gives each row of the reports of successful tasks to `take`, those with totals included. Returns how many tasks
/// have reported.
///
/// # Errors
/// [`WriteError::Incomplete`] if a task's report lacks rows or totals, [`WriteError::Encode`] for rows that are no
/// report, and the errors of `take`.
pub(crate) fn receive(
    batches: &[RecordBatch],
    mut take: impl FnMut(Received) -> Result<(), WriteError>,
) -> Result<usize, WriteError> {
    let mut open: BTreeMap<String, Totals> = BTreeMap::new();
    for batch in batches {
        let columns = Columns::of(batch)?;
        for row in 0..batch.num_rows() {
            columns.count(row, open.entry(columns.tasks.value(row).to_owned()).or_default());
            take(columns.received(row)?)?;
        }
    }
    for (task, totals) in &open {
        if totals.promised != Some((totals.files.to_string(), totals.rows, totals.bytes)) {
            return Err(WriteError::Incomplete { reason: format!("task {task} wrote more than was received") });
        }
    }
    Ok(open.len())
}

/// What a task says it wrote, and what was received of it.
#[derive(Debug, Default)]
struct Totals {
    files: usize,
    rows: u64,
    bytes: u64,
    promised: Option<(String, u64, u64)>,
}

/// The columns of a batch of reports.
struct Columns<'a> {
    kinds: &'a StringArray,
    tasks: &'a StringArray,
    paths: &'a StringArray,
    actions: &'a StringArray,
    rows: &'a Int64Array,
    bytes: &'a Int64Array,
}

impl<'a> Columns<'a> {
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

    /// Counts a row among those of its task.
    fn count(&self, row: usize, totals: &mut Totals) {
        let (rows, bytes) = (self.rows.value(row).cast_unsigned(), self.bytes.value(row).cast_unsigned());
        if self.kinds.value(row) == DONE {
            totals.promised = Some((self.paths.value(row).to_owned(), rows, bytes));
        } else {
            totals.files += 1;
            totals.rows += rows;
            totals.bytes += bytes;
        }
    }

    fn received(&self, row: usize) -> Result<Received, WriteError> {
        let (rows, bytes) = (self.rows.value(row).cast_unsigned(), self.bytes.value(row).cast_unsigned());
        Ok(match self.kinds.value(row) {
            ADD => {
                let AddLine { add } = self.action(row)?;
                Received::Added { file: WrittenFile { action: add, rows }, bytes }
            }
            CDC => {
                let CdcLine { cdc } = self.action(row)?;
                Received::Changes { file: cdc, bytes }
            }
            REPLACED => {
                let (file, positions) = (self.paths.value(row).to_owned(), self.actions.value(row).to_owned());
                Received::Replaced(ReplacedRows { file, positions, rows })
            }
            DONE => Received::Done(self.actions.value(row).to_owned()),
            other => return Err(not_a_report(format!("there are no rows of the kind `{other}`"))),
        })
    }

    fn action<T: DeserializeOwned>(&self, row: usize) -> Result<T, WriteError> {
        serde_json::from_str(self.actions.value(row)).map_err(not_a_report)
    }
}

/// A row is not what a task reports.
pub(crate) fn not_a_report(reason: impl ToString) -> WriteError {
    WriteError::Encode { what: "the report of a task".to_owned(), reason: reason.to_string() }
}
