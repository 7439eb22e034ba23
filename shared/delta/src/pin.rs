//! Pins: one version of a table, fixed for a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use deltalake::DeltaTableError;
use deltalake::kernel::Snapshot;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::logstore::LogStoreRef;
use futures::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_base::identity::ScanIdentity;
use windlass_base::ids::TableVersion;
use windlass_project::spec::source::PinAt;
use windlass_storage::{Location, Stores};

use super::DeltaError;
use super::log::{LogListing, commit_time, commits_carry_time, explain, load, log_store, protocol_of};
use super::scan::column_mapping::ColumnMapping;
use super::scan::file_table::FileTable;
use super::scan::files::DataFiles;
use super::scan::{DeltaScan, ScanOptions};
use super::write::WriteSpec;

/// Which version of which table a run reads: what is recorded, leased and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pin {
    /// The table's root.
    #[schemars(with = "String")]
    pub location: Location,
    /// The version.
    pub version: TableVersion,
    /// The table's own id, which survives everything but its replacement.
    pub table_id: String,
    /// When the version was committed, if its commit file is still there.
    pub timestamp: Option<DateTime<Utc>>,
    /// Data files of the version.
    pub files: u64,
    /// Rows of the version; `None` if the log does not count those of every file.
    pub rows: Option<u64>,
    /// Bytes of the data files.
    pub bytes: u64,
}

/// A table at one version, with all that its log knows about the files: enough to plan scans without reading the
/// log again. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PinnedTable {
    table: Arc<Table>,
}

#[derive(Debug)]
struct Table {
    pin: Pin,
    schema: SchemaRef,
    partition_columns: Vec<String>,
    properties: BTreeMap<String, String>,
    mapping: Option<Arc<ColumnMapping>>,
    files: Arc<DataFiles>,
}

/// Resolves which version of the table at `location` is meant by `at` and loads its log.
///
/// # Errors
/// [`ReadError`](crate::error::ReadError) for a place that holds no table, a version or a time that is not there, a table feature that is not
/// read (by name) and a log that breaks the protocol; [`DeltaError::Log`] if the store fails, which may be retryable.
pub async fn pin(location: &Location, at: PinAt, stores: &Stores) -> Result<PinnedTable, DeltaError> {
    let log = log_store(location, stores)?;
    let snapshot = match at {
        PinAt::Latest => load(location, &log, None).await?,
        PinAt::Version(version) => load(location, &log, Some(version)).await?,
        PinAt::Timestamp(timestamp) => {
            let newest = load(location, &log, None).await?;
            let listing = LogListing::list(location, &log).await?;
            let version = if commits_carry_time(&newest) {
                listing.version_at_in_commit(location, &log, timestamp).await?
            } else {
                listing.version_at(location, timestamp)?
            };
            if version == newest.version() { newest } else { load(location, &log, Some(version)).await? }
        }
    };
    pin_snapshot(location, &log, &snapshot).await
}

/// The table at `location` as its snapshot has it.
///
/// # Errors
/// As [`pin`].
pub(crate) async fn pin_snapshot(
    location: &Location,
    log: &LogStoreRef,
    snapshot: &Snapshot,
) -> Result<PinnedTable, DeltaError> {
    Ok(PinnedTable { table: Arc::new(Table::read(location, log, snapshot).await?) })
}

impl Table {
    async fn read(location: &Location, log: &LogStoreRef, snapshot: &Snapshot) -> Result<Self, DeltaError> {
        let failed = |source: DeltaTableError| DeltaError::Log { location: location.to_string(), source };
        let protocol = protocol_of(location, snapshot)?;
        let metadata = snapshot.metadata();
        let properties: BTreeMap<String, String> =
            metadata.configuration().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let delta_schema = snapshot.schema();
        let arrow_schema: Schema =
            delta_schema.as_ref().try_into_arrow().map_err(|source| failed(DeltaTableError::Arrow { source }))?;
        let schema = Arc::new(without_metadata(&arrow_schema));
        let partition_columns = metadata.partition_columns().to_vec();
        let mapping = protocol
            .maps_columns()
            .then(|| ColumnMapping::of(location, &delta_schema, &properties))
            .transpose()?
            .flatten()
            .map(Arc::new);
        let batches: Vec<_> = match snapshot.files(log.as_ref(), None).try_collect().await {
            Ok(batches) => batches,
            Err(cause) => return Err(explain(location, log, Some(snapshot.version()), cause).await),
        };
        let files = DataFiles::read(location, &schema, &partition_columns, mapping.as_deref(), &batches)?;
        let timestamp = commit_time(location, log, snapshot.version(), commits_carry_time(snapshot)).await?;
        let pin = Pin {
            location: location.clone(),
            version: TableVersion(snapshot.version()),
            table_id: metadata.id().to_owned(),
            timestamp,
            files: files.len() as u64,
            rows: files.total_rows(),
            bytes: files.total_bytes(),
        };
        Ok(Self { pin, schema, partition_columns, properties, mapping, files: Arc::new(files) })
    }
}

impl PinnedTable {
    /// What is pinned, as a value to record.
    pub fn pin(&self) -> Pin {
        self.table.pin.clone()
    }

    /// The table's root.
    pub fn location(&self) -> &Location {
        &self.table.pin.location
    }

    /// The pinned version.
    pub fn version(&self) -> TableVersion {
        self.table.pin.version
    }

    /// The table's own id.
    pub fn table_id(&self) -> &str {
        &self.table.pin.table_id
    }

    /// The columns by their logical names and in the table's order, in plain Arrow types: no views, no dictionaries,
    /// no field metadata.
    pub fn schema(&self) -> &SchemaRef {
        &self.table.schema
    }

    /// The partition columns by their logical names, outermost first.
    pub fn partition_columns(&self) -> &[String] {
        &self.table.partition_columns
    }

    /// The table properties, such as `delta.enableChangeDataFeed`.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.table.properties
    }

    /// How rows are written to the table, with sizes and statistics as its properties say. Constraints are left out: it is
    /// for rows that are in the table already.
    pub fn write_spec(&self, name: impl Into<String>) -> WriteSpec {
        let mut spec = WriteSpec::new(name, self.location().clone(), Arc::clone(self.schema()));
        spec.partition_by = self.partition_columns().to_vec();
        spec.set_properties(self.properties());
        spec
    }

    /// The table as the engine scans it.
    pub fn provider(&self, options: &ScanOptions) -> Arc<dyn TableProvider> {
        Arc::new(DeltaScan::new(self.clone(), options.clone()))
    }

    /// The table as the engine scans it, each row with its address in two more columns: [`ROW_FILE`] (text, the file's
    /// path as the log's add action has it) and [`ROW_POSITION`] (bigint, the row's position, counted from 0 through
    /// the whole file, rows that a deletion vector removes included). A scan of a table that has columns of these
    /// names is an error.
    ///
    /// [`ROW_FILE`]: super::scan::ROW_FILE
    /// [`ROW_POSITION`]: super::scan::ROW_POSITION
    pub fn addressed(&self, options: &ScanOptions) -> Arc<dyn TableProvider> {
        Arc::new(DeltaScan::addressed(self.clone(), options.clone()))
    }

    /// This table with `files` for its own; everything else is as pinned.
    pub(super) fn with_files(&self, files: DataFiles) -> Self {
        let table = &self.table;
        Self {
            table: Arc::new(Table {
                pin: table.pin.clone(),
                schema: Arc::clone(&table.schema),
                partition_columns: table.partition_columns.clone(),
                properties: table.properties.clone(),
                mapping: table.mapping.clone(),
                files: Arc::new(files),
            }),
        }
    }

    /// The hash of all that decides how the table is scanned with `options`, its version and files apart: the same
    /// in every process.
    ///
    /// # Errors
    /// If the description cannot be written as JSON.
    pub fn scan_identity(&self, options: &ScanOptions) -> Result<ScanIdentity, serde_json::Error> {
        let described = serde_json::json!({
            "format": 1,
            "location": self.table.pin.location,
            "table": self.table.pin.table_id,
            "schema": self.table.schema.fields().iter().map(|field| described(field)).collect::<Vec<_>>(),
            "partition_columns": self.table.partition_columns,
            "mapping": self.table.mapping,
            "options": options.described(),
        });
        ScanIdentity::of(&described)
    }

    pub(super) fn files(&self) -> &Arc<DataFiles> {
        &self.table.files
    }

    pub(super) fn mapping(&self) -> Option<&Arc<ColumnMapping>> {
        self.table.mapping.as_ref()
    }
}

impl From<PinnedTable> for FileTable {
    fn from(table: PinnedTable) -> Self {
        Self {
            location: table.location().clone(),
            schema: Arc::clone(table.schema()),
            partition_columns: table.partition_columns().into(),
            mapping: table.mapping().cloned(),
            files: Arc::clone(table.files()),
        }
    }
}

pub(super) fn described(field: &Field) -> serde_json::Value {
    serde_json::json!([field.name(), field.data_type().to_string(), field.is_nullable()])
}

/// The schema without the metadata that Delta keeps on its fields, at any depth: it names physical columns and would
/// make equal types unequal.
pub(super) fn without_metadata(schema: &Schema) -> Schema {
    Schema::new(schema.fields().iter().map(plain_field).collect::<Vec<_>>())
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::List(element) => DataType::List(plain_field(element)),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}
