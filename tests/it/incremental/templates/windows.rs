//! Queries with window functions, each over a total order.

use super::{Query, Select};
use crate::incremental::relation::{Column, Draw, Kind, Relation};

/// A column to partition windows by, and a total order of the rows in them.
fn window(draw: &mut Draw, from: &Relation) -> Option<(Column, String)> {
    let by = draw.column(from, |column| column.kind.is_key() && !from.key.contains(&column.name))?;
    let mut order: Vec<String> = from.key_columns().iter().map(|column| format!("a.{}", column.name)).collect();
    if draw.chance(0.5)
        && let Some(first) = draw.column(from, |column| column.kind.is_ordered())
    {
        let direction = draw.pick(&["ASC", "DESC"]);
        let nulls = draw.pick(&["NULLS FIRST", "NULLS LAST"]);
        order.insert(0, format!("a.{} {direction} {nulls}", first.name));
    }
    Some((by, order.join(", ")))
}

/// The rows of each window by their number, which is part of the key.
pub(super) fn numbered(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let (by, order) = window(draw, &from)?;
    let mut select = Select::default();
    let group = if by.nullable {
        format!("coalesce(a.{}, {})", by.name, draw.absent(by.kind))
    } else {
        format!("a.{}", by.name)
    };
    select.key(&group, by.kind);
    let number = format!("CAST(row_number() OVER (PARTITION BY a.{} ORDER BY {order}) AS BIGINT)", by.name);
    select.key(&number, Kind::Int);
    select.values(draw, "a", &from, 2, false);
    let sql = format!("SELECT {} FROM {} AS a", select.list(), from.name);
    let mut query = select.query(sql, from.rows);
    if draw.chance(0.3) {
        query.partition_by = query.key.iter().take(1).cloned().collect();
    }
    Some(query)
}

pub(super) fn first_of_group(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let (by, order) = window(draw, &from)?;
    let mut select = Select::default();
    select.key(&format!("a.{}", by.name), by.kind);
    select.values(draw, "a", &from, 3, false);
    let sql = format!(
        "SELECT {} FROM (SELECT a.*, row_number() OVER (PARTITION BY a.{by} ORDER BY {order}) AS place \
         FROM {} AS a WHERE a.{by} IS NOT NULL) AS a WHERE a.place = 1",
        select.list(),
        from.name,
        by = by.name,
    );
    Some(select.query(sql, from.rows))
}

/// Each row with values of its window.
pub(super) fn values(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let (by, order) = window(draw, &from)?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.value(&format!("a.{}", by.name), by.kind, by.nullable);
    let over = format!("OVER (PARTITION BY a.{} ORDER BY {order})", by.name);
    let whole = format!("OVER (PARTITION BY a.{})", by.name);
    select.value(&format!("count(*) {whole}"), Kind::Int, false);
    for _ in 0..=draw.upto(1) {
        let Some(column) = draw.column(&from, |column| column.kind.is_ordered()) else { continue };
        let name = &column.name;
        match draw.upto(3) {
            0 if column.kind.is_number() => select.value(&format!("sum(a.{name}) {over}"), column.kind, true),
            1 => select.value(&format!("lag(a.{name}) {over}"), column.kind, true),
            2 => select.value(&format!("max(a.{name}) {whole}"), column.kind, true),
            _ => select.value(&format!("CAST(rank() {over} AS BIGINT)"), Kind::Int, false),
        }
    }
    let filter = draw.maybe_where("a", &from);
    let sql = format!("SELECT {} FROM {} AS a{filter}", select.list(), from.name);
    Some(select.query(sql, from.rows))
}
