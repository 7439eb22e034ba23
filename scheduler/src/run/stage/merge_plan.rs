//! The difference between the existing rows and the rows that there should be, as a plan.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit,
    when,
};
use windlass_delta::merge::{DELETE, INSERT, NEW_PREFIX, OLD_PREFIX, OP, ROW_FILE, ROW_POSITION, UPDATE};
use windlass_engine::function::exact::sum_of;

const OLD: &str = "__wl_o";
const NEW: &str = "__wl_n";
/// Which of the rows of its key a row is.
const COPY: &str = "__wl_copy";

/// Rows whose keys count: once, or, of rows that go, less one.
pub(super) struct Counted {
    pub(super) rows: LogicalPlan,
    pub(super) each: i64,
}

/// The keys that more than one row has when all of `parts` are counted together, with how many have them; at most `most`.
pub(super) fn shared_keys(parts: Vec<Counted>, key: &[String], most: usize) -> Result<LogicalPlan> {
    let columns = || key.iter().map(|name| Expr::Column(Column::new_unqualified(name)));
    let mut all: Option<LogicalPlanBuilder> = None;
    for part in parts {
        let own = columns().zip(key).map(|(column, name)| column.alias(name));
        let part = LogicalPlanBuilder::from(part.rows).project(own.chain([lit(part.each).alias(EACH)]))?;
        all = Some(match all {
            Some(all) => all.union(part.build()?)?,
            None => part,
        });
    }
    let all = all.unwrap_or_else(|| LogicalPlanBuilder::empty(false));
    let each = Expr::Column(Column::new_unqualified(EACH));
    let counted = Expr::Column(Column::new_unqualified(COUNT));
    all.aggregate(columns(), [sum_of(each).alias(COUNT)])?.filter(counted.gt(lit(1_i64)))?.limit(0, Some(most))?.build()
}

const EACH: &str = "__wl_each";
/// The column of [`shared_keys`] with the number of rows.
pub(super) const COUNT: &str = "__wl_count";

/// The rows that a merge turns into others, and those.
pub(super) struct Pair {
    /// The rows that there are to be.
    pub(super) new: LogicalPlan,
    /// The existing ones, of an addressed scan.
    pub(super) existing: LogicalPlan,
    /// The columns by which a row of one is that of the other.
    pub(super) by: Vec<String>,
}

/// The pair for a table in which another program may have put several rows of a `key`: all but one of them match no new row.
pub(super) fn numbered_copies(new: LogicalPlan, existing: LogicalPlan, key: &[String]) -> Result<Pair> {
    let column = |name: &str| Expr::Column(Column::new_unqualified(name));
    let number = row_number()
        .partition_by(key.iter().map(|name| column(name)).collect())
        .order_by(vec![column(ROW_FILE).sort(true, false), column(ROW_POSITION).sort(true, false)])
        .build()?;
    let existing = LogicalPlanBuilder::from(existing).window([number.alias(COPY)])?.build()?;
    let all = new.schema().columns().into_iter().map(Expr::Column).chain([lit(1_u64).alias(COPY)]);
    let new = LogicalPlanBuilder::from(new.clone()).project(all)?.build()?;
    Ok(Pair { new, existing, by: key.iter().cloned().chain([COPY.to_owned()]).collect() })
}

/// The input of a merge of a `pair`; rows that are the same in all columns of `schema` are left alone. Those of `key` are the
/// same in rows that match.
pub(super) fn merge_input(pair: Pair, schema: &SchemaRef, key: &[String]) -> Result<LogicalPlan> {
    let new = LogicalPlanBuilder::from(pair.new).alias(NEW)?.build()?;
    let old = LogicalPlanBuilder::from(pair.existing).alias(OLD)?.build()?;
    let of = |side: &str, name: &str| Expr::Column(Column::new(Some(side), name));
    let on = pair.by.iter().map(|name| (of(NEW, name), of(OLD, name))).collect();
    let joined = Join::try_new(
        Arc::new(new),
        Arc::new(old),
        on,
        None,
        JoinType::Full,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )?;
    let is_new = of(OLD, ROW_FILE).is_null();
    // The columns of a key hold no null in the table, and the writer refuses a new row with one.
    let is_gone = match key.first() {
        Some(first) => of(NEW, first).is_null(),
        None => lit(false),
    };
    let differs = schema
        .fields()
        .iter()
        .filter(|field| !key.contains(field.name()))
        .map(|field| match can_compare(field.data_type()) {
            true => binary_expr(of(NEW, field.name()), Operator::IsDistinctFrom, of(OLD, field.name())),
            false => lit(true),
        })
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(false));
    let op = when(is_new.clone(), lit(INSERT)).when(is_gone.clone(), lit(DELETE)).otherwise(lit(UPDATE))?;
    let columns = schema.fields().iter().flat_map(|field| {
        let name = field.name();
        [
            of(NEW, name).alias_qualified(None::<&str>, format!("{NEW_PREFIX}{name}")),
            of(OLD, name).alias_qualified(None::<&str>, format!("{OLD_PREFIX}{name}")),
        ]
    });
    let address = [of(OLD, ROW_FILE).alias(ROW_FILE), of(OLD, ROW_POSITION).alias(ROW_POSITION)];
    LogicalPlanBuilder::from(LogicalPlan::Join(joined))
        .filter(is_new.or(is_gone).or(differs))?
        .project([op.alias(OP)].into_iter().chain(address).chain(columns))?
        .build()
}

/// Whether the engine can say if two values of the type are the same.
fn can_compare(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => false,
        DataType::List(field) => can_compare(field.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| can_compare(field.data_type())),
        _ => true,
    }
}
