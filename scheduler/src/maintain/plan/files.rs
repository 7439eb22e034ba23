//! The data files as rewrites look at them: by partition, with what is left of each and whether it should be rewritten.

use std::collections::BTreeMap;

use windlass_delta::maintenance::FileFacts;
use windlass_project::maintenance::Readers;

use super::MaintenanceFacts;

/// The partition values of files.
pub(super) type Partition<'f> = &'f [Option<String>];

/// A data file, judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct DataFile<'f> {
    /// What is known of it.
    pub facts: &'f FileFacts,
    /// The bytes of its rows that are not deleted, as far as the log tells: what a rewrite of it would write.
    pub live: u64,
    /// Whether it is below half of the target.
    pub small: bool,
    /// Whether it is to be rewritten without its deleted rows.
    pub shrinks: bool,
}

/// The files of each partition by path, and the size that they are measured by.
#[derive(Debug)]
pub(super) struct Partitions<'f> {
    /// The files.
    pub files: BTreeMap<Partition<'f>, Vec<DataFile<'f>>>,
    /// Bytes that a rewritten file should come to, at least 1.
    pub target: u64,
    /// Whether the table has partition columns.
    pub partitioned: bool,
}

impl<'f> Partitions<'f> {
    /// Judges the files of a table.
    pub(super) fn of(facts: &MaintenanceFacts<'f>) -> Self {
        let target = facts.policy.optimize.target_file_bytes.unwrap_or(facts.target_file_bytes).max(1);
        let mut files: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for file in &facts.table.files {
            let judged = DataFile {
                facts: file,
                live: live_bytes(file),
                small: is_below_half(file.bytes, target),
                shrinks: shrinks(file, facts),
            };
            files.entry(file.partition.as_slice()).or_default().push(judged);
        }
        for partition in files.values_mut() {
            partition.sort_by(|one, other| one.facts.path.cmp(&other.facts.path));
        }
        Self { files, target, partitioned: !facts.table.partition_columns.is_empty() }
    }

    /// The size that files are too small below.
    pub(super) fn half(&self) -> u64 {
        self.target.div_ceil(2)
    }
}

/// Whether bytes are fewer than half of the target.
pub(super) fn is_below_half(bytes: u64, target: u64) -> bool {
    bytes < target.div_ceil(2)
}

/// The bytes of a file in proportion to its rows that are not deleted; all of them if its rows are not counted.
fn live_bytes(file: &FileFacts) -> u64 {
    match (file.rows, file.deleted_rows) {
        (Some(rows), Some(deleted)) if rows > 0 => {
            let live = u128::from(file.bytes) * u128::from(rows.saturating_sub(deleted)) / u128::from(rows);
            u64::try_from(live).unwrap_or(file.bytes)
        }
        _ => file.bytes,
    }
}

/// Whether enough of a file is deleted, or some reader does not know its deletion vector.
fn shrinks(file: &FileFacts, facts: &MaintenanceFacts<'_>) -> bool {
    let Some(deleted) = file.deleted_rows else { return false };
    let enough = |rows: u64| deleted > 0 && deleted as f64 >= facts.policy.optimize.deleted_ratio * rows as f64;
    facts.policy.readers == Readers::Any || file.rows.is_some_and(enough)
}
