//! The files that a merge takes rows from.

use std::collections::HashMap;

use deltalake::DeltaTableError;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use roaring::RoaringTreemap;
use windlass_storage::Stores;

use super::StagedMerge;
use super::positions::Positions;
use crate::error::WriteError;
use crate::pin::PinnedTable;
use crate::scan::deletion_vector::VectorError;
use crate::{DeltaError, ReadError};

/// Deletion vectors that are read at one time.
const READS: usize = 16;

/// A file that a merge takes rows from.
#[derive(Debug)]
pub(super) struct Touched<'a> {
    /// Its place among the table's files.
    pub(super) file: usize,
    /// As the log names it.
    pub(super) log_path: &'a str,
    /// The rows that the merge replaces.
    pub(super) replaced: &'a Positions,
    /// All of its rows, if the log counts them.
    pub(super) rows: Option<u64>,
    /// Rows that its deletion vector removes already.
    pub(super) deleted: u64,
}

impl Touched<'_> {
    /// Whether none of its rows stays.
    pub(super) fn is_whole(&self) -> bool {
        self.rows == Some(self.deleted + self.replaced.len())
    }

    /// How many of its rows stay, if the log counts them.
    pub(super) fn staying(&self) -> Option<u64> {
        Some(self.rows? - self.deleted - self.replaced.len())
    }
}

/// The files that `staged` takes rows from, in the order of their names.
///
/// # Errors
/// [`WriteError::BadMerge`] for a file that `table` does not have or a row that the file does not have.
pub(super) fn touched<'a>(table: &PinnedTable, staged: &'a StagedMerge) -> Result<Vec<Touched<'a>>, WriteError> {
    let files = table.files();
    let places: HashMap<&str, usize> =
        files.files.iter().enumerate().map(|(place, file)| (file.log_path.as_ref(), place)).collect();
    let one = |(log_path, replaced): (&'a String, &'a Positions)| {
        let Some(&file) = places.get(log_path.as_str()) else {
            return Err(bad(table, format!("version {} has no file `{log_path}`", table.version())));
        };
        let rows = files.rows_before_deletes(file);
        let deleted = files.deleted_rows(file).unwrap_or_default();
        let beyond = |rows: u64| replaced.0.max().is_some_and(|last| last >= rows) || deleted + replaced.len() > rows;
        if rows.is_some_and(beyond) {
            return Err(bad(table, format!("`{log_path}` does not have all of the rows that are replaced")));
        }
        Ok(Touched { file, log_path, replaced, rows, deleted })
    };
    staged.replaced.iter().map(one).collect()
}

/// For each of `touched`, all of its rows that are no longer in the table after the merge.
///
/// # Errors
/// [`DeltaError::Log`] if the store fails, [`ReadError::DeletionVector`] for a damaged vector, and
/// [`WriteError::BadMerge`] for a row that is to be replaced but was deleted before.
pub(super) async fn deleted_after(
    table: &PinnedTable,
    touched: &[Touched<'_>],
    stores: &Stores,
) -> Result<Vec<RoaringTreemap>, DeltaError> {
    let store = stores.store(table.location())?;
    let all = touched.iter().map(|file| {
        let store = std::sync::Arc::clone(&store);
        async move {
            let before = deleted_before(table, file, store.as_ref()).await?;
            if !before.is_disjoint(&file.replaced.0) {
                let reason = format!("a row of `{}` is replaced that was deleted before", file.log_path);
                return Err(DeltaError::from(bad(table, reason)));
            }
            Ok(before | &file.replaced.0)
        }
    });
    futures::stream::iter(all.collect::<Vec<_>>()).buffered(READS).try_collect().await
}

async fn deleted_before(
    table: &PinnedTable,
    file: &Touched<'_>,
    store: &dyn ObjectStore,
) -> Result<RoaringTreemap, DeltaError> {
    let Some(vector) = &table.files().files[file.file].deletion_vector else { return Ok(RoaringTreemap::new()) };
    vector.read(store).await.map_err(|error| match error {
        VectorError::Store(source) => {
            DeltaError::Log { location: table.location().to_string(), source: DeltaTableError::ObjectStore { source } }
        }
        VectorError::Invalid(reason) => ReadError::DeletionVector { file: file.log_path.to_owned(), reason }.into(),
    })
}

fn bad(table: &PinnedTable, reason: String) -> WriteError {
    WriteError::BadMerge { table: table.location().to_string(), reason }
}
