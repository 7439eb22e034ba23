//! What a source is: a Delta table, a folder of files, or text files read whole.
//!
//! Locations are texts as the author wrote them (a path relative to the project, or a URL); `shared/storage`
//! resolves them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::column_type::ColumnType;

/// The kind of a source, with what that kind needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SourceKind {
    /// A Delta table.
    Delta(DeltaSource),
    /// A folder of files of one format.
    Listing(ListingSource),
    /// Text files, a row each.
    TextFiles(TextFilesSource),
}

/// A Delta table, pinned once a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaSource {
    /// Path or URL of the table's root.
    pub location: String,
    /// Which version to read; the newest when the author says nothing.
    pub pin: PinAt,
}

/// Which version of a Delta table is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinAt {
    /// The newest when the run starts.
    #[default]
    Latest,
    /// Exactly this one.
    Version(u64),
    /// The newest whose commit is not younger than this.
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
    /// The order that every file's rows are already in, which the planner may rely on.
    pub file_sort_order: Vec<SortColumn>,
    /// The columns, when they shall not be inferred from the files.
    pub schema: Option<Vec<(String, ColumnType)>>,
}

/// One column of a declared sort order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortColumn {
    /// The column.
    pub column: String,
    /// Whether the order is falling.
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
    /// One JSON object a line.
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
    /// Globs of files to leave out although included.
    pub exclude: Vec<String>,
    /// Files above this many bytes are listed with a null content.
    pub max_file_bytes: u64,
}
