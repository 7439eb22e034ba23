//! How the rows of a table differ from the expected ones.

use std::collections::HashMap;

use serde::Serialize;

use crate::literal_rows::{Cell, Row};

/// How the rows of a table differ from the expected ones. Rows have no order.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TableDiff {
    /// The compared columns.
    pub columns: Vec<String>,
    /// The columns by which rows were matched.
    pub key: Vec<String>,
    /// How many rows were expected.
    pub expected: usize,
    /// How many there are.
    pub found: usize,
    /// Expected rows that are missing.
    #[schemars(with = "Vec<Vec<serde_json::Value>>")]
    pub missing: Vec<Row>,
    /// Existing rows that were not expected.
    #[schemars(with = "Vec<Vec<serde_json::Value>>")]
    pub unexpected: Vec<Row>,
    /// Existing rows with an expected key but other values.
    pub changed: Vec<ChangedRow>,
}

/// A row with an expected key but other values.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ChangedRow {
    /// The expected row.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub expected: Row,
    /// The actual row.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub found: Row,
    /// The indexes of the columns that differ.
    pub differs: Vec<usize>,
}

impl TableDiff {
    /// Whether the rows are as expected.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.changed.is_empty()
    }
}

/// Compares rows as multisets. Of the rows without a match, those with the same `key` (names of `columns`) on both
/// sides count as changed rows if the key is unique on each side. Floats are equal within `tolerance`, else exactly.
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
    // The engine returns rows in any order.
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

/// Removes the rows from both sides whose key is the same and unique on each side.
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
