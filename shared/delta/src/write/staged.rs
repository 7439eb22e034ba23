//! Staged files: what a write left behind, from the reports of its tasks to the commit, and as the event log keeps it.

use std::collections::BTreeSet;

use datafusion::arrow::array::RecordBatch;
use deltalake::kernel::Add;
use serde::{Deserialize, Serialize};

use super::WriteError;
use super::report::{Received, WrittenFile, not_a_report, receive};

/// The files that a write left behind, not yet part of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFiles {
    #[serde(rename = "actions", with = "super::action_lines::adds")]
    added: Vec<Add>,
    rows: u64,
    bytes: u64,
    tasks: usize,
}

impl StagedFiles {
    /// The values of `columns`, which partition the table, in the files to add: each combination once.
    pub fn partitions(&self, columns: &[String]) -> Vec<Vec<Option<String>>> {
        let values = self.added.iter().map(|add| {
            columns.iter().map(|column| add.partition_values.get(column).cloned().flatten()).collect::<Vec<_>>()
        });
        values.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Puts the reports of a write's successful tasks together.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] if a task's report lacks rows or totals, and [`WriteError::Encode`] for rows that
    /// are no report.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self, WriteError> {
        let mut staged = Self::default();
        staged.tasks = receive(batches, |row| {
            match row {
                Received::Added { file, bytes } => staged.add(file, bytes),
                Received::Done(_) => {}
                Received::Changes { .. } | Received::Replaced(_) => {
                    return Err(not_a_report("a write reports no changes of rows"));
                }
            }
            Ok(())
        })?;
        Ok(staged)
    }

    /// Adds a data file of so many bytes.
    pub(crate) fn add(&mut self, file: WrittenFile<Add>, bytes: u64) {
        self.added.push(file.action);
        self.rows += file.rows;
        self.bytes += bytes;
    }

    /// These files and those of `other`.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.added.extend(other.added);
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.tasks += other.tasks;
        self
    }

    /// Rows in all files.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.added.len()
    }

    /// How many tasks reported; a write has one for each partition of its plan.
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// The paths of the files below the table's root.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|add| add.path.as_str())
    }

    /// The actions that make the files part of the table.
    pub(crate) fn added(&self) -> &[Add] {
        &self.added
    }
}
