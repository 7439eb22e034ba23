//! What the tasks of a merge have reported.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use datafusion::arrow::array::RecordBatch;
use deltalake::kernel::AddCDCFile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::positions::Positions;
use crate::write::report::{Received, ReplacedRows, not_a_report, receive};
use crate::write::{StagedFiles, WriteError};

/// How many rows a merge has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MergeCounts {
    /// Rows that the table did not have.
    pub inserted: u64,
    /// Rows that took the place of others.
    pub updated: u64,
    /// Rows that are deleted without replacement.
    pub deleted: u64,
}

impl MergeCounts {
    /// Rows of the table's former version that are no longer in it.
    pub fn replaced(&self) -> u64 {
        self.updated + self.deleted
    }
}

impl AddAssign for MergeCounts {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
    }
}

/// What the tasks of a merge left behind, not yet part of the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StagedMerge {
    /// Files with new rows.
    pub(super) added: StagedFiles,
    /// Change data files.
    #[serde(with = "crate::write::action_lines::change_files")]
    pub(super) changes: Vec<AddCDCFile>,
    /// The rows to replace, by file as the log names it.
    pub(super) replaced: BTreeMap<String, Positions>,
    counts: MergeCounts,
    bytes: u64,
    tasks: usize,
}

impl StagedMerge {
    /// Puts the reports of a merge's successful tasks together.
    ///
    /// # Errors
    /// [`WriteError::Incomplete`] if a task's report lacks rows or totals, [`WriteError::BadMerge`] if two tasks have
    /// replaced the same row, and [`WriteError::Encode`] for rows that are no report of a merge.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Self, WriteError> {
        let mut staged = Self::default();
        let mut twice = None;
        staged.tasks = receive(batches, |row| {
            match row {
                Received::Added { file, bytes } => {
                    staged.added.add(file, bytes);
                    staged.bytes += bytes;
                }
                Received::Changes { file, bytes } => {
                    staged.changes.push(file);
                    staged.bytes += bytes;
                }
                Received::Replaced(ReplacedRows { file, positions, rows }) => {
                    let positions = Positions::from_text(&positions).map_err(not_a_report)?;
                    if positions.len() != rows {
                        return Err(not_a_report("positions and their number differ"));
                    }
                    if !staged.replaced.entry(file.clone()).or_default().add(positions) {
                        twice.get_or_insert(file);
                    }
                }
                Received::Done(counts) => {
                    staged.counts += serde_json::from_str::<MergeCounts>(&counts).map_err(not_a_report)?;
                }
            }
            Ok(())
        })?;
        if let Some(file) = twice {
            let reason = format!("a row of `{file}` is replaced twice");
            return Err(WriteError::BadMerge { table: String::new(), reason });
        }
        let replaced: u64 = staged.replaced.values().map(Positions::len).sum();
        let counts = staged.counts;
        if replaced != counts.replaced() || staged.added.rows() != counts.inserted + counts.updated {
            return Err(WriteError::Incomplete {
                reason: "the files do not hold as many rows as were counted".to_owned(),
            });
        }
        Ok(staged)
    }

    /// Whether the merge changes nothing, so that there is no need to commit files.
    pub fn is_empty(&self) -> bool {
        self.counts == MergeCounts::default()
    }

    /// How many rows are changed.
    pub fn counts(&self) -> MergeCounts {
        self.counts
    }

    /// The files with new rows.
    pub fn added(&self) -> &StagedFiles {
        &self.added
    }

    /// How many files have rows that are replaced.
    pub fn touched_files(&self) -> usize {
        self.replaced.len()
    }

    /// Bytes of all files that were written, change data files included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many tasks reported; a merge has one for each partition of its plan.
    pub fn tasks(&self) -> usize {
        self.tasks
    }
}
