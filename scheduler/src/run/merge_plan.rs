//! The difference between rows that are there and rows that should be, as a plan.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, NullEquality, Result};
use datafusion::logical_expr::{
    Expr, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit, when,
};
use windlass_delta::merge::{DELETE, INSERT, NEW_PREFIX, OLD_PREFIX, OP, ROW_FILE, ROW_POSITION, UPDATE};
use windlass_engine::function::exact::sum_of;

const OLD: &str = "__wl_o";
const NEW: &str = "__wl_n";

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

/// The input of a merge that turns the rows `there`, of an addressed scan, into the rows `new`: matched by `key`; rows
/// that are the same in all columns of `schema` are left alone.
pub(super) fn merge_input(
    new: LogicalPlan,
    there: LogicalPlan,
    schema: &SchemaRef,
    key: &[String],
) -> Result<LogicalPlan> {
    let new = LogicalPlanBuilder::from(new).alias(NEW)?.build()?;
    let old = LogicalPlanBuilder::from(there).alias(OLD)?.build()?;
    let of = |side: &str, name: &str| Expr::Column(Column::new(Some(side), name));
    let on = key.iter().map(|name| (of(NEW, name), of(OLD, name))).collect();
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
