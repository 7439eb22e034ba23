//! Column mapping: the columns of a data file under their logical names.
//!
//! Delta protocol, "Column Mapping". A mapped table's files name their columns physically (or only number them). The
//! footer of each file is rewritten as it is read, so that the file *seems* to have been written with logical names:
//! every later step (row-group and page pruning, filters, projection, missing columns, nested fields) then works as
//! for any other file. A column of the file that the table does not know, say a dropped one, gets a name that no
//! column of the table has.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::parquet::arrow::ARROW_SCHEMA_META_KEY;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::ConvertedType;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{FileMetaData, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::schema::types::{SchemaDescriptor, Type, TypePtr};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::PartitionedFile;
use deltalake::kernel::{ColumnMetadataKey, DataType, MetadataValue, StructField, StructType};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use windlass_storage::Location;

use crate::ReadError;

/// The table property that turns mapping on.
const MODE: &str = "delta.columnMapping.mode";

/// How the columns of a table's files are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMapping {
    mode: Mode,
    columns: Vec<MappedColumn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// By the physical name.
    Name,
    /// By the field id in the Parquet schema.
    Id,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MappedColumn {
    logical: String,
    physical: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<i32>,
    #[serde(default, skip_serializing_if = "MappedType::is_plain")]
    inner: MappedType,
}

/// Where a column's type has fields of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MappedType {
    /// Nowhere.
    #[default]
    Plain,
    Struct(Vec<MappedColumn>),
    List(Box<MappedType>),
    Map(Box<MappedType>, Box<MappedType>),
}

impl MappedType {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }

    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Struct(fields) => Self::Struct(mapped_columns(fields)?),
            DataType::Array(array) => Self::List(Box::new(Self::of(array.element_type())?)),
            DataType::Map(map) => Self::Map(Box::new(Self::of(map.key_type())?), Box::new(Self::of(map.value_type())?)),
            _ => Self::Plain,
        })
    }
}

fn mapped_columns(fields: &StructType) -> Option<Vec<MappedColumn>> {
    fields.fields().map(mapped_column).collect()
}

fn mapped_column(field: &StructField) -> Option<MappedColumn> {
    let metadata = |key: ColumnMetadataKey| field.metadata().get(key.as_ref());
    let physical = match metadata(ColumnMetadataKey::ColumnMappingPhysicalName)? {
        MetadataValue::String(name) => name.clone(),
        _ => return None,
    };
    let id = match metadata(ColumnMetadataKey::ColumnMappingId) {
        Some(MetadataValue::Number(id)) => i32::try_from(*id).ok(),
        _ => None,
    };
    Some(MappedColumn { logical: field.name().clone(), physical, id, inner: MappedType::of(field.data_type())? })
}

impl ColumnMapping {
    /// The mapping of a table with these columns and properties; `None` if the properties do not ask for one.
    ///
    /// # Errors
    /// [`ReadError::InvalidLog`] for an unknown mode or a column without the annotations that the mode needs.
    pub(crate) fn of(
        location: &Location,
        schema: &StructType,
        properties: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, ReadError> {
        let invalid = |reason: String| ReadError::InvalidLog { location: location.to_string(), reason };
        let mode = match properties.get(MODE).map(String::as_str) {
            None | Some("none") => return Ok(None),
            Some("name") => Mode::Name,
            Some("id") => Mode::Id,
            Some(other) => return Err(invalid(format!("its column mapping mode is `{other}`"))),
        };
        let columns = mapped_columns(schema)
            .ok_or_else(|| invalid("it maps columns, but a column has no physical name".to_owned()))?;
        if mode == Mode::Id && !columns.iter().all(|column| column.id.is_some()) {
            return Err(invalid("it maps columns by id, but a column has no id".to_owned()));
        }
        Ok(Some(Self { mode, columns }))
    }

    /// This mapping, and a further column that files have under its own name.
    pub(crate) fn with_unmapped(&self, name: &str) -> Self {
        let mut mapping = self.clone();
        let (logical, physical) = (name.to_owned(), name.to_owned());
        mapping.columns.push(MappedColumn { logical, physical, id: None, inner: MappedType::Plain });
        mapping
    }

    /// The physical names of the table's columns, in their order.
    pub(crate) fn physical_names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.physical.clone()).collect()
    }

    /// `name` or `id`, as the table property says.
    pub(super) fn mode(&self) -> &'static str {
        match self.mode {
            Mode::Name => "name",
            Mode::Id => "id",
        }
    }

    /// The footer of a file with its columns under their logical names.
    fn apply(&self, footer: &ParquetMetaData) -> ParquetResult<ParquetMetaData> {
        let file = footer.file_metadata();
        let root = file.schema_descr().root_schema();
        let fields = self.renamed_fields(root.get_fields(), &self.columns)?;
        let schema = Arc::new(SchemaDescriptor::new(Arc::new(
            Type::group_type_builder(root.name()).with_fields(fields).build()?,
        )));
        // The writer's own Arrow schema goes by physical names; without it the Parquet types speak for themselves.
        let pairs = file
            .key_value_metadata()
            .map(|pairs| pairs.iter().filter(|pair| pair.key != ARROW_SCHEMA_META_KEY).cloned().collect());
        let renamed = FileMetaData::new(
            file.version(),
            file.num_rows(),
            file.created_by().map(str::to_owned),
            pairs,
            Arc::clone(&schema),
            file.column_orders().cloned(),
        );
        let groups = footer.row_groups().iter().map(|group| {
            let mut builder = RowGroupMetaData::builder(Arc::clone(&schema))
                .set_num_rows(group.num_rows())
                .set_total_byte_size(group.total_byte_size())
                .set_sorting_columns(group.sorting_columns().cloned())
                .set_column_metadata(group.columns().to_vec());
            if let Some(ordinal) = group.ordinal() {
                builder = builder.set_ordinal(ordinal);
            }
            if let Some(offset) = group.file_offset() {
                builder = builder.set_file_offset(offset);
            }
            builder.build()
        });
        Ok(ParquetMetaData::new(renamed, groups.collect::<ParquetResult<_>>()?)
            .into_builder()
            .set_column_index(footer.column_index().cloned())
            .set_offset_index(footer.offset_index().cloned())
            .build())
    }

    fn renamed_fields(&self, fields: &[TypePtr], columns: &[MappedColumn]) -> ParquetResult<Vec<TypePtr>> {
        fields
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let column = columns.iter().find(|column| self.is_of(field, column));
                match column {
                    Some(column) => self.renamed(field, &column.logical, &column.inner),
                    None => self.renamed(field, &unknown_name(index, columns), &MappedType::Plain),
                }
            })
            .collect()
    }

    fn is_of(&self, field: &Type, column: &MappedColumn) -> bool {
        match self.mode {
            Mode::Name => field.name() == column.physical,
            Mode::Id => match column.id {
                Some(id) => {
                    let info = field.get_basic_info();
                    info.has_id() && info.id() == id
                }
                None => field.name() == column.physical,
            },
        }
    }

    /// `field` called `name`, with the fields inside of it renamed as `inner` says.
    fn renamed(&self, field: &Type, name: &str, inner: &MappedType) -> ParquetResult<TypePtr> {
        let renamed = match (field, inner) {
            (Type::PrimitiveType { .. }, _) => return with_name(field, name, None),
            (Type::GroupType { fields, .. }, MappedType::Plain) => fields.clone(),
            (Type::GroupType { fields, .. }, MappedType::Struct(columns)) => self.renamed_fields(fields, columns)?,
            (Type::GroupType { fields, .. }, MappedType::List(element)) => self.renamed_list(fields, element)?,
            (Type::GroupType { fields, .. }, MappedType::Map(key, value)) => self.renamed_map(fields, key, value)?,
        };
        with_name(field, name, Some(renamed))
    }

    /// The fields of a LIST group: one repeated group around the element or, in older files, the repeated element.
    fn renamed_list(&self, fields: &[TypePtr], element: &MappedType) -> ParquetResult<Vec<TypePtr>> {
        let [repeated] = fields else { return Err(malformed("list")) };
        let is_wrapper = repeated.is_group()
            && repeated.get_fields().len() == 1
            && repeated.name() != "array"
            && !repeated.name().ends_with("_tuple");
        if !is_wrapper {
            return Ok(vec![self.renamed(repeated, repeated.name(), element)?]);
        }
        let inner = &repeated.get_fields()[0];
        let inner = self.renamed(inner, inner.name(), element)?;
        Ok(vec![with_name(repeated, repeated.name(), Some(vec![inner]))?])
    }

    /// The fields of a MAP group: one repeated group of a key and a value.
    fn renamed_map(&self, fields: &[TypePtr], key: &MappedType, value: &MappedType) -> ParquetResult<Vec<TypePtr>> {
        let [entries] = fields else { return Err(malformed("map")) };
        if !entries.is_group() {
            return Err(malformed("map"));
        }
        let inner = entries
            .get_fields()
            .iter()
            .zip([key, value])
            .map(|(field, inner)| self.renamed(field, field.name(), inner))
            .collect::<ParquetResult<Vec<_>>>()?;
        Ok(vec![with_name(entries, entries.name(), Some(inner))?])
    }
}

fn malformed(kind: &str) -> ParquetError {
    ParquetError::General(format!("a {kind} column of the file does not have the structure of a {kind}"))
}

/// A name for the `index`th field of a file, which the table does not know, that no column of the table has.
fn unknown_name(index: usize, columns: &[MappedColumn]) -> String {
    let mut name = format!("__unmapped_{index}");
    while columns.iter().any(|column| column.logical == name) {
        name.push('_');
    }
    name
}

/// `field` with another name and, for a group, other fields.
fn with_name(field: &Type, name: &str, fields: Option<Vec<TypePtr>>) -> ParquetResult<TypePtr> {
    let info = field.get_basic_info();
    let id = info.has_id().then(|| info.id());
    let built = match field {
        Type::PrimitiveType { physical_type, type_length, scale, precision, .. } => {
            let mut builder = Type::primitive_type_builder(name, *physical_type)
                .with_converted_type(info.converted_type())
                .with_logical_type(info.logical_type_ref().cloned())
                .with_length(*type_length)
                .with_precision(*precision)
                .with_scale(*scale)
                .with_id(id);
            if info.has_repetition() {
                builder = builder.with_repetition(info.repetition());
            }
            builder.build()?
        }
        Type::GroupType { fields: own, .. } => {
            let mut builder = Type::group_type_builder(name)
                .with_logical_type(info.logical_type_ref().cloned())
                .with_fields(fields.unwrap_or_else(|| own.clone()))
                .with_id(id);
            if info.converted_type() != ConvertedType::NONE {
                builder = builder.with_converted_type(info.converted_type());
            }
            if info.has_repetition() {
                builder = builder.with_repetition(info.repetition());
            }
            builder.build()?
        }
    };
    Ok(Arc::new(built))
}

/// Opens files with their columns under logical names.
#[derive(Debug)]
pub(super) struct MappedReaders {
    pub(super) mapping: Arc<ColumnMapping>,
    pub(super) files: Arc<dyn ParquetFileReaderFactory>,
}

impl ParquetFileReaderFactory for MappedReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let file = self.files.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(MappedReader { mapping: Arc::clone(&self.mapping), file }))
    }
}

struct MappedReader {
    mapping: Arc<ColumnMapping>,
    file: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for MappedReader {
    fn get_bytes(&mut self, range: std::ops::Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.file.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<std::ops::Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.file.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let mapping = Arc::clone(&self.mapping);
        async move {
            let footer = self.file.get_metadata(options).await?;
            Ok(Arc::new(mapping.apply(&footer)?))
        }
        .boxed()
    }
}
