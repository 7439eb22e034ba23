//! Looking at a table: its files, its log, and what of them is not to be touched.

use datafusion::arrow::datatypes::DataType;
use deltalake::DeltaTableError;
use windlass_base::ids::{AppId, TableVersion};
use windlass_storage::{Location, Stores};

use super::facts::{FileFacts, LogFacts, TableFacts};
use crate::DeltaError;
use crate::cursor::{CursorQuery, read_progress};
use crate::log::{LogListing, load, log_store};
use crate::pin::{PinnedTable, pin_snapshot};
use crate::table::unsupported;

/// Looks at the table at `location`, whose stage commits as `app_id`. Gives its facts, and the table as it was looked at;
/// `None` if there is no table.
///
/// # Errors
/// As [`pin`](crate::pin::pin).
pub async fn table_facts(
    location: &Location,
    app_id: &AppId,
    stores: &Stores,
) -> Result<Option<(TableFacts, PinnedTable)>, DeltaError> {
    let log = log_store(location, stores)?;
    let listing = match LogListing::list(location, &log).await {
        Ok(listing) => listing,
        Err(error) if error.is_not_a_table() => return Ok(None),
        Err(error) => return Err(error),
    };
    let snapshot = load(location, &log, None).await?;
    let table = pin_snapshot(location, &log, &snapshot).await?;
    let progress = read_progress(location, app_id, &CursorQuery::default(), stores).await?;
    let log = LogFacts {
        commits: listing.times().into_iter().map(|(version, time)| (TableVersion(version), time)).collect(),
        checkpoints: listing.checkpoints().map(TableVersion).collect(),
        bytes: listing.bytes(),
        last_run: progress.as_ref().and_then(|progress| progress.run_version),
        changed_since: progress.is_some_and(|progress| progress.foreign.is_some()),
    };
    let mut features = unsupported(&snapshot);
    if table.mapping().is_some() {
        features.push("columnMapping".to_owned());
    }
    let frozen = (!features.is_empty()).then(|| format!("it uses {}, which is not written", features.join(", ")));
    let facts = TableFacts {
        location: location.clone(),
        table_id: table.table_id().to_owned(),
        version: table.version(),
        partition_columns: table.partition_columns().to_vec(),
        sortable_columns: sortable(&table),
        files: files(&table)?,
        log,
        frozen,
    };
    Ok(Some((facts, table)))
}

fn files(table: &PinnedTable) -> Result<Vec<FileFacts>, DeltaError> {
    let all = table.files();
    let partition = |file| {
        all.partition_texts(file).map_err(|source| DeltaError::Log {
            location: table.location().to_string(),
            source: DeltaTableError::Arrow { source },
        })
    };
    let facts = |(place, file): (usize, &crate::scan::files::DataFile)| {
        Ok(FileFacts {
            path: file.log_path.to_string(),
            partition: partition(place)?,
            bytes: file.bytes,
            rows: all.rows_before_deletes(place),
            deleted_rows: all.deleted_rows(place),
            layout: layout_of(&file.log_path),
        })
    };
    all.files.iter().enumerate().map(facts).collect()
}

/// The mark in a file's name, which stands where the names of other files have the first digits of a UUID.
fn layout_of(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?.strip_prefix("part-")?;
    let mark = name.split('-').next()?;
    (mark.len() == 9 && mark.starts_with('z')).then(|| mark.to_owned())
}

/// The columns whose values have an order that the files can be laid out by.
fn sortable(table: &PinnedTable) -> Vec<String> {
    let has_order = |data_type: &DataType| {
        data_type.is_primitive() || matches!(data_type, DataType::Boolean | DataType::Utf8 | DataType::Binary)
    };
    let fields = table.schema().fields().iter();
    fields
        .filter(|field| has_order(field.data_type()) && !table.partition_columns().contains(field.name()))
        .map(|field| field.name().clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::facts::layout_mark;
    use super::*;

    #[test]
    fn a_layout_is_read_from_the_name_that_it_gives_a_file() {
        let mark = layout_mark(&["a".to_owned(), "b".to_owned()]);
        let uuid = "9bfc20cc-db37-4a34-aaff-9d5641169fad";
        assert_eq!(layout_of(&format!("p=1/part-{mark}-{uuid}.snappy.parquet")), Some(mark.clone()));
        assert_eq!(layout_of(&format!("part-{uuid}.snappy.parquet")), None);
        assert_eq!(layout_of("part-00000-z.parquet"), None);
        assert_ne!(mark, layout_mark(&["b".to_owned(), "a".to_owned()]));
    }
}
