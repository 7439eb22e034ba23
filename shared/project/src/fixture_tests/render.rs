//! A report in human-readable form.

use std::fmt;

use windlass_base::count::{count, counted};

use super::diff::{ChangedRow, TableDiff};
use super::report::{Finding, FindingKind, FixtureReport};
use crate::literal_rows::Cell;

/// The maximum number of rows shown per table.
const MAX_ROWS: usize = 20;
/// The maximum number of characters shown per value.
const MAX_CHARS: usize = 48;

/// One line if it passed, else all findings.
impl fmt::Display for FixtureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, turns) = (if self.passed { "PASS" } else { "FAIL" }, self.of_turns);
        writeln!(f, "{word} {} ({})", self.name, counted(turns, "turn"))?;
        if !self.passed {
            writeln!(f, "  {}", self.file)?;
        }
        for finding in &self.findings {
            for line in finding.to_string().lines() {
                writeln!(f, "  {line}")?;
            }
        }
        match &self.kept {
            Some(folder) => writeln!(f, "  kept in {folder}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turn = self.turn;
        match &self.kind {
            FindingKind::Rows { stage, diff } => write!(f, "turn {turn}: {stage} {diff}"),
            FindingKind::Columns { stage, message } => write!(f, "turn {turn}: {stage} cannot be compared: {message}"),
            FindingKind::Failed { stage, failure, expected } => {
                match stage {
                    Some(stage) => write!(f, "turn {turn}: {stage} failed: {failure}")?,
                    None => write!(f, "turn {turn}: the run failed: {failure}")?,
                }
                if let Some(expected) = expected {
                    write!(f, "\n  the error {expected} was expected")?;
                }
                match &failure.help {
                    Some(help) => write!(f, "\n  help: {help}"),
                    None => Ok(()),
                }
            }
            FindingKind::NoError { expected } => {
                write!(f, "turn {turn}: the run succeeded, and the error {expected} was expected")
            }
            FindingKind::Strategy { stage, expected, found } => {
                write!(f, "turn {turn}: {stage} was brought up to date by {found}, and {expected} was expected")
            }
        }
    }
}

/// What differs in a line, then one row per line: `-` is missing, `+` is not expected, `~` has another value.
impl fmt::Display for TableDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.missing.len(), "- missing"),
            (self.unexpected.len(), "+ not expected"),
            (self.changed.len(), "~ expected → found"),
        ];
        let said: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        write!(f, "has {}, {} expected: {}", counted(self.found, "row"), count(self.expected as u64), said.join(", "))?;
        let rows = self.changed.iter().map(|row| ('~', changed_cells(row)));
        let rows = rows.chain(self.missing.iter().map(|row| ('-', cells(row))));
        let rows = rows.chain(self.unexpected.iter().map(|row| ('+', cells(row))));
        let mut lines: Vec<(char, Vec<String>)> = vec![(' ', self.columns.clone())];
        lines.extend(rows.take(MAX_ROWS));
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let width = |(_, cells): &(char, Vec<String>)| cells.get(column).map_or(0, |cell| cell.chars().count());
                lines.iter().map(width).max().unwrap_or(0)
            })
            .collect();
        for (mark, cells) in &lines {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = format!("{mark} {}", padded.collect::<Vec<_>>().join(" | "));
            write!(f, "\n  {}", line.trim_end())?;
        }
        let all = self.missing.len() + self.unexpected.len() + self.changed.len();
        if all > MAX_ROWS { write!(f, "\n  … and {} more", counted(all - MAX_ROWS, "row")) } else { Ok(()) }
    }
}

fn cells(row: &[Cell]) -> Vec<String> {
    row.iter().map(shown).collect()
}

/// Matching values as they are, others as `expected → found`.
fn changed_cells(row: &ChangedRow) -> Vec<String> {
    let both = row.expected.iter().zip(&row.found).enumerate();
    let cell = |(place, (expected, found)): (usize, (&Cell, &Cell))| match row.differs.contains(&place) {
        true => format!("{} → {}", shown(expected), shown(found)),
        false => shown(found),
    };
    both.map(cell).collect()
}

fn shown(cell: &Cell) -> String {
    let text = cell.to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
