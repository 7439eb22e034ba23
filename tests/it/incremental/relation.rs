//! What generated SQL can use of a table: columns of a few kinds, and a real key.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// The kind of values in a column, and so what generated SQL may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `BIGINT`, small numbers.
    Int,
    /// `VARCHAR`, never empty: as a partition value an empty text would be null.
    Text,
    /// `DOUBLE`, a small multiple of a power of two: its sums are exact in any order.
    Half,
    /// `DOUBLE`, the result of a division: it can be compared, not summed.
    Ratio,
    /// `DATE`.
    Day,
    /// `BOOLEAN`.
    Flag,
    /// A list of different `BIGINT`s, none of them null.
    List,
}

impl Kind {
    /// Whether a column of this kind may be part of a key or of a join's condition.
    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::Int | Self::Text | Self::Day)
    }

    /// Whether the order in which its values are summed makes no difference.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Half)
    }

    /// Whether values are ordered, so that there is a minimum and a maximum.
    pub(super) fn is_ordered(self) -> bool {
        !matches!(self, Self::Flag | Self::List)
    }

    /// A plausible value in SQL for a column of this kind.
    pub(super) fn literal(self, random: &mut StdRng) -> String {
        match self {
            Self::Int => random.random_range(0..9).to_string(),
            Self::Text => format!("'{}'", TEXTS.choose(random).unwrap()),
            Self::Half | Self::Ratio => format!("{:.1}", f64::from(random.random_range(-4..8)) / 2.0),
            Self::Day => format!("DATE '2026-01-0{}'", random.random_range(1..7)),
            Self::Flag => random.random_bool(0.5).to_string(),
            Self::List => "NULL".to_owned(),
        }
    }
}

/// Texts, including some that must be escaped in folder names.
pub(super) const TEXTS: [&str; 7] = ["a", "b", "c", "d", "A b", "é", "x=1/2"];

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

impl Column {
    pub(super) fn new(name: impl Into<String>, kind: Kind, nullable: bool) -> Self {
        Self { name: name.into(), kind, nullable }
    }
}

/// A source or a stage as generated SQL sees it.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The columns whose values are different in every row and never null; none if rows may be equal.
    pub(super) key: Vec<String>,
    /// About how many rows there can be, so that joins of joins stay small.
    pub(super) rows: usize,
    /// Whether it is a stage.
    pub(super) derived: bool,
}

impl Relation {
    pub(super) fn is_keyed(&self) -> bool {
        !self.key.is_empty()
    }

    pub(super) fn key_columns(&self) -> Vec<Column> {
        self.columns.iter().filter(|column| self.key.contains(&column.name)).cloned().collect()
    }

    pub(super) fn has(&self, wanted: impl Fn(&Column) -> bool) -> bool {
        self.columns.iter().any(wanted)
    }

    /// The kind of the key, if that is one column.
    pub(super) fn single_key(&self) -> Option<Column> {
        let mut columns = self.key_columns();
        if columns.len() == 1 { columns.pop() } else { None }
    }
}

/// Approximately how many rows relations and their joins may have.
pub(super) const MAX_ROWS: usize = 600;

/// Random choices among the relations so far.
pub(super) struct Draw {
    pub(super) random: StdRng,
    pub(super) relations: Vec<Relation>,
}

impl Draw {
    /// A key's value in SQL that no column of the relations so far holds: a value in place of null becomes one that the
    /// stage's readers see, so every stage has its own.
    pub(super) fn absent(&self, kind: Kind) -> String {
        let stage = self.relations.len();
        match kind {
            Kind::Int => format!("CAST(-{} AS BIGINT)", 100 * (stage + 1)),
            Kind::Text => format!("'{}'", "~".repeat(stage)),
            Kind::Day => format!("DATE '{}-01-01'", 1900 + stage),
            Kind::Half | Kind::Ratio | Kind::Flag | Kind::List => unreachable!("{kind:?} cannot be a key"),
        }
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    pub(super) fn upto(&mut self, most: usize) -> usize {
        self.random.random_range(0..=most)
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.random).cloned().unwrap()
    }

    /// A relation for which `wanted` holds; stages more often than sources, so that chains arise.
    pub(super) fn relation(&mut self, wanted: impl Fn(&Relation) -> bool) -> Option<Relation> {
        let fitting: Vec<Relation> = self.relations.iter().filter(|relation| wanted(relation)).cloned().collect();
        let derived: Vec<Relation> = fitting.iter().filter(|relation| relation.derived).cloned().collect();
        if !derived.is_empty() && self.chance(0.6) {
            return Some(self.pick(&derived));
        }
        fitting.choose(&mut self.random).cloned()
    }

    pub(super) fn keyed(&mut self) -> Option<Relation> {
        self.relation(|relation| relation.is_keyed() && relation.key.len() <= 3)
    }

    /// A column for which `wanted` holds.
    pub(super) fn column(&mut self, of: &Relation, wanted: impl Fn(&Column) -> bool) -> Option<Column> {
        let fitting: Vec<Column> = of.columns.iter().filter(|column| wanted(column)).cloned().collect();
        fitting.choose(&mut self.random).cloned()
    }

    /// Two columns of the same kind, one of each relation, that a join can compare.
    pub(super) fn join_columns(&mut self, one: &Relation, other: &Relation) -> Option<(Column, Column)> {
        let pairs: Vec<(Column, Column)> = one
            .columns
            .iter()
            .flat_map(|left| other.columns.iter().map(move |right| (left.clone(), right.clone())))
            .filter(|(left, right)| left.kind == right.kind && left.kind.is_key())
            .collect();
        pairs.choose(&mut self.random).cloned()
    }

    /// An expression over a column, and its kind.
    pub(super) fn expression(&mut self, alias: &str, column: &Column) -> (String, Kind, bool) {
        let name = format!("{alias}.{}", column.name);
        let plain = (name.clone(), column.kind, column.nullable);
        if self.chance(0.4) {
            return plain;
        }
        let nullable = column.nullable;
        match (column.kind, self.upto(3)) {
            (Kind::Int, 0) => (format!("{name} + 1"), Kind::Int, nullable),
            (Kind::Int, 1) => (format!("{name} % 3"), Kind::Int, nullable),
            (Kind::Int, 2) => (format!("coalesce({name}, 0)"), Kind::Int, false),
            (Kind::Int, _) => (format!("CASE WHEN {name} > 3 THEN 'many' ELSE 'few' END"), Kind::Text, false),
            (Kind::Text, 0) => (format!("upper({name})"), Kind::Text, nullable),
            (Kind::Text, 1) => (format!("{name} || '!'"), Kind::Text, nullable),
            (Kind::Text, 2) => (format!("coalesce({name}, 'none')"), Kind::Text, false),
            (Kind::Text, _) => (format!("CAST(character_length({name}) AS BIGINT)"), Kind::Int, nullable),
            (Kind::Half, 0) => (format!("{name} * 2"), Kind::Half, nullable),
            (Kind::Half, 1) => (format!("{name} + 0.5"), Kind::Half, nullable),
            (Kind::Half, 2) => (format!("{name} > 1.0"), Kind::Flag, nullable),
            (Kind::Day, 0) => (format!("CAST(date_part('day', {name}) AS BIGINT)"), Kind::Int, nullable),
            (Kind::Flag, 0) => (format!("{name} IS TRUE"), Kind::Flag, false),
            (Kind::Flag, 1) => (format!("NOT {name}"), Kind::Flag, nullable),
            (Kind::List, 0 | 1) => (format!("CAST(array_length({name}) AS BIGINT)"), Kind::Int, true),
            _ => plain,
        }
    }

    /// A condition over a relation's columns.
    pub(super) fn condition(&mut self, alias: &str, of: &Relation) -> String {
        let one = self.comparison(alias, of);
        match self.upto(5) {
            0 => format!("({one} OR {})", self.comparison(alias, of)),
            1 => format!("({one} AND {})", self.comparison(alias, of)),
            _ => one,
        }
    }

    fn comparison(&mut self, alias: &str, of: &Relation) -> String {
        let column = self.column(of, |column| column.kind != Kind::List).unwrap();
        let name = format!("{alias}.{}", column.name);
        let (one, other) = (column.kind.literal(&mut self.random), column.kind.literal(&mut self.random));
        match (column.kind, self.upto(4)) {
            (Kind::Flag, 0 | 1) => name,
            (Kind::Flag, _) => format!("{name} IS NOT TRUE"),
            (_, 0) => format!("{name} IS NOT NULL"),
            (_, 1) => format!("{name} <> {one}"),
            (Kind::Text, 2) => format!("{name} LIKE '%a%'"),
            (Kind::Int, 2) => format!("{name} % 2 = 0"),
            (_, 2) => format!("{name} >= {one}"),
            (_, 3) => format!("{name} IN ({one}, {other})"),
            _ => format!("({name} <= {one} OR {name} IS NULL)"),
        }
    }

    /// ` WHERE …`, or nothing.
    pub(super) fn maybe_where(&mut self, alias: &str, of: &Relation) -> String {
        if self.chance(0.5) { format!(" WHERE {}", self.condition(alias, of)) } else { String::new() }
    }
}
