//! The columns of the system tables, and the cells in them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use windlass_project::contract::ContractType;
use windlass_project::literal_rows::Cell;
use windlass_project::spec::column_type::ColumnType;

/// A column of a system table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// What it holds, for the documentation.
    pub about: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Time,
    Texts,
    Numbers,
    Tags,
}

impl Column {
    /// The type that it has in tables.
    pub fn contract_type(&self) -> ContractType {
        let plain = ContractType::Primitive;
        let by_name = |of| ContractType::Map(Box::new(plain(ColumnType::String)), Box::new(plain(of)));
        match self.kind {
            Kind::Text => plain(ColumnType::String),
            Kind::Integer => plain(ColumnType::Long),
            Kind::Boolean => plain(ColumnType::Boolean),
            Kind::Time => plain(ColumnType::Timestamp),
            Kind::Texts => ContractType::Array(Box::new(plain(ColumnType::String))),
            Kind::Numbers => by_name(ColumnType::Long),
            Kind::Tags => by_name(ColumnType::String),
        }
    }

    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Text }
    }

    pub(super) const fn integer(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Integer }
    }

    pub(super) const fn boolean(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Boolean }
    }

    pub(super) const fn time(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Time }
    }

    pub(super) const fn texts(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Texts }
    }

    pub(super) const fn numbers(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Numbers }
    }

    pub(super) const fn tags(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Tags }
    }
}

/// What makes the cell of a column from what a row is about.
pub(super) type CellOf<T> = fn(&T) -> Cell;

pub(super) fn text(value: impl AsRef<str>) -> Cell {
    Cell::Text(value.as_ref().to_owned())
}

pub(super) fn maybe_text(value: Option<impl AsRef<str>>) -> Cell {
    value.map_or(Cell::Null, text)
}

pub(super) fn texts(values: &[String]) -> Cell {
    Cell::List(values.iter().map(text).collect())
}

pub(super) fn integer(value: impl TryInto<i64>) -> Cell {
    Cell::Integer(value.try_into().unwrap_or(i64::MAX))
}

pub(super) fn maybe_integer(value: Option<u64>) -> Cell {
    value.map_or(Cell::Null, integer)
}

pub(super) fn time(value: DateTime<Utc>) -> Cell {
    Cell::Timestamp(value.timestamp_micros())
}

pub(super) fn maybe_time(value: Option<DateTime<Utc>>) -> Cell {
    value.map_or(Cell::Null, time)
}

/// Milliseconds from one time to another, if both are known.
pub(super) fn millis(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Cell {
    from.zip(to).map_or(Cell::Null, |(from, to)| Cell::Integer((to - from).num_milliseconds()))
}

/// A value that is one word in JSON.
pub(super) fn word(value: impl Serialize) -> Cell {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Cell::Text(word),
        _ => Cell::Null,
    }
}
