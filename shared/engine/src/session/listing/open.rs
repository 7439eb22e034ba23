//! Opens a declared listing as a table, with its record.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::file_format::FileFormat as Reader;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use object_store::ObjectStore;
use serde_json::json;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{Registration, SortRecord, TableKind};
use windlass_project::spec::source::{FileFormat, ListingSource};
use windlass_storage::{Location, Stores, content_versions};

use super::files::{Files, find};
use super::format::{self, FormatReader};
use super::partitions;
use super::recheck::ListingSnapshot;
use super::table::{ListedTable, Scanner};
use super::typed::TypedFiles;
use crate::session::SessionError;
use crate::session::records::{self, Origin, RecordFormat};
use crate::session::register::{FilesDigest, identity};
use crate::session::registration::columns;
use crate::session::types::{data_type, field};

/// Lists the files of `source`, finds their schema and statistics, and makes a table of them.
pub(in crate::session) async fn open(
    ctx: &SessionContext,
    stores: &Stores,
    name: &NodeName,
    source: &ListingSource,
    location: &Location,
) -> Result<(Arc<dyn TableProvider>, Registration), SessionError> {
    let state = ctx.state();
    let store = stores.store(location)?;
    let files = find(store.as_ref(), location, &source.format).await?;
    let partition_columns: Vec<(String, DataType)> =
        source.partition_columns.iter().map(|(name, column_type)| (name.clone(), data_type(*column_type))).collect();
    let opening = Opening { state: &state, store: &store, source, location, files: &files };
    let (file_schema, statistics, scanner) = match format::reader_of(&state, &source.format) {
        FormatReader::Records(format) => opening.records(format, &partition_columns).await?,
        FormatReader::Typed(reader) => opening.typed(reader, &partition_columns).await?,
    };
    let table_schema = table_schema(&file_schema, &partition_columns);
    check_sort_order(name, source, table_schema.table_schema())?;
    let pinned = pin(&files, statistics, &partition_columns)?;
    let marks = content_versions(location, &files.objects).await;
    let registration = record(name, source, location, (&files, &marks), table_schema.table_schema())?;
    let table = ListedTable {
        store: location.store_url()?,
        scanner,
        table_schema,
        sort_order: source.file_sort_order.clone(),
        files: pinned,
        snapshot: ListingSnapshot {
            location: location.clone(),
            format: source.format.clone(),
            objects: files.objects,
            marks,
        },
    };
    Ok((Arc::new(table), registration))
}

/// The context for determining the columns of a listing.
struct Opening<'a> {
    state: &'a SessionState,
    store: &'a Arc<dyn ObjectStore>,
    source: &'a ListingSource,
    location: &'a Location,
    files: &'a Files,
}

/// The columns from the files, their statistics in each file, and their scanner.
type Columns = (SchemaRef, Vec<Arc<Statistics>>, Scanner);

impl Opening<'_> {
    /// The columns that the project declares.
    fn declared(&self) -> Option<SchemaRef> {
        let declared = self.source.schema.as_ref()?;
        Some(Arc::new(Schema::new(declared.iter().map(field).collect::<Vec<_>>())))
    }

    async fn records(
        &self,
        format: RecordFormat,
        partition_columns: &[(String, DataType)],
    ) -> Result<Columns, SessionError> {
        let elsewhere: Vec<String> = partition_columns.iter().map(|(name, _)| name.clone()).collect();
        let files = records::Files {
            store: self.store,
            location: self.location,
            objects: &self.files.objects,
            format,
            elsewhere: &elsewhere,
        };
        let (schema, origin) = match self.declared() {
            Some(declared) => {
                let schema = without(&declared, partition_columns);
                files.check(self.state, &schema).await?;
                (schema, Origin::Declared)
            }
            None => (without(&files.inferred_schema(self.state).await?, partition_columns), Origin::Found),
        };
        let statistics = format::unknown(&schema, self.files.objects.len());
        Ok((schema, statistics, Scanner::Records(format, origin)))
    }

    async fn typed(
        &self,
        reader: Arc<dyn Reader>,
        partition_columns: &[(String, DataType)],
    ) -> Result<Columns, SessionError> {
        let Self { state, store, source, .. } = self;
        let (objects, format) = (&self.files.objects, &source.format);
        let schemas = format::schemas(*state, store, reader.as_ref(), format, objects).await?;
        let files = TypedFiles { location: self.location, objects, schemas: &schemas };
        let schema = match self.declared() {
            Some(declared) => {
                let schema = without(&declared, partition_columns);
                files.check(&schema)?;
                schema
            }
            None => without(&files.inferred_schema()?, partition_columns),
        };
        if *format == FileFormat::Arrow {
            files.check_same(&schema)?;
        }
        let described: Vec<_> = objects.iter().zip(schemas.iter().cloned()).collect();
        let statistics = format::statistics(*state, store, reader.as_ref(), format, &schema, &described).await?;
        Ok((schema, statistics, Scanner::Engine(reader)))
    }
}

/// Some writers repeat the partition columns inside the files; the folders take precedence.
fn without(schema: &SchemaRef, partition_columns: &[(String, DataType)]) -> SchemaRef {
    let is_partition = |field: &Field| partition_columns.iter().any(|(name, _)| name == field.name());
    let fields: Vec<_> = schema.fields().iter().filter(|field| !is_partition(field)).cloned().collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn table_schema(file_schema: &SchemaRef, partition_columns: &[(String, DataType)]) -> TableSchema {
    let field = |(name, data_type): &(String, DataType)| Arc::new(Field::new(name, data_type.clone(), true));
    TableSchema::builder(Arc::clone(file_schema))
        .with_table_partition_cols(partition_columns.iter().map(field).collect::<Vec<_>>())
        .build()
}

fn check_sort_order(name: &NodeName, source: &ListingSource, schema: &Schema) -> Result<(), SessionError> {
    match source.file_sort_order.iter().find(|sort| schema.field_with_name(&sort.column).is_err()) {
        Some(sort) => Err(SessionError::SortColumn { table: name.clone(), column: sort.column.clone() }),
        None => Ok(()),
    }
}

/// The files with everything that a scan needs.
fn pin(
    files: &Files,
    statistics: Vec<Arc<Statistics>>,
    partition_columns: &[(String, DataType)],
) -> Result<Vec<PartitionedFile>, SessionError> {
    let pinned = files.objects.iter().zip(statistics).map(|(object, statistics)| {
        let values = partitions::values(&files.below_base(object), partition_columns)?;
        let mut file = PartitionedFile::new_from_meta(object.clone());
        file.statistics = Some(Arc::new(with_partition_values(&statistics, &values)));
        file.partition_values = values;
        Ok(file)
    });
    pinned.collect()
}

/// The statistics of a file's columns followed by those of its partition columns. (The engine's helper assumes that
/// partition values are never null.)
fn with_partition_values(statistics: &Statistics, values: &[ScalarValue]) -> Statistics {
    let mut statistics = statistics.clone();
    for value in values {
        let mut column = ColumnStatistics::new_unknown();
        if value.is_null() {
            column.null_count = statistics.num_rows;
        } else {
            column.null_count = Precision::Exact(0);
            column.min_value = Precision::Exact(value.clone());
            column.max_value = Precision::Exact(value.clone());
            column.distinct_count = Precision::Exact(1);
        }
        statistics.column_statistics.push(column);
    }
    statistics
}

fn record(
    name: &NodeName,
    source: &ListingSource,
    location: &Location,
    (files, marks): (&Files, &[Option<String>]),
    schema: &Schema,
) -> Result<Registration, SessionError> {
    let mut digest = FilesDigest::default();
    for (object, mark) in files.objects.iter().zip(marks) {
        let modified = object.last_modified.timestamp_micros().to_string();
        digest.add(&files.below_base(object), object.size, &modified, mark.as_deref());
    }
    let columns = columns(schema);
    let sort_order: Vec<SortRecord> = source
        .file_sort_order
        .iter()
        .map(|sort| SortRecord {
            column: sort.column.clone(),
            descending: sort.descending,
            nulls_first: sort.nulls_first,
        })
        .collect();
    let partition_columns: Vec<String> = source.partition_columns.iter().map(|(name, _)| name.clone()).collect();
    let scan = json!({
        "kind": "listing",
        "location": location,
        "format": source.format,
        "columns": columns,
        "partition_columns": partition_columns,
        "sort_order": sort_order,
    });
    Ok(Registration {
        name: name.clone(),
        kind: TableKind::Listing,
        location: Some(location.to_string()),
        format: Some(source.format.name().to_owned()),
        version: None,
        columns,
        partition_columns,
        sort_order,
        files: Some(files.objects.len() as u64),
        bytes: Some(files.objects.iter().map(|object| object.size).sum()),
        files_digest: Some(digest.finish()),
        scan_identity: identity(name, &scan)?,
    })
}
