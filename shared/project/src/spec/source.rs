//! The kinds of sources: a Delta table, a folder of files, text files with one row each, inline rows, or a custom
//! loader.
//!
//! Locations are texts as the author wrote them (a path relative to the project, or a URL); `windlass_storage`
//! resolves them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::column_type::ColumnType;
use crate::literal_rows::{Columns, Row};

/// The kind of a source, with its options.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceKind {
    /// A Delta table.
    Delta(DeltaSource),
    /// A folder of files of one format.
    Listing(ListingSource),
    /// Text files, one row each.
    TextFiles(TextFilesSource),
    /// Rows that are part of the project.
    Rows(RowsSource),
    /// A table provided by a custom loader.
    Custom(CustomSource),
}

impl SourceKind {
    /// The kind's name in a project file.
    pub fn name(&self) -> &str {
        match self {
            Self::Delta(_) => "delta",
            Self::Listing(_) => "listing",
            Self::TextFiles(_) => "text_files",
            Self::Rows(_) => "rows",
            Self::Custom(source) => &source.loader,
        }
    }

    /// The kind's caption in a drawing.
    pub fn caption(&self) -> &str {
        match self {
            Self::Listing(source) => source.format.name(),
            Self::TextFiles(_) => "text files",
            _ => self.name(),
        }
    }

    /// Whether it has a location that can be overridden.
    pub fn has_location(&self) -> bool {
        match self {
            Self::Rows(_) => false,
            Self::Custom(source) => source.location.is_some(),
            Self::Delta(_) | Self::Listing(_) | Self::TextFiles(_) => true,
        }
    }

    /// Its location as it is written, if it has one.
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::Delta(source) => Some(&source.location),
            Self::Listing(source) => Some(&source.location),
            Self::TextFiles(source) => Some(&source.location),
            Self::Custom(source) => source.location.as_deref(),
            Self::Rows(_) => None,
        }
    }

    /// Its location, if it has one.
    pub fn location_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Delta(source) => Some(&mut source.location),
            Self::Listing(source) => Some(&mut source.location),
            Self::TextFiles(source) => Some(&mut source.location),
            Self::Custom(source) => source.location.as_mut(),
            Self::Rows(_) => None,
        }
    }
}

/// Rows that are part of the project. They are code: stages that read them are recomputed when they change.
#[derive(Debug, Clone, PartialEq)]
pub struct RowsSource {
    /// The columns.
    pub columns: Columns,
    /// The rows, one cell per column.
    pub rows: Vec<Row>,
}

/// A source that is read by a custom loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomSource {
    /// The loader's name.
    pub loader: String,
    /// Path or URL, if it has one.
    pub location: Option<String>,
    /// Options for the loader.
    pub options: BTreeMap<String, String>,
}

/// A Delta table, pinned once per run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaSource {
    /// Path or URL of the table's root.
    pub location: String,
    /// Which version to read; the newest by default.
    pub pin: PinAt,
}

/// Selects a version of a Delta table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinAt {
    /// The newest when the run starts.
    #[default]
    Latest,
    /// Exactly this one.
    Version(u64),
    /// The newest version committed at or before this time.
    Timestamp(DateTime<Utc>),
}

/// A folder of files of one format, optionally partitioned by folder names (`date=2026-01-01/`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingSource {
    /// Path or URL of the folder or of one file.
    pub location: String,
    /// The files' format.
    pub format: FileFormat,
    /// Partition columns in the order of the folders.
    pub partition_columns: Vec<(String, ColumnType)>,
    /// The sort order of every file's rows, which the planner may rely on.
    pub file_sort_order: Vec<SortColumn>,
    /// The columns, if they are not to be inferred from the files.
    pub schema: Option<Vec<(String, ColumnType)>>,
}

/// One column of a declared sort order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortColumn {
    /// The column.
    pub column: String,
    /// Whether the order is descending.
    pub descending: bool,
    /// Whether nulls come first.
    pub nulls_first: bool,
}

/// The format of the files of a [`ListingSource`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values.
    Csv {
        /// Whether the first line names the columns.
        has_header: bool,
        /// The byte between two values.
        delimiter: u8,
    },
    /// One JSON object per line.
    Json,
    /// Apache Avro.
    Avro,
    /// Arrow IPC files.
    Arrow,
}

impl FileFormat {
    /// The format's name in a project file, which is also the files' extension.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv { .. } => "csv",
            Self::Json => "json",
            Self::Avro => "avro",
            Self::Arrow => "arrow",
        }
    }
}

/// Text files below a folder, read whole: columns `path`, `size`, `content_hash`, `content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFilesSource {
    /// Path or URL of the folder.
    pub location: String,
    /// Globs over the path below the folder, `/` between its parts; a file is read if one matches.
    pub include: Vec<String>,
    /// Globs of files to omit although included.
    pub exclude: Vec<String>,
    /// Files above this many bytes are listed with a null content.
    pub max_file_bytes: u64,
}
