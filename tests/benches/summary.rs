//! Summarises samples as medians, and medians as Markdown.

use std::fmt;

/// Numbers measured more than once.
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    /// The number in the middle, or between the two in the middle; none of none.
    pub(crate) fn median(&self) -> Option<f64> {
        let (upper, lower) = (self.0.len() / 2, self.0.len().checked_sub(1)? / 2);
        Some((self.0.get(lower)? + self.0.get(upper)?) / 2.0)
    }

    /// Median, least and greatest with `digits` after the point: `1.20 (1.15–1.31)`.
    pub(crate) fn show(&self, digits: usize) -> String {
        match (self.median(), self.0.first(), self.0.last()) {
            (Some(median), Some(least), Some(greatest)) => {
                format!("{median:.digits$} ({least:.digits$}–{greatest:.digits$})")
            }
            _ => "–".to_owned(),
        }
    }
}

/// A table in Markdown.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(ToString::to_string).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, row) in self.rows.iter().enumerate() {
            writeln!(f, "| {} |", row.join(" | "))?;
            if index == 0 {
                // Names to the left, numbers to the right.
                writeln!(f, "|---|{}", "--:|".repeat(row.len().saturating_sub(1)))?;
            }
        }
        Ok(())
    }
}
