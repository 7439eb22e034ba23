//! The change feed: the rows that were inserted into and deleted from a table between two of its versions.
//!
//! ```text
//! log ─facts→ LogFacts: what each version of the range did, and under which metadata      (facts, columns)
//!     ─plan→ ChangeRange: the files that hold the changes, or why there is no such range  (range)
//!     ─files→ DataFiles: each found in the store, with commit and kind as constants       (files)
//!     ─provider→ the same scan as that of a snapshot                                      (provider)
//! ```
//!
//! A range is read whole or not at all: nothing in it is skipped, repeated or left to the reader's luck.

mod columns;
mod facts;
mod files;
mod provider;
pub mod range;

use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use deltalake::DeltaTableError;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use windlass_base::identity::ScanIdentity;
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

use super::log::{Action, CommitFile, log_store};
use super::pin::{described, without_metadata};
use super::scan::ScanOptions;
use super::scan::column_mapping::ColumnMapping;
use super::scan::files::DataFiles;
use super::schema::change_feed::FEED_COLUMNS;
use super::{DeltaError, ReadError};
use range::ChangeRange;

pub use super::error::{ChangeError, Gap};
pub use super::log::{FileAction, TableMetadata, VectorDescriptor};
pub use super::schema::change_feed::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, with_change_columns};

/// The changes of a table between two of its versions: enough to plan scans of them without reading the log again. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct TableChanges {
    /// One for each way in which the table was partitioned; at least one.
    parts: Arc<[Changes]>,
}

#[derive(Debug)]
struct Changes {
    location: Location,
    range: ChangeRange,
    /// The table's columns and those that say what happened.
    schema: SchemaRef,
    mapping: Option<Arc<ColumnMapping>>,
    files: Arc<DataFiles>,
}

/// The changes of the table at `location` after version `after`, up to and with version `to`. The range is never cut short:
/// it has every version, or it is an error. With `after` equal to `to` it is empty.
///
/// # Errors
/// [`ChangeError`] if a version of the range is not there, did not record its changes, has columns that do not fit the later
/// ones, or needs a file that is gone; [`ReadError`] if the table cannot be read at all; [`DeltaError::Log`] if the store
/// fails, which may be retryable.
pub async fn changes(
    location: &Location,
    after: TableVersion,
    to: TableVersion,
    stores: &Stores,
) -> Result<TableChanges, DeltaError> {
    changes_between(location, TableVersion(after.0.saturating_add(1)), to, stores).await
}

/// The changes of the table at `location` in the versions `first` to `last`, with both. The rows of version 0 are those
/// that the table was created with.
///
/// # Errors
/// As [`changes`].
pub async fn changes_between(
    location: &Location,
    first: TableVersion,
    last: TableVersion,
    stores: &Stores,
) -> Result<TableChanges, DeltaError> {
    let log = log_store(location, stores)?;
    let facts = facts::read(location, &log, first.0, last.0).await?;
    let range = range::plan(first.0, last.0, &facts)?;
    let columns = table_columns(location, &range.metadata)?;
    let mapping = mapping(location, &range.metadata)?.map(Arc::new);
    let store = stores.store(location)?;
    let schema = with_change_columns(&columns);
    let mut parts = Vec::new();
    for range in range.by_partitioning() {
        let files = files::locate(location, store.as_ref(), &range, &columns, mapping.as_deref()).await?;
        let (location, schema, mapping) = (location.clone(), Arc::clone(&schema), mapping.clone());
        parts.push(Changes { location, range, schema, mapping, files });
    }
    Ok(TableChanges { parts: parts.into() })
}

/// Commits that are read to find out whether a table was only rewritten; among more, some will have changed rows.
const MOST_REWRITES: u64 = 100;

/// Whether the commits after version `after` of the table at `location`, up to and with version `to`, have changed neither its
/// rows nor its definition: a compacted table has a new version with the same rows. False if a commit is gone.
///
/// # Errors
/// [`DeltaError::Log`] if the store fails, [`ReadError`] if a commit is damaged.
pub async fn is_only_rewritten(
    location: &Location,
    after: TableVersion,
    to: TableVersion,
    stores: &Stores,
) -> Result<bool, DeltaError> {
    if to.0.saturating_sub(after.0) > MOST_REWRITES {
        return Ok(false);
    }
    let log = log_store(location, stores)?;
    // The newest is the likeliest to tell.
    for version in (after.0 + 1..=to.0).rev() {
        let Some(commit) = CommitFile::read(location, &log, version).await? else { return Ok(false) };
        for action in commit.actions() {
            match action? {
                Action::Add(file) | Action::Remove(file) if file.data_change => return Ok(false),
                Action::Metadata(_) | Action::Protocol(_) => return Ok(false),
                _ => {}
            }
        }
    }
    Ok(true)
}

impl TableChanges {
    /// A part: what all have in common can be asked of any.
    fn any(&self) -> &Changes {
        &self.parts[0]
    }

    /// The table's root.
    pub fn location(&self) -> &Location {
        &self.any().location
    }

    /// The version after which the range begins; `None` if it begins with the table's first version.
    pub fn after(&self) -> Option<TableVersion> {
        self.any().range.first.checked_sub(1).map(TableVersion)
    }

    /// The last version of the range.
    pub fn to(&self) -> TableVersion {
        TableVersion(self.any().range.last)
    }

    /// The table's own id.
    pub fn table_id(&self) -> &str {
        &self.any().range.metadata.id
    }

    /// The columns: the table's, as of the last version, then [`CHANGE_TYPE`], [`COMMIT_VERSION`] and [`COMMIT_TIMESTAMP`].
    pub fn schema(&self) -> &SchemaRef {
        &self.any().schema
    }

    /// Whether no row changed. Optimizing a table changes none.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.range.is_empty())
    }

    /// Whether all that happened is that rows were inserted, in files of their own.
    pub fn insert_only(&self) -> bool {
        self.parts.iter().all(|part| part.range.insert_only())
    }

    /// How many files are read. A file counts once for each commit that changed its rows.
    pub fn files(&self) -> u64 {
        self.parts.iter().map(|part| part.files.len() as u64).sum()
    }

    /// The bytes of the files that are read.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.files.total_bytes()).sum()
    }

    /// The most rows that there can be; `None` if the log does not count those of every file, as it never does for change
    /// data files.
    pub fn rows(&self) -> Option<u64> {
        self.parts.iter().map(|part| part.files.total_rows()).sum()
    }

    /// The changes as the engine scans them, a row a change.
    pub fn provider(&self, options: &ScanOptions) -> Arc<dyn TableProvider> {
        let mut scans = self.parts.iter().map(|part| provider::ChangeScan::new(part, options.clone()));
        match (scans.next(), self.parts.len()) {
            (Some(only), 1) => Arc::new(only),
            (first, _) => Arc::new(provider::ChangeUnion::new(first.into_iter().chain(scans).collect())),
        }
    }

    /// The hash of all that decides how the changes are scanned with `options`, the range and its files apart: the same in
    /// every process.
    ///
    /// # Errors
    /// If the description cannot be written as JSON.
    pub fn scan_identity(&self, options: &ScanOptions) -> Result<ScanIdentity, serde_json::Error> {
        let partitions = |part: &Changes| serde_json::json!(part.range.metadata.partition_columns);
        let described = serde_json::json!({
            "format": 1,
            "kind": "changes",
            "location": self.any().location,
            "table": self.table_id(),
            "schema": self.schema().fields().iter().map(|field| described(field)).collect::<Vec<_>>(),
            "partition_columns": match self.parts.as_ref() {
                [only] => partitions(only),
                parts => parts.iter().map(partitions).collect(),
            },
            "mapping": self.any().mapping,
            "options": options.described(),
        });
        ScanIdentity::of(&described)
    }
}

/// The table's columns in plain Arrow types.
fn table_columns(location: &Location, metadata: &TableMetadata) -> Result<Vec<FieldRef>, DeltaError> {
    let schema: Schema = (&delta_schema(location, metadata)?).try_into_arrow().map_err(|source| DeltaError::Log {
        location: location.to_string(),
        source: DeltaTableError::Arrow { source },
    })?;
    let columns = without_metadata(&schema).fields().to_vec();
    let is_reserved = |name: &str| FEED_COLUMNS.contains(&name) || name == files::CONSTANT_TYPE;
    match columns.iter().find(|column| is_reserved(column.name())) {
        None => Ok(columns),
        Some(column) => Err(ReadError::InvalidLog {
            location: location.to_string(),
            reason: format!("it has a column `{}`, a name that the change data feed reserves", column.name()),
        }
        .into()),
    }
}

fn mapping(location: &Location, metadata: &TableMetadata) -> Result<Option<ColumnMapping>, DeltaError> {
    let mapping = ColumnMapping::of(location, &delta_schema(location, metadata)?, &metadata.configuration)?;
    Ok(mapping.map(|mapping| mapping.with_unmapped(CHANGE_TYPE)))
}

fn delta_schema(location: &Location, metadata: &TableMetadata) -> Result<StructType, ReadError> {
    serde_json::from_str(&metadata.schema_string).map_err(|error| ReadError::InvalidLog {
        location: location.to_string(),
        reason: format!("its schema is malformed ({error})"),
    })
}
