//! How the rows of a table differ from those that are expected.

use std::collections::HashMap;

use serde::Serialize;

use crate::literal_rows::{Cell, Row};

/// How the rows of a table differ from those that are expected. Rows have no order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableDiff {
    /// The columns that were looked at.
    pub columns: Vec<String>,
    /// Those of them by which rows were known again.
    pub key: Vec<String>,
    /// How many rows were expected.
    pub expected: usize,
    /// How many there are.
    pub found: usize,
    /// Expected rows that are not there.
    pub missing: Vec<Row>,
    /// Rows that are there and not expected.
    pub unexpected: Vec<Row>,
    /// Rows that are there with the expected key and other values.
    pub changed: Vec<ChangedRow>,
}

/// A row with the expected key and other values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedRow {
    /// As it should be.
    pub expected: Row,
    /// As it is.
    pub found: Row,
    /// The places of the columns that differ.
    pub differs: Vec<usize>,
}

impl TableDiff {
    /// Whether the rows are those that were expected.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.changed.is_empty()
    }
}

/// Compares rows as multisets: each row as often here as there. What is left over on both sides with the same `key`
/// (names of `columns`) and is the only one with it is a changed row. Floats are equal within `tolerance`, else exactly.
pub fn compare(
    columns: Vec<String>,
    key: Vec<String>,
    expected: Vec<Row>,
    found: Vec<Row>,
    tolerance: Option<f64>,
) -> TableDiff {
    let (expected_rows, found_rows) = (expected.len(), found.len());
    let (mut missing, mut unexpected) = without_equal(expected, found);
    if let Some(tolerance) = tolerance {
        missing.retain(|row| {
            let near = |other: &Row| row.iter().zip(other).all(|(a, b)| a.is_near(b, tolerance));
            let place = unexpected.iter().position(near);
            place.map(|place| unexpected.remove(place)).is_none()
        });
    }
    let places: Vec<usize> = key.iter().filter_map(|name| columns.iter().position(|column| column == name)).collect();
    let changed = match places.len() == key.len() && !key.is_empty() {
        true => pair_by_key(&places, &mut missing, &mut unexpected, tolerance),
        false => Vec::new(),
    };
    // The engine gives rows in any order.
    unexpected.sort_by_cached_key(|row| row_key(row));
    TableDiff { columns, key, expected: expected_rows, found: found_rows, missing, unexpected, changed }
}

fn row_key(row: &[Cell]) -> String {
    row.iter().map(Cell::canonical).collect::<Vec<_>>().join("\u{1f}")
}

/// Both sides without the rows that they have in common.
fn without_equal(expected: Vec<Row>, found: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for row in &found {
        *counts.entry(row_key(row)).or_default() += 1;
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    let missing = expected.into_iter().filter(|row| {
        let key = row_key(row);
        match counts.get_mut(&key) {
            Some(left) if *left > 0 => {
                *left -= 1;
                *taken.entry(key).or_default() += 1;
                false
            }
            _ => true,
        }
    });
    let missing: Vec<Row> = missing.collect();
    let unexpected = found.into_iter().filter(|row| match taken.get_mut(&row_key(row)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    (missing, unexpected.collect())
}

/// Takes the rows out of both sides that have a key in common which no other row of their side has.
fn pair_by_key(
    places: &[usize],
    missing: &mut Vec<Row>,
    unexpected: &mut Vec<Row>,
    tolerance: Option<f64>,
) -> Vec<ChangedRow> {
    let key_of = |row: &Row| row_key(&places.iter().filter_map(|place| row.get(*place).cloned()).collect::<Vec<_>>());
    let counted = |rows: &[Row]| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        rows.iter().for_each(|row| *counts.entry(key_of(row)).or_default() += 1);
        counts
    };
    let (here, there) = (counted(missing), counted(unexpected));
    let paired = |key: &String| here.get(key) == Some(&1) && there.get(key) == Some(&1);
    let mut found: HashMap<String, Row> = HashMap::new();
    for row in std::mem::take(unexpected) {
        let key = key_of(&row);
        if paired(&key) { drop(found.insert(key, row)) } else { unexpected.push(row) }
    }
    let mut changed = Vec::new();
    for expected in std::mem::take(missing) {
        let Some(found) = found.remove(&key_of(&expected)) else {
            missing.push(expected);
            continue;
        };
        let same = |(a, b): (&Cell, &Cell)| match tolerance {
            Some(tolerance) => a.is_near(b, tolerance),
            None => a.canonical() == b.canonical(),
        };
        let pairs = expected.iter().zip(&found).enumerate();
        let differs = pairs.filter(|(_, pair)| !same(*pair)).map(|(place, _)| place).collect();
        changed.push(ChangedRow { expected, found, differs });
    }
    changed
}
