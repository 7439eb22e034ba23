//! Queries that aggregate many rows into one.

use super::{Query, Select, aggregates, group_expression, where_all};
use crate::incremental::relation::{Column, Draw, Kind, MAX_ROWS, Relation};

/// A group by one or two expressions.
fn grouped(draw: &mut Draw, from: &Relation, groups: usize) -> Option<Query> {
    let mut select = Select::default();
    let mut by = Vec::new();
    let mut conditions = Vec::new();
    for _ in 0..groups {
        let (expression, kind, condition) = group_expression(draw, "a", from)?;
        if by.contains(&expression) {
            continue;
        }
        select.key(&expression, kind);
        conditions.extend(condition);
        by.push(expression);
    }
    aggregates(draw, &mut select, "a", from);
    if draw.chance(0.4) {
        conditions.push(draw.condition("a", from));
    }
    let having = match draw.upto(5) {
        0 => " HAVING count(*) > 1".to_owned(),
        1 => " HAVING count(*) % 2 = 1".to_owned(),
        _ => String::new(),
    };
    let sql = format!(
        "SELECT {} FROM {} AS a{} GROUP BY {}{having}",
        select.list(),
        from.name,
        where_all(conditions),
        by.join(", ")
    );
    Some(select.query(sql, from.rows))
}

pub(super) fn group(draw: &mut Draw) -> Option<Query> {
    let from = draw.relation(|_| true)?;
    let groups = 1 + draw.upto(1);
    grouped(draw, &from, groups)
}

/// A group whose key is a partition column, or begins with one.
pub(super) fn partitioned_group(draw: &mut Draw) -> Option<Query> {
    let from = draw.relation(|relation| relation.has(|column| column.kind == Kind::Text))?;
    let groups = if draw.chance(0.7) { 1 } else { 2 };
    let mut query = grouped(draw, &from, groups)?;
    query.partition_by = query.key.iter().take(1).cloned().collect();
    Some(query)
}

pub(super) fn group_of_join(draw: &mut Draw) -> Option<Query> {
    let one = draw.relation(|_| true)?;
    let other = draw.relation(|relation| relation.rows * one.rows / 4 < MAX_ROWS)?;
    let (left, right) = draw.join_columns(&one, &other)?;
    let (expression, kind, condition) = group_expression(draw, "b", &other)?;
    let mut select = Select::default();
    select.key(&expression, kind);
    aggregates(draw, &mut select, "a", &one);
    let sql = format!(
        "SELECT {} FROM {} AS a JOIN {} AS b ON a.{} = b.{}{} GROUP BY {expression}",
        select.list(),
        one.name,
        other.name,
        left.name,
        right.name,
        where_all(condition),
    );
    Some(select.query(sql, other.rows))
}

/// All rows aggregated to one: every change touches it.
pub(super) fn one_group(draw: &mut Draw) -> Option<Query> {
    let from = draw.relation(|_| true)?;
    let mut select = Select::default();
    select.key("CAST(1 AS BIGINT)", Kind::Int);
    aggregates(draw, &mut select, "a", &from);
    let filter = draw.maybe_where("a", &from);
    let sql = format!("SELECT {} FROM {} AS a{filter}", select.list(), from.name);
    let mut query = select.query(sql, 1);
    query.traceable = false;
    Some(query)
}

/// A column to group by and an ordered column, both of `from`.
fn group_and_value(draw: &mut Draw, from: &Relation, wanted: fn(Kind) -> bool) -> Option<(Column, Column)> {
    let by = draw.column(from, |column| column.kind.is_key())?;
    let value = draw.column(from, |column| wanted(column.kind) && column.name != by.name)?;
    Some((by, value))
}

/// The rows with the minimum or maximum of their group: a join on an aggregate's value.
pub(super) fn extreme(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let (by, value) = group_and_value(draw, &from, Kind::is_ordered)?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.values(draw, "a", &from, 2, false);
    let most = draw.pick(&["min", "max"]);
    let sql = format!(
        "SELECT {} FROM {} AS a JOIN (SELECT {by}, {most}({value}) AS most FROM {} GROUP BY {by}) AS m \
         ON a.{by} = m.{by} AND a.{value} = m.most",
        select.list(),
        from.name,
        from.name,
        by = by.name,
        value = value.name,
    );
    Some(select.query(sql, from.rows))
}

/// Each row next to the sum of its group: a common table expression, read once or twice.
pub(super) fn share(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let (by, value) = group_and_value(draw, &from, Kind::is_number)?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.value(&format!("a.{}", value.name), value.kind, value.nullable);
    select.value("g.total", value.kind, true);
    select.value("g.total - h.total + a.row_count", value.kind, true);
    let sql = format!(
        "WITH groups_of AS (SELECT {by} AS by_group, sum({value}) AS total, count(*) AS n FROM {from} GROUP BY {by}), \
         base_rows AS (SELECT *, CAST(2 AS BIGINT) AS row_count FROM {from}) \
         SELECT {} FROM base_rows AS a JOIN groups_of AS g ON a.{by} = g.by_group \
         JOIN groups_of AS h ON a.{by} = h.by_group AND h.n > 1",
        select.list(),
        by = by.name,
        value = value.name,
        from = from.name,
    );
    Some(select.query(sql, from.rows))
}

pub(super) fn distinct(draw: &mut Draw) -> Option<Query> {
    let from = draw.relation(|_| true)?;
    let mut select = Select::default();
    let mut conditions = Vec::new();
    for _ in 0..=draw.upto(1) {
        let (expression, kind, condition) = group_expression(draw, "a", &from)?;
        select.key(&expression, kind);
        conditions.extend(condition);
    }
    let sql = format!("SELECT DISTINCT {} FROM {} AS a{}", select.list(), from.name, where_all(conditions));
    Some(select.query(sql, from.rows))
}
