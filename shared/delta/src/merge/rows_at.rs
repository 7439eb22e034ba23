//! Rows of a table by their addresses, as a scan that reads no others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::catalog::TableProvider;
use deltalake::DeltaTableError;
use roaring::RoaringTreemap;

use crate::DeltaError;
use crate::error::WriteError;
use crate::pin::PinnedTable;
use crate::scan::deletion_vector::DeletionVector;
use crate::scan::{ROW_FILE, ROW_POSITION, ScanOptions};

/// The rows of `table` at `addresses` with their addresses; `None` if there are none. The batches have the columns
/// [`ROW_FILE`] and [`ROW_POSITION`] of an addressed scan of this version.
///
/// # Errors
/// [`WriteError::BadMerge`] for an address of another table, [`DeltaError::Log`] if the files cannot be described.
pub fn rows_at(
    table: &PinnedTable,
    addresses: &[RecordBatch],
    options: &ScanOptions,
) -> Result<Option<Arc<dyn TableProvider>>, DeltaError> {
    let bad = |reason: String| WriteError::BadMerge { table: table.location().to_string(), reason };
    let places: HashMap<&str, usize> =
        table.files().files.iter().enumerate().map(|(place, file)| (file.log_path.as_ref(), place)).collect();
    let mut wanted: BTreeMap<usize, RoaringTreemap> = BTreeMap::new();
    for batch in addresses {
        let files = batch.column_by_name(ROW_FILE).and_then(|column| column.as_string_opt::<i32>());
        let rows = batch.column_by_name(ROW_POSITION).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let Some((files, rows)) = files.zip(rows) else { return Err(bad("rows have no addresses".to_owned()).into()) };
        for (file, row) in files.iter().zip(rows) {
            let place = file.and_then(|file| places.get(file));
            let row = row.and_then(|row| u64::try_from(row).ok());
            let Some((place, row)) = place.zip(row) else {
                return Err(bad("a row is in no file of the table".to_owned()).into());
            };
            wanted.entry(*place).or_default().insert(row);
        }
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut files = Vec::with_capacity(wanted.len());
    for (place, rows) in &wanted {
        let vector = DeletionVector::in_plan(rows).map_err(|error| WriteError::Encode {
            what: format!("the rows of a file of `{}`", table.location()),
            reason: error.to_string(),
        })?;
        files.push((*place, Arc::new(vector)));
    }
    let files = table.files().within(&files).map_err(|source| DeltaError::Log {
        location: table.location().to_string(),
        source: DeltaTableError::Arrow { source },
    })?;
    Ok(Some(table.with_files(files).addressed(options)))
}
