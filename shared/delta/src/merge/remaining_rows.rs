//! The rows that remain of the files that a merge takes rows from, as a scan.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use deltalake::DeltaTableError;
use windlass_storage::Stores;

use super::StagedMerge;
use super::touched::{deleted_after, touched};
use crate::DeltaError;
use crate::error::WriteError;
use crate::pin::PinnedTable;
use crate::scan::ScanOptions;
use crate::scan::deletion_vector::DeletionVector;

/// The rows that stay of the files of `table` that `staged` takes rows from: what a merge by rewriting copies to new
/// files. `None` if nothing stays.
///
/// # Errors
/// As the other steps of a merge: [`WriteError::BadMerge`] if the merge is not one into this version of the table,
/// [`DeltaError::Log`] if the store fails.
pub async fn remaining_rows(
    table: &PinnedTable,
    staged: &StagedMerge,
    options: &ScanOptions,
    stores: &Stores,
) -> Result<Option<Arc<dyn TableProvider>>, DeltaError> {
    let touched: Vec<_> = touched(table, staged)?.into_iter().filter(|file| !file.is_whole()).collect();
    if touched.is_empty() {
        return Ok(None);
    }
    let deleted = deleted_after(table, &touched, stores).await?;
    let mut files = Vec::with_capacity(touched.len());
    for (file, deleted) in touched.iter().zip(&deleted) {
        let vector = DeletionVector::in_plan(deleted).map_err(|error| WriteError::Encode {
            what: format!("the deletion vector of `{}`", file.log_path),
            reason: error.to_string(),
        })?;
        files.push((file.file, Arc::new(vector)));
    }
    let files = table.files().only(&files).map_err(|source| DeltaError::Log {
        location: table.location().to_string(),
        source: DeltaTableError::Arrow { source },
    })?;
    Ok(Some(table.with_files(files).provider(options)))
}
