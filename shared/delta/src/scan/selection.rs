//! Which rows of a file a scan reads.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion_datasource::PartitionedFile;
use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use roaring::RoaringTreemap;

use super::deletion_vector::{DeletionVector, VectorError};

/// The rows of `within`, or else all rows, but for those of `without`.
#[derive(Debug, Clone, Default)]
pub struct RowSet {
    /// The only rows that count, if not all do.
    pub within: Option<Arc<DeletionVector>>,
    /// Rows that do not count.
    pub without: Option<Arc<DeletionVector>>,
}

impl RowSet {
    /// The set as a selection of the rows of a file of `rows` rows.
    pub(super) async fn select(&self, store: &dyn ObjectStore, rows: u64) -> Result<RowSelection, VectorError> {
        let without = read(self.without.as_deref(), store, rows).await?.unwrap_or_default();
        Ok(match read(self.within.as_deref(), store, rows).await? {
            Some(within) => only(&(within - without), rows),
            None => remaining(&without, rows),
        })
    }
}

async fn read(
    vector: Option<&DeletionVector>,
    store: &dyn ObjectStore,
    rows: u64,
) -> Result<Option<RoaringTreemap>, VectorError> {
    let Some(vector) = vector else { return Ok(None) };
    let positions = vector.read(store).await?;
    match positions.max() {
        Some(last) if last >= rows => {
            Err(VectorError::Invalid(format!("it names row {last}, but the file has {rows}")))
        }
        _ => Ok(Some(positions)),
    }
}

/// The selection of the rows of a file of `rows` rows that are not `deleted`.
fn remaining(deleted: &RoaringTreemap, rows: u64) -> RowSelection {
    let mut ranges = Vec::new();
    let mut start = 0;
    for position in deleted {
        if position > start {
            ranges.push(start as usize..position as usize);
        }
        start = position + 1;
    }
    if start < rows {
        ranges.push(start as usize..rows as usize);
    }
    RowSelection::from_consecutive_ranges(ranges.into_iter(), rows as usize)
}

/// The selection of the rows at `positions` of a file of `rows` rows.
fn only(positions: &RoaringTreemap, rows: u64) -> RowSelection {
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    for position in positions {
        let position = position as usize;
        match ranges.last_mut() {
            Some(range) if range.end == position => range.end += 1,
            _ => ranges.push(position..position + 1),
        }
    }
    RowSelection::from_consecutive_ranges(ranges.into_iter(), rows as usize)
}

/// Which rows are read of files that a scan may read more than once, for other rows each time. A file's partition values
/// tell its readings apart: they hold the commit and the kind of change.
#[derive(Debug, Clone, Default)]
pub struct Selections {
    by_path: HashMap<StorePath, Vec<(Vec<ScalarValue>, RowSet)>>,
}

impl Selections {
    /// Has `rows` read of `file`, or of the range of it that `file` stands for.
    pub fn insert(&mut self, file: &PartitionedFile, rows: RowSet) {
        if self.get(file).is_some() {
            return;
        }
        let readings = self.by_path.entry(file.object_meta.location.clone()).or_default();
        readings.push((file.partition_values.clone(), rows));
    }

    /// The rows to read of `file`; `None` for all.
    pub fn get(&self, file: &PartitionedFile) -> Option<&RowSet> {
        let readings = self.by_path.get(&file.object_meta.location)?;
        readings.iter().find(|(values, _)| *values == file.partition_values).map(|(_, rows)| rows)
    }

    /// Whether all rows of every file are read.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// How many readings there are of some rows only.
    pub(super) fn len(&self) -> usize {
        self.by_path.values().map(Vec::len).sum()
    }
}
