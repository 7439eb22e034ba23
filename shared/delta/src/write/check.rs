//! What is demanded of every row: columns without nulls, and constraints.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::physical_plan::PhysicalExpr;
use windlass_base::error::Coded;

use super::{WriteError, WriteSpec};

/// Characters of one value in a message.
const SHOWN_VALUE: usize = 40;
/// Columns of a row in a message.
const SHOWN_COLUMNS: usize = 8;

/// A constraint that rows are checked against: true for every row, or the write fails.
#[derive(Debug, Clone)]
pub struct RowConstraint {
    /// Its name.
    pub name: String,
    /// Its SQL, for messages.
    pub sql: String,
    /// The condition over the table's columns.
    pub condition: Arc<dyn PhysicalExpr>,
}

/// Compiles the constraints of `spec` over the table's columns.
///
/// # Errors
/// [`WriteError::BadConstraint`] for SQL that is no boolean expression over the table's columns.
pub(crate) fn compile_constraints(spec: &WriteSpec, state: &SessionState) -> Result<Vec<RowConstraint>, WriteError> {
    let compile = |sql: &str| {
        let schema = DFSchema::try_from(spec.nullable_schema())?;
        let logical = state.create_logical_expr(sql, &schema)?;
        let condition = state.create_physical_expr(logical, &schema)?;
        let data_type = condition.data_type(schema.as_arrow())?;
        Ok::<_, DataFusionError>((condition, data_type))
    };
    let compiled = spec.constraints.iter().map(|(name, sql)| {
        let reason = match compile(sql) {
            Ok((condition, DataType::Boolean)) => {
                return Ok(RowConstraint { name: name.clone(), sql: sql.clone(), condition });
            }
            Ok((_, other)) => format!("it yields {other}, not a boolean"),
            Err(error) => error.strip_backtrace().lines().collect::<Vec<_>>().join(" "),
        };
        let (table, constraint, sql) = (spec.table.clone(), name.clone(), sql.clone());
        Err(WriteError::BadConstraint { table, constraint, sql, reason })
    });
    compiled.collect()
}

/// Checks every row of `batch`, which has the table's columns.
///
/// # Errors
/// The first broken demand, as a [`Failure`](windlass_base::error::Failure) inside [`DataFusionError::External`].
pub(crate) fn check(batch: &RecordBatch, spec: &WriteSpec, constraints: &[RowConstraint]) -> Result<()> {
    for (field, column) in spec.schema.fields().iter().zip(batch.columns()) {
        if field.is_nullable() {
            continue;
        }
        let nulls = column.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        if let Some(row) = nulls.and_then(|nulls| (0..nulls.len()).find(|&row| nulls.is_null(row))) {
            let column = field.name().clone();
            return Err(external(WriteError::NullValue {
                table: spec.table.clone(),
                column,
                row: row_text(batch, row),
            }));
        }
    }
    for constraint in constraints {
        if let Some(row) = first_broken(batch, constraint)? {
            return Err(external(WriteError::ConstraintBroken {
                table: spec.table.clone(),
                constraint: constraint.name.clone(),
                sql: constraint.sql.clone(),
                row: row_text(batch, row),
            }));
        }
    }
    Ok(())
}

/// The first row whose condition is false or null.
fn first_broken(batch: &RecordBatch, constraint: &RowConstraint) -> Result<Option<usize>> {
    let verdict = constraint.condition.evaluate(batch)?.into_array(batch.num_rows())?;
    let verdict = verdict.as_boolean_opt().ok_or_else(|| {
        DataFusionError::Internal(format!("the constraint `{}` does not yield booleans", constraint.name))
    })?;
    if verdict.null_count() == 0 && verdict.true_count() == verdict.len() {
        return Ok(None);
    }
    Ok((0..verdict.len()).find(|&row| verdict.is_null(row) || !verdict.value(row)))
}

/// A row's values for a message: the first columns, each shortened.
pub(super) fn row_text(batch: &RecordBatch, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    let schema = batch.schema();
    let mut parts: Vec<String> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .take(SHOWN_COLUMNS)
        .map(|(field, column)| {
            let value = ArrayFormatter::try_new(column, &options)
                .and_then(|formatter| formatter.value(row).try_to_string())
                .unwrap_or_else(|_| "?".to_owned());
            format!("{} = {}", field.name(), shortened(&value))
        })
        .collect();
    if batch.num_columns() > SHOWN_COLUMNS {
        parts.push("…".to_owned());
    }
    parts.join(", ")
}

/// `text` on one line and not too long.
fn shortened(text: &str) -> String {
    let mut short: String =
        text.chars().take(SHOWN_VALUE).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if text.chars().nth(SHOWN_VALUE).is_some() {
        short.push('…');
    }
    short
}

/// The error as a task raises it: a failure with its code, which no engine on the way takes apart.
pub(crate) fn external(error: WriteError) -> DataFusionError {
    DataFusionError::External(Box::new(error.to_failure()))
}
