//! A merge's input, taken apart: new rows, changes, and where old rows are.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::error::Result;

use super::positions::Positions;
use super::{DELETE, INSERT, MergeCounts, NEW_PREFIX, OLD_PREFIX, OP, ROW_FILE, ROW_POSITION, UPDATE};
use crate::error::Difference;
use crate::schema::change_feed::{CHANGE_TYPE, FEED_COLUMNS};
use crate::schema::type_name;
use crate::write::check::external;
use crate::write::conform::Conform;
use crate::write::{WriteError, WriteSpec};

/// Where the columns of a merge's input are.
#[derive(Debug, Clone)]
pub(super) struct MergeInput {
    table: String,
    op: usize,
    file: usize,
    position: usize,
    new: Conform,
    /// Old rows, if they are written as changes.
    old: Option<Conform>,
}

/// What becomes of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Insert,
    Update,
    Delete,
}

/// A batch taken apart.
pub(super) struct Parts {
    /// The rows that the table gets, in its columns.
    pub(super) new: RecordBatch,
    /// What is recorded of changes: the table's columns and the kind of change.
    pub(super) changes: Vec<RecordBatch>,
}

impl MergeInput {
    /// Finds the columns of [`delta_merge_plan`](super::delta_merge_plan)'s input.
    ///
    /// # Errors
    /// [`WriteError::InputDiffers`], and [`WriteError::ColumnName`] for a column that a change feed cannot have.
    pub(super) fn new(input: &Schema, spec: &WriteSpec, change_feed: bool) -> Result<Self, WriteError> {
        let find = |name: &str, wanted: &DataType| {
            let differs =
                |difference| WriteError::InputDiffers { table: spec.table.clone(), differences: vec![difference] };
            let place = input.index_of(name).map_err(|_| differs(Difference::MissingColumn(name.to_owned())))?;
            let found = input.field(place).data_type();
            let fits = match wanted {
                DataType::Utf8 => matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
                other => found == other,
            };
            let type_differs = || Difference::ColumnType {
                column: name.to_owned(),
                wanted: type_name(found),
                found: type_name(wanted),
            };
            if fits { Ok(place) } else { Err(differs(type_differs())) }
        };
        if change_feed && let Some(name) = FEED_COLUMNS.iter().find(|name| spec.schema.index_of(name).is_ok()) {
            return Err(WriteError::ColumnName {
                column: (*name).to_owned(),
                reason: "its change feed has a column of that name".to_owned(),
            });
        }
        Ok(Self {
            table: spec.table.clone(),
            op: find(OP, &DataType::Utf8)?,
            file: find(ROW_FILE, &DataType::Utf8)?,
            position: find(ROW_POSITION, &DataType::Int64)?,
            new: Conform::prefixed(input, NEW_PREFIX, spec)?,
            old: change_feed.then(|| Conform::prefixed(input, OLD_PREFIX, spec)).transpose()?,
        })
    }

    /// Takes `batch` apart, adding the addresses of old rows to `replaced` and their number to `counts`.
    ///
    /// # Errors
    /// [`WriteError::BadMerge`] for a row without an operation or an address, or with one too many; the errors of
    /// casting values to the table's types.
    pub(super) fn take(
        &self,
        batch: &RecordBatch,
        replaced: &mut BTreeMap<String, Positions>,
        counts: &mut MergeCounts,
    ) -> Result<Parts> {
        let ops = self.ops(batch).map_err(external)?;
        self.note(batch, &ops, replaced, counts)?;
        let of = |wanted: &dyn Fn(Op) -> bool| -> Result<(RecordBatch, Vec<Op>)> {
            let keep: BooleanArray = ops.iter().map(|op| Some(wanted(*op))).collect();
            let kept = ops.iter().copied().filter(|op| wanted(*op)).collect();
            Ok((filter_record_batch(batch, &keep)?, kept))
        };
        let (rows, new_ops) = of(&|op| op != Op::Delete)?;
        let new = self.new.apply(&rows).map_err(external)?;
        let mut changes = Vec::new();
        if let Some(old) = &self.old {
            let (rows, old_ops) = of(&|op| op != Op::Insert)?;
            let old = old.apply(&rows).map_err(external)?;
            changes.push(changed(&old, &old_ops, |op| if op == Op::Delete { "delete" } else { "update_preimage" })?);
            changes.push(changed(&new, &new_ops, |op| if op == Op::Insert { "insert" } else { "update_postimage" })?);
        }
        Ok(Parts { new, changes })
    }

    fn ops(&self, batch: &RecordBatch) -> Result<Vec<Op>, WriteError> {
        let texts = text(batch.column(self.op))?;
        let op = |text: Option<&str>| match text {
            Some(INSERT) => Ok(Op::Insert),
            Some(UPDATE) => Ok(Op::Update),
            Some(DELETE) => Ok(Op::Delete),
            Some(other) => Err(self.bad(format!("`{other}` is not an operation"))),
            None => Err(self.bad("a row has no operation".to_owned())),
        };
        texts.iter().map(op).collect()
    }

    /// Takes note of where old rows are.
    fn note(
        &self,
        batch: &RecordBatch,
        ops: &[Op],
        replaced: &mut BTreeMap<String, Positions>,
        counts: &mut MergeCounts,
    ) -> Result<()> {
        let files = text(batch.column(self.file)).map_err(external)?;
        let positions: &Int64Array = batch.column(self.position).as_primitive::<Int64Type>();
        for (row, op) in ops.iter().enumerate() {
            let address = (files.is_valid(row), positions.is_valid(row));
            match (op, address) {
                (Op::Insert, (false, false)) => counts.inserted += 1,
                (Op::Insert, _) => return Err(external(self.bad("a row to insert has an address".to_owned()))),
                (Op::Update, (true, true)) => counts.updated += 1,
                (Op::Delete, (true, true)) => counts.deleted += 1,
                _ => return Err(external(self.bad("a row to replace has no address".to_owned()))),
            }
            if *op == Op::Insert {
                continue;
            }
            let (file, position) = (files.value(row), positions.value(row));
            if !replaced.contains_key(file) {
                replaced.insert(file.to_owned(), Positions::default());
            }
            let known = u64::try_from(position).ok().zip(replaced.get_mut(file));
            match known.map(|(position, positions)| positions.insert(position)) {
                Some(true) => {}
                Some(false) => {
                    return Err(external(self.bad(format!("row {position} of `{file}` is replaced twice"))));
                }
                None => return Err(external(self.bad(format!("there is no row {position} in a file")))),
            }
        }
        Ok(())
    }

    fn bad(&self, reason: String) -> WriteError {
        WriteError::BadMerge { table: self.table.clone(), reason }
    }
}

fn text(column: &ArrayRef) -> Result<StringArray, WriteError> {
    let array = cast(column, &DataType::Utf8).map_err(unreadable)?;
    array.as_string_opt::<i32>().cloned().ok_or_else(|| unreadable("it is not text"))
}

fn unreadable(reason: impl ToString) -> WriteError {
    WriteError::Encode { what: "a batch of changes".to_owned(), reason: reason.to_string() }
}

/// `rows` with what became of each in one more column.
fn changed(rows: &RecordBatch, ops: &[Op], kind: impl Fn(Op) -> &'static str) -> Result<RecordBatch> {
    let kinds: StringArray = ops.iter().map(|op| Some(kind(*op))).collect();
    let kinds_field = Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8, true));
    let fields = rows.schema_ref().fields().iter().cloned().chain([kinds_field]);
    let columns = rows.columns().iter().cloned().chain([Arc::new(kinds) as ArrayRef]);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns.collect())?)
}
