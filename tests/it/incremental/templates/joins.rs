//! Queries over two or more relations.

use super::{Query, Select};
use crate::incremental::relation::{Column, Draw, Kind, MAX_ROWS, Relation};

/// A relation with a key of one column, and the column of `of` that finds it.
fn looked_up(draw: &mut Draw, of: &Relation) -> Option<(Relation, Column, Column)> {
    let kinds: Vec<Kind> = of.columns.iter().map(|column| column.kind).collect();
    let other = draw
        .relation(|relation| relation.single_key().is_some_and(|key| key.kind.is_key() && kinds.contains(&key.kind)))?;
    let key = other.single_key()?;
    let by = draw.column(of, |column| column.kind == key.kind)?;
    Some((other, by, key))
}

/// Each row with the row, if any, that one of its columns references.
pub(super) fn lookup(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let (other, by, key) = looked_up(draw, &from)?;
    let left = draw.chance(0.5);
    let mut select = Select::default();
    select.keys("a", &from);
    select.values(draw, "a", &from, 2, false);
    select.values(draw, "b", &other, 2, left);
    let join = if left { "LEFT JOIN" } else { "JOIN" };
    let extra = if draw.chance(0.3) { format!(" AND {}", draw.condition("b", &other)) } else { String::new() };
    let filter = draw.maybe_where("a", &from);
    let sql = format!(
        "SELECT {} FROM {} AS a {join} {} AS b ON a.{} = b.{}{extra}{filter}",
        select.list(),
        from.name,
        other.name,
        by.name,
        key.name,
    );
    Some(select.query(sql, from.rows))
}

pub(super) fn lookup_of_lookup(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let (second, by, key) = looked_up(draw, &from)?;
    let (third, next_by, next_key) = looked_up(draw, &second)?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.values(draw, "a", &from, 1, false);
    select.values(draw, "b", &second, 1, true);
    select.values(draw, "c", &third, 1, true);
    let joins = ["JOIN", "LEFT JOIN"];
    let sql = format!(
        "SELECT {} FROM {} AS a {} {} AS b ON a.{} = b.{} {} {} AS c ON b.{} = c.{}",
        select.list(),
        from.name,
        draw.pick(&joins),
        second.name,
        by.name,
        key.name,
        draw.pick(&joins),
        third.name,
        next_by.name,
        next_key.name,
    );
    Some(select.query(sql, from.rows))
}

/// All pairs of rows that agree in a column.
pub(super) fn pairs(draw: &mut Draw, join: &str) -> Option<Query> {
    let one = draw.relation(|relation| relation.is_keyed() && relation.key.len() <= 2)?;
    let other = draw.relation(|relation| {
        relation.is_keyed() && relation.key.len() <= 2 && relation.rows * one.rows / 4 < MAX_ROWS
    })?;
    let (left, right) = draw.join_columns(&one, &other)?;
    let (outer_one, outer_other) = (join.starts_with(['R', 'F']), join.starts_with(['L', 'F']));
    let mut select = Select::default();
    for (alias, relation, outer) in [("a", &one, outer_one), ("b", &other, outer_other)] {
        match outer {
            true => select.optional_keys(draw, alias, relation),
            false => select.keys(alias, relation),
        }
    }
    select.values(draw, "a", &one, 2, outer_one);
    select.values(draw, "b", &other, 2, outer_other);
    let extra = if draw.chance(0.25) { format!(" AND {}", draw.condition("b", &other)) } else { String::new() };
    let sql = format!(
        "SELECT {} FROM {} AS a {join} {} AS b ON a.{} = b.{}{extra}",
        select.list(),
        one.name,
        other.name,
        left.name,
        right.name,
    );
    Some(select.query(sql, one.rows * other.rows / 4 + one.rows + other.rows))
}

pub(super) fn self_join(draw: &mut Draw) -> Option<Query> {
    let from = draw.relation(|relation| {
        relation.rows * relation.rows / 6 < MAX_ROWS && relation.single_key().is_some_and(|key| key.kind.is_key())
    })?;
    let key = from.single_key()?;
    let by = draw.column(&from, |column| column.kind.is_key() && column.name != key.name)?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.keys("b", &from);
    select.values(draw, "a", &from, 1, false);
    select.values(draw, "b", &from, 1, false);
    let sql = format!(
        "SELECT {} FROM {} AS a JOIN {} AS b ON a.{} = b.{} AND a.{} < b.{}",
        select.list(),
        from.name,
        from.name,
        by.name,
        by.name,
        key.name,
        key.name,
    );
    Some(select.query(sql, from.rows * from.rows / 6 + 1))
}

/// The rows of one relation for which `condition` of columns of both holds.
fn filtered(draw: &mut Draw, condition: impl Fn(&mut Draw, &Relation, &Column, &Column) -> String) -> Option<Query> {
    let from = draw.keyed()?;
    let other = draw.relation(|_| true)?;
    let (left, right) = draw.join_columns(&from, &other)?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.values(draw, "a", &from, 3, false);
    let condition = condition(draw, &other, &left, &right);
    let sql = format!("SELECT {} FROM {} AS a WHERE {condition}", select.list(), from.name);
    Some(select.query(sql, from.rows))
}

fn exists_in(draw: &mut Draw, other: &Relation, left: &Column, right: &Column) -> String {
    let extra = if draw.chance(0.5) { format!(" AND {}", draw.condition("b", other)) } else { String::new() };
    format!("EXISTS (SELECT 1 FROM {} AS b WHERE b.{} = a.{}{extra})", other.name, right.name, left.name)
}

pub(super) fn exists(draw: &mut Draw) -> Option<Query> {
    filtered(draw, exists_in)
}

pub(super) fn not_exists(draw: &mut Draw) -> Option<Query> {
    filtered(draw, |draw, other, left, right| format!("NOT {}", exists_in(draw, other, left, right)))
}

pub(super) fn is_in(draw: &mut Draw) -> Option<Query> {
    filtered(draw, |draw, other, left, right| {
        let filter = draw.maybe_where("b", other);
        format!("a.{} IN (SELECT b.{} FROM {} AS b{filter})", left.name, right.name, other.name)
    })
}

/// `NOT IN` over columns that are never null, on both sides: with nulls the result depends on the whole other relation.
pub(super) fn not_in(draw: &mut Draw) -> Option<Query> {
    let mut query = filtered(draw, |_, other, left, right| {
        let (left, right, other) = (&left.name, &right.name, &other.name);
        format!(
            "a.{left} IS NOT NULL AND a.{left} NOT IN (SELECT b.{right} FROM {other} AS b WHERE b.{right} IS NOT NULL)"
        )
    })?;
    // The cluster's optimizer makes it a join on counts of the whole other relation.
    query.traceable = false;
    Some(query)
}

pub(super) fn correlated(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let other = draw.relation(|relation| relation.has(|column| column.kind.is_ordered()))?;
    let (left, right) = draw.join_columns(&from, &other)?;
    let value = draw.column(&other, |column| column.kind.is_ordered())?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.values(draw, "a", &from, 2, false);
    let from_other = format!("FROM {} AS b WHERE b.{} = a.{}", other.name, right.name, left.name);
    let most = draw.pick(&["min", "max"]);
    select.value(&format!("(SELECT {most}(b.{}) {from_other})", value.name), value.kind, true);
    if draw.chance(0.5) {
        select.value(&format!("(SELECT count(*) {from_other})"), Kind::Int, true);
    }
    let sql = format!("SELECT {} FROM {} AS a", select.list(), from.name);
    Some(select.query(sql, from.rows))
}

/// A join on an inequality, through which no key of a change can be traced.
pub(super) fn comparison(draw: &mut Draw) -> Option<Query> {
    let one = draw.relation(|relation| relation.is_keyed() && relation.key.len() == 1 && relation.rows <= 60)?;
    let other = draw.relation(|relation| {
        relation.is_keyed() && relation.key.len() == 1 && relation.rows * one.rows / 2 < MAX_ROWS * 2
    })?;
    let (left, right) = draw.join_columns(&one, &other)?;
    let mut select = Select::default();
    select.keys("a", &one);
    select.keys("b", &other);
    select.values(draw, "b", &other, 1, false);
    let sql = format!(
        "SELECT {} FROM {} AS a JOIN {} AS b ON a.{} < b.{}",
        select.list(),
        one.name,
        other.name,
        left.name,
        right.name
    );
    let mut query = select.query(sql, one.rows * other.rows / 2);
    query.traceable = false;
    Some(query)
}
