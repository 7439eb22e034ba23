//! What a writer has to know about its table.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};
use windlass_storage::Location;

use super::stats::float_paths;

/// Bytes that a data file should come to when nobody says otherwise.
pub const DEFAULT_TARGET_FILE_BYTES: u64 = 128 * 1024 * 1024;
/// Leaf columns that get statistics when the table does not say otherwise (`delta.dataSkippingNumIndexedCols`).
pub const DEFAULT_STATS_COLUMNS: u32 = 32;

/// What a writer has to know about its table. It travels to the executors inside the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WriteSpec {
    /// The table's name in messages and plan texts.
    pub table: String,
    /// The table's root.
    pub location: Location,
    /// The table's columns, in types that Delta has; the ones that must not hold null are not nullable.
    #[serde(with = "crate::schema::schema_json")]
    pub schema: SchemaRef,
    /// The partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// SQL conditions that must be true for every row, by name.
    pub constraints: BTreeMap<String, String>,
    /// Bytes that a data file should come to.
    pub target_file_bytes: u64,
    /// How data pages are compressed.
    pub compression: FileCompression,
    /// The first so many leaf columns get minima, maxima and null counts in the log.
    pub stats_columns: u32,
    /// Limits on what one task holds in memory.
    pub limits: WriteLimits,
    /// A mark in the names of the files that says how their rows are laid out; `None` if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
}

/// Limits on what one task holds in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteLimits {
    /// Files open at one time, one for each partition value at hand; the largest is closed to make room.
    pub open_files: usize,
    /// Bytes of unfinished row groups and unsent parts over all open files; the largest are ended to make room.
    pub buffered_bytes: usize,
    /// Rows of a row group. Whole row groups are held in memory, by who writes them and often by who reads them.
    pub row_group_rows: usize,
    /// Bytes of a column's dictionary in a row group; from there on its values are written as they are. In proportion to
    /// the row group, or columns of many values are put into dictionaries in vain.
    pub dictionary_bytes: usize,
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self {
            open_files: 64,
            buffered_bytes: 128 * 1024 * 1024,
            row_group_rows: 256 * 1024,
            dictionary_bytes: 256 * 1024,
        }
    }
}

/// How data pages are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileCompression {
    /// Snappy: the cheapest to write and the one every reader has.
    #[default]
    Snappy,
    /// Zstandard, level 1.
    Zstd,
    /// None.
    Uncompressed,
}

impl WriteSpec {
    /// A spec with the default sizes and limits.
    pub fn new(table: impl Into<String>, location: Location, schema: SchemaRef) -> Self {
        Self {
            table: table.into(),
            location,
            schema,
            partition_by: Vec::new(),
            constraints: BTreeMap::new(),
            target_file_bytes: DEFAULT_TARGET_FILE_BYTES,
            compression: FileCompression::default(),
            stats_columns: DEFAULT_STATS_COLUMNS,
            limits: WriteLimits::default(),
            layout: None,
        }
    }

    /// Takes the sizes and statistics that a table's properties ask for.
    pub(crate) fn set_properties(&mut self, properties: &BTreeMap<String, String>) {
        let stats = properties.get("delta.dataSkippingNumIndexedCols").and_then(|text| text.parse::<i64>().ok());
        self.stats_columns = stats.map_or(DEFAULT_STATS_COLUMNS, |count| u32::try_from(count).unwrap_or(u32::MAX));
        let bytes = properties.get("delta.targetFileSize").and_then(|text| text.parse().ok());
        self.target_file_bytes = bytes.unwrap_or(DEFAULT_TARGET_FILE_BYTES);
    }

    /// The columns inside the data files: the table's without its partition columns, all nullable, since nulls are
    /// refused before a row gets there.
    pub(super) fn file_schema(&self) -> SchemaRef {
        let fields = self.schema.fields().iter().filter(|field| !self.partition_by.contains(field.name()));
        Schema::new(fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect::<Vec<_>>())
            .into()
    }

    /// The table's columns with every one nullable.
    pub(super) fn nullable_schema(&self) -> SchemaRef {
        let fields = self.schema.fields().iter();
        Schema::new(fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect::<Vec<_>>())
            .into()
    }

    /// How the Parquet writer is set.
    pub(super) fn writer_properties(&self) -> WriterProperties {
        let compression = match self.compression {
            FileCompression::Snappy => Compression::SNAPPY,
            FileCompression::Zstd => Compression::ZSTD(ZstdLevel::default()),
            FileCompression::Uncompressed => Compression::UNCOMPRESSED,
        };
        let mut builder = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(self.limits.row_group_rows))
            .set_dictionary_page_size_limit(self.limits.dictionary_bytes)
            .set_created_by(concat!("windlass ", env!("CARGO_PKG_VERSION")).to_owned());
        for path in float_paths(self.schema.fields().iter().map(AsRef::as_ref)) {
            builder = builder.set_column_statistics_enabled(path.into(), EnabledStatistics::None);
        }
        builder.build()
    }

    /// What a file's name says about its layout, before its unique part.
    pub(super) fn file_prefix(&self) -> String {
        self.layout.as_ref().map(|layout| format!("{layout}-")).unwrap_or_default()
    }

    /// What a file's name says about its compression, between the name and `.parquet`.
    pub(super) fn file_suffix(&self) -> &'static str {
        match self.compression {
            FileCompression::Snappy => ".snappy",
            FileCompression::Zstd => ".zstd",
            FileCompression::Uncompressed => "",
        }
    }
}
