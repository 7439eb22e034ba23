//! Sources and parameters of a project built in code.

use chrono::{DateTime, SecondsFormat, Utc};
use windlass_project::literal_rows::{Cell, Columns, Row};
use windlass_project::spec::ParamValue;
use windlass_project::spec::column_type::ColumnType;
use windlass_project::spec::source::{FileFormat, PinAt, SortColumn, SourceKind};

use super::yaml::{Map, Yaml};

/// A source of a project. Its options depend on its kind; the check of the project reports those that do not apply.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Source {
    fields: Map,
}

impl Source {
    fn of_kind(kind: &str) -> Self {
        let mut fields = Map::default();
        fields.set("kind", Yaml::text(kind));
        Self { fields }
    }

    fn new(kind: &str, location: impl Into<String>) -> Self {
        Self::of_kind(kind).with("location", Yaml::text(location))
    }

    fn with(mut self, key: &str, value: Yaml) -> Self {
        self.fields.set(key, value);
        self
    }

    /// The Delta table at a path or URL, read at its newest version unless [`Source::version`] or [`Source::timestamp`]
    /// is used.
    pub fn delta(location: impl Into<String>) -> Self {
        Self::new("delta", location)
    }

    /// The files of one format below a path or URL.
    pub fn listing(location: impl Into<String>, format: &FileFormat) -> Self {
        let source = Self::new("listing", location).with("format", Yaml::text(format.name()));
        match format {
            FileFormat::Csv { has_header, delimiter } => {
                source.with("has_header", Yaml::plain(has_header)).with("delimiter", Yaml::text(char::from(*delimiter)))
            }
            FileFormat::Parquet | FileFormat::Json | FileFormat::Avro | FileFormat::Arrow => source,
        }
    }

    /// The text files below a path or URL, one row each.
    pub fn text_files(location: impl Into<String>) -> Self {
        Self::new("text_files", location)
    }

    /// The table of the stage `table` of another project, in that project's home.
    pub fn project_table(home: impl Into<String>, table: impl Into<String>) -> Self {
        Self::of_kind("project_table").with("home", Yaml::text(home)).with("table", Yaml::text(table))
    }

    /// Rows that are part of the project, with one cell per column.
    pub fn rows(columns: &Columns, rows: &[Row]) -> Self {
        let mut source = Self::of_kind("rows");
        for (name, of) in columns {
            source.fields.enter("columns", name, Yaml::text(of.to_string()));
        }
        source.with("rows", Yaml::List(rows.iter().map(|row| Yaml::List(row.iter().map(cell).collect())).collect()))
    }

    /// A source opened by a custom loader; see
    /// [`ConnectorRegistry::with_loader`](windlass_engine::connectors::ConnectorRegistry::with_loader).
    pub fn custom(loader: impl Into<String>) -> Self {
        Self::of_kind("custom").with("loader", Yaml::text(loader))
    }

    /// An option for the loader.
    pub fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.enter("options", name, Yaml::text(value));
        self
    }

    /// Reads exactly this version of a Delta table.
    pub fn version(self, version: u64) -> Self {
        self.with("version", Yaml::plain(version))
    }

    /// Reads the newest version of a Delta table committed at or before this time.
    pub fn timestamp(self, moment: DateTime<Utc>) -> Self {
        self.with("timestamp", Yaml::text(moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
    }

    /// A partition column of a listing, whose values are in folder names; the outermost comes first.
    pub fn partition_column(mut self, name: &str, data_type: ColumnType) -> Self {
        self.fields.enter("partition_columns", name, Yaml::text(data_type.to_string()));
        self
    }

    /// A declared column of a listing. If there are any, columns are not inferred from the files.
    pub fn column(mut self, name: &str, data_type: ColumnType) -> Self {
        self.fields.enter("schema", name, Yaml::text(data_type.to_string()));
        self
    }

    /// The next sort column of the rows of every file of a listing.
    pub fn sorted_by(mut self, column: &SortColumn) -> Self {
        let direction = if column.descending { "desc" } else { "asc" };
        let nulls = if column.nulls_first { "first" } else { "last" };
        self.fields.push("file_sort_order", Yaml::text(format!("{} {direction} nulls {nulls}", column.column)));
        self
    }

    /// A glob of text files to read. Without one, all are.
    pub fn include(mut self, glob: impl Into<String>) -> Self {
        self.fields.push("include", Yaml::text(glob));
        self
    }

    /// A glob of text files to omit.
    pub fn exclude(mut self, glob: impl Into<String>) -> Self {
        self.fields.push("exclude", Yaml::text(glob));
        self
    }

    /// Text files above this many bytes are listed with a null content.
    pub fn max_file_bytes(self, bytes: u64) -> Self {
        self.with("max_file_bytes", Yaml::plain(bytes))
    }

    /// A tag.
    pub fn tag(mut self, key: &str, value: impl Into<String>) -> Self {
        self.fields.enter("tags", key, Yaml::text(value));
        self
    }

    /// What the source contains.
    pub fn description(self, text: impl Into<String>) -> Self {
        self.with("description", Yaml::text(text))
    }

    pub(super) fn into_yaml(self) -> Yaml {
        Yaml::Map(self.fields)
    }
}

/// A source as written in a project file.
impl From<&SourceKind> for Source {
    fn from(kind: &SourceKind) -> Self {
        match kind {
            SourceKind::Delta(delta) => match delta.pin {
                PinAt::Latest => Self::delta(&delta.location),
                PinAt::Version(version) => Self::delta(&delta.location).version(version),
                PinAt::Timestamp(moment) => Self::delta(&delta.location).timestamp(moment),
            },
            SourceKind::Listing(listing) => {
                let mut source = Self::listing(&listing.location, &listing.format);
                for (name, of) in &listing.partition_columns {
                    source = source.partition_column(name, *of);
                }
                for (name, of) in listing.schema.iter().flatten() {
                    source = source.column(name, *of);
                }
                listing.file_sort_order.iter().fold(source, Self::sorted_by)
            }
            SourceKind::TextFiles(files) => {
                let source = Self::text_files(&files.location).max_file_bytes(files.max_file_bytes);
                let source = files.include.iter().fold(source, Self::include);
                files.exclude.iter().fold(source, Self::exclude)
            }
            SourceKind::Rows(rows) => Self::rows(&rows.columns, &rows.rows),
            SourceKind::Custom(custom) => {
                let mut source = Self::custom(&custom.loader);
                source.fields.set_some("location", &custom.location, |text| Yaml::text(text));
                custom.options.iter().fold(source, |source, (name, value)| source.option(name, value))
            }
        }
    }
}

/// A cell of a row.
fn cell(cell: &Cell) -> Yaml {
    match cell {
        Cell::Null => Yaml::plain("null"),
        Cell::Boolean(value) => Yaml::plain(value),
        Cell::Integer(value) => Yaml::plain(value),
        Cell::Float(value) if value.is_finite() => Yaml::plain(format!("{value:?}")),
        Cell::Float(value) if value.is_nan() => Yaml::text("NaN"),
        Cell::Float(value) => Yaml::text(if *value > 0.0 { "Infinity" } else { "-Infinity" }),
        Cell::Text(text) => Yaml::text(text),
        Cell::List(items) => Yaml::List(items.iter().map(self::cell).collect()),
        Cell::Struct(fields) => {
            let mut map = Map::default();
            for (name, value) in fields {
                map.set(name, self::cell(value));
            }
            Yaml::Map(map)
        }
        Cell::Map(pairs) => {
            let mut map = Map::default();
            for (key, value) in pairs {
                let key = if let Cell::Text(text) = key { text.clone() } else { key.to_string() };
                map.set(&key, self::cell(value));
            }
            Yaml::Map(map)
        }
        // Dates, times, decimals and bytes are parsed from their texts.
        other => Yaml::text(other.to_string()),
    }
}

/// A parameter of a project: its type, and optionally a default.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Param {
    fields: Map,
}

impl Param {
    /// A parameter that must be given.
    pub fn required(data_type: ColumnType) -> Self {
        let mut fields = Map::default();
        fields.set("type", Yaml::text(data_type.to_string()));
        Self { fields }
    }

    /// What the parameter is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.fields.set("description", Yaml::text(text));
        self
    }

    pub(super) fn into_yaml(self) -> Yaml {
        Yaml::Map(self.fields)
    }
}

/// A parameter with a default.
impl From<ParamValue> for Param {
    fn from(default: ParamValue) -> Self {
        let mut param = Self::required(default.data_type());
        param.fields.set("default", value(&default));
        param
    }
}

/// The value of a parameter.
pub(super) fn value(value: &ParamValue) -> Yaml {
    match value {
        ParamValue::String(_) | ParamValue::Date(_) | ParamValue::Timestamp(_) | ParamValue::TimestampNtz(_) => {
            Yaml::text(value.to_string())
        }
        _ => Yaml::plain(value),
    }
}
