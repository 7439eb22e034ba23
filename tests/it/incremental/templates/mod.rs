//! Deterministic queries whose key is unique by construction.
//!
//! A template is a shape of SQL; over random relations, columns and conditions it becomes a query. Key columns of results
//! are called `k1`, `k2`, …, the others `v1`, `v2`, …

mod aggregates;
mod joins;
mod rows;
mod sets;
mod windows;

use super::relation::{Column, Draw, Kind, Relation};

/// A generated query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<String>,
    /// Approximately the maximum number of rows.
    pub(super) rows: usize,
    /// Columns to partition the table by, if the template wants that.
    pub(super) partition_by: Vec<String>,
    /// Whether a change of a source touches keys that can be found from the change, so that `strict` holds.
    pub(super) traceable: bool,
}

/// A template: a query over some of the relations, if there are any that it can use.
pub(super) type Template = fn(&mut Draw) -> Option<Query>;

/// All templates by name.
pub(super) const TEMPLATES: [(&str, Template); 29] = [
    ("project", rows::project),
    ("unnest", rows::unnest),
    ("words", rows::words),
    ("lookup", joins::lookup),
    ("lookup of lookup", joins::lookup_of_lookup),
    ("inner join", |draw| joins::pairs(draw, "JOIN")),
    ("left join", |draw| joins::pairs(draw, "LEFT JOIN")),
    ("right join", |draw| joins::pairs(draw, "RIGHT JOIN")),
    ("full join", |draw| joins::pairs(draw, "FULL JOIN")),
    ("self join", joins::self_join),
    ("exists", joins::exists),
    ("not exists", joins::not_exists),
    ("in", joins::is_in),
    ("not in", joins::not_in),
    ("correlated scalar", joins::correlated),
    ("comparison join", joins::comparison),
    ("group", aggregates::group),
    ("group of partition", aggregates::partitioned_group),
    ("group of join", aggregates::group_of_join),
    ("all in one group", aggregates::one_group),
    ("extreme of group", aggregates::extreme),
    ("share of group", aggregates::share),
    ("distinct", aggregates::distinct),
    ("row number", windows::numbered),
    ("first of group", windows::first_of_group),
    ("window values", windows::values),
    ("union all", sets::union_all),
    ("group of union", sets::group_of_union),
    ("set operation", sets::set_operation),
];

/// The select list of a query under construction.
#[derive(Default)]
struct Select {
    items: Vec<String>,
    columns: Vec<Column>,
    key: Vec<String>,
}

impl Select {
    /// Adds an expression as the next key column.
    fn key(&mut self, expression: &str, kind: Kind) {
        let name = format!("k{}", self.key.len() + 1);
        self.items.push(format!("{expression} AS {name}"));
        self.columns.push(Column::new(&name, kind, false));
        self.key.push(name);
    }

    /// Adds the key of a relation.
    fn keys(&mut self, alias: &str, of: &Relation) {
        for column in of.key_columns() {
            self.key(&format!("{alias}.{}", column.name), column.kind);
        }
    }

    /// Adds the key of a relation whose rows an outer join may omit.
    fn optional_keys(&mut self, draw: &Draw, alias: &str, of: &Relation) {
        for column in of.key_columns() {
            self.key(&format!("coalesce({alias}.{}, {})", column.name, draw.absent(column.kind)), column.kind);
        }
    }

    /// Adds an expression as the next column that is not a key.
    fn value(&mut self, expression: &str, kind: Kind, nullable: bool) {
        let name = format!("v{}", self.columns.len() - self.key.len() + 1);
        self.items.push(format!("{expression} AS {name}"));
        self.columns.push(Column::new(name, kind, nullable));
    }

    /// Adds expressions over random columns; `outer` if an outer join may leave the relation's rows out.
    fn values(&mut self, draw: &mut Draw, alias: &str, of: &Relation, most: usize, outer: bool) {
        for _ in 0..=draw.upto(most.saturating_sub(1)) {
            let Some(column) = draw.column(of, |_| true) else { continue };
            let (expression, kind, nullable) = draw.expression(alias, &column);
            self.value(&expression, kind, nullable || outer);
        }
    }

    fn list(&self) -> String {
        self.items.join(", ")
    }

    /// The query `sql`, which has this select list.
    fn query(self, sql: String, rows: usize) -> Query {
        Query { sql, columns: self.columns, key: self.key, rows, partition_by: Vec::new(), traceable: true }
    }
}

/// An expression to group rows by, never null, its kind, and the condition under which it is.
fn group_expression(draw: &mut Draw, alias: &str, of: &Relation) -> Option<(String, Kind, Option<String>)> {
    let column = draw.column(of, |column| column.kind.is_key() || column.kind == Kind::Flag)?;
    let name = format!("{alias}.{}", column.name);
    if column.kind == Kind::Flag {
        let case = format!("CASE WHEN {name} THEN 'yes' WHEN NOT {name} THEN 'no' ELSE 'unknown' END");
        return Some((case, Kind::Text, None));
    }
    Some(match (column.nullable, column.kind, draw.upto(2)) {
        (false, Kind::Int, 0) => (format!("{name} % 3"), Kind::Int, None),
        (false, kind, _) => (name, kind, None),
        // Text that may be missing may be empty as well, and as a partition value there is no empty text.
        (true, Kind::Text, 0) => (name.clone(), Kind::Text, Some(format!("{name} <> ''"))),
        (true, Kind::Text, _) => {
            (format!("coalesce(nullif({name}, ''), {})", draw.absent(Kind::Text)), Kind::Text, None)
        }
        (true, kind, 0) => (name.clone(), kind, Some(format!("{name} IS NOT NULL"))),
        (true, kind, _) => (format!("coalesce({name}, {})", draw.absent(kind)), kind, None),
    })
}

/// Adds aggregates over random columns.
fn aggregates(draw: &mut Draw, select: &mut Select, alias: &str, of: &Relation) {
    select.value("count(*)", Kind::Int, false);
    for _ in 0..draw.upto(3) {
        let Some(column) = draw.column(of, |column| column.kind != Kind::List) else { continue };
        let name = format!("{alias}.{}", column.name);
        match draw.upto(6) {
            0 => select.value(&format!("count({name})"), Kind::Int, false),
            1 => select.value(&format!("count(DISTINCT {name})"), Kind::Int, false),
            2 if column.kind.is_ordered() => select.value(&format!("min({name})"), column.kind, true),
            3 if column.kind.is_ordered() => select.value(&format!("max({name})"), column.kind, true),
            4 if column.kind.is_number() => select.value(&format!("sum({name})"), column.kind, true),
            5 if column.kind.is_number() => select.value(&format!("avg({name})"), Kind::Ratio, true),
            _ => {
                let condition = draw.condition(alias, of);
                select.value(&format!("count(*) FILTER (WHERE {condition})"), Kind::Int, false);
            }
        }
    }
}

/// `conditions`, joined to ` WHERE …`.
fn where_all(conditions: impl IntoIterator<Item = String>) -> String {
    let conditions: Vec<String> = conditions.into_iter().collect();
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}
