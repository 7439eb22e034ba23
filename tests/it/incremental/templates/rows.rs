//! Row-wise queries.

use super::{Query, Select};
use crate::incremental::relation::{Draw, Kind};

pub(super) fn project(draw: &mut Draw) -> Option<Query> {
    let from = draw.keyed()?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.values(draw, "a", &from, 4, false);
    let filter = draw.maybe_where("a", &from);
    let sql = format!("SELECT {} FROM {} AS a{filter}", select.list(), from.name);
    Some(select.query(sql, from.rows))
}

pub(super) fn unnest(draw: &mut Draw) -> Option<Query> {
    let from = draw.relation(|relation| relation.is_keyed() && relation.has(|column| column.kind == Kind::List))?;
    let list = draw.column(&from, |column| column.kind == Kind::List)?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.key(&format!("unnest(a.{})", list.name), Kind::Int);
    let key = select.key.last()?.clone();
    let plain = draw.column(&from, |column| column.kind != Kind::List)?;
    select.value(&format!("a.{}", plain.name), plain.kind, plain.nullable);
    let filter = draw.maybe_where("a", &from);
    let sql = format!(
        "SELECT * FROM (SELECT {} FROM {} AS a{filter}) AS u WHERE u.{key} IS NOT NULL",
        select.list(),
        from.name
    );
    Some(select.query(sql, from.rows * 2))
}

/// The different words of a text, one row each.
pub(super) fn words(draw: &mut Draw) -> Option<Query> {
    let from = draw.relation(|relation| {
        relation.is_keyed() && relation.has(|column| column.kind == Kind::Text && !relation.key.contains(&column.name))
    })?;
    let text = draw.column(&from, |column| column.kind == Kind::Text && !from.key.contains(&column.name))?;
    let mut select = Select::default();
    select.keys("a", &from);
    select.key(&format!("unnest(string_to_array(a.{}, ' '))", text.name), Kind::Text);
    let key = select.key.last()?.clone();
    let names = select.key.join(", ");
    let sql = format!(
        "SELECT DISTINCT {names} FROM (SELECT {} FROM {} AS a) AS u WHERE u.{key} IS NOT NULL AND u.{key} <> ''",
        select.list(),
        from.name
    );
    Some(select.query(sql, from.rows * 3))
}
