//! Set operations.

use super::{Query, Select};
use crate::incremental::relation::{Column, Draw, Kind, Relation};

/// A relation with a single-column key of a kind, and one of its numeric columns if it has any.
fn side(draw: &mut Draw, kind: Option<Kind>) -> Option<(Relation, Column, Option<Column>)> {
    let relation = draw.relation(|relation| {
        relation.single_key().is_some_and(|key| key.kind.is_key() && kind.is_none_or(|kind| kind == key.kind))
    })?;
    let key = relation.single_key()?;
    let number = draw.column(&relation, |column| column.kind == Kind::Half);
    Some((relation, key, number))
}

fn number(column: Option<&Column>) -> String {
    column.map_or_else(|| "CAST(NULL AS DOUBLE)".to_owned(), |column| format!("a.{}", column.name))
}

/// The rows of two relations, distinguished by a first key column.
pub(super) fn union_all(draw: &mut Draw) -> Option<Query> {
    let (one, key, one_number) = side(draw, None)?;
    let (other, other_key, other_number) = side(draw, Some(key.kind))?;
    let mut select = Select::default();
    select.key("'one'", Kind::Text);
    select.key(&format!("a.{}", key.name), key.kind);
    select.value(&number(one_number.as_ref()), Kind::Half, true);
    let first = draw.maybe_where("a", &one);
    let second = draw.maybe_where("a", &other);
    let sql = format!(
        "SELECT {} FROM {} AS a{first} UNION ALL SELECT 'other' AS k1, a.{} AS k2, {} AS v1 FROM {} AS a{second}",
        select.list(),
        one.name,
        other_key.name,
        number(other_number.as_ref()),
        other.name,
    );
    let mut query = select.query(sql, one.rows + other.rows);
    if draw.chance(0.3) {
        query.partition_by = vec!["k1".to_owned()];
    }
    Some(query)
}

pub(super) fn group_of_union(draw: &mut Draw) -> Option<Query> {
    let (one, key, one_number) = side(draw, None)?;
    let (other, other_key, other_number) = side(draw, Some(key.kind))?;
    let mut select = Select::default();
    select.key("u.k", key.kind);
    select.value("count(*)", Kind::Int, false);
    select.value("sum(u.x)", Kind::Half, true);
    let sql = format!(
        "SELECT {} FROM (SELECT a.{} AS k, {} AS x FROM {} AS a UNION ALL SELECT a.{}, {} FROM {} AS a) AS u GROUP BY u.k",
        select.list(),
        key.name,
        number(one_number.as_ref()),
        one.name,
        other_key.name,
        number(other_number.as_ref()),
        other.name,
    );
    Some(select.query(sql, one.rows + other.rows))
}

/// `UNION`, `INTERSECT` or `EXCEPT` of one column of each.
pub(super) fn set_operation(draw: &mut Draw) -> Option<Query> {
    let one = draw.relation(|_| true)?;
    let other = draw.relation(|_| true)?;
    let (left, right) = draw.join_columns(&one, &other)?;
    let operation = draw.pick(&["UNION", "INTERSECT", "EXCEPT"]);
    let mut select = Select::default();
    select.key(&format!("a.{}", left.name), left.kind);
    let sql = format!(
        "SELECT {} FROM {} AS a WHERE a.{} IS NOT NULL {operation} SELECT b.{} FROM {} AS b WHERE b.{} IS NOT NULL",
        select.list(),
        one.name,
        left.name,
        right.name,
        other.name,
        right.name,
    );
    Some(select.query(sql, one.rows + other.rows))
}
