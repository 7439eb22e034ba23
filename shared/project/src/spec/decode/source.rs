//! One source of `sources`.

use chrono::{DateTime, Utc};
use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;

use super::contract;
use super::fields::{Fields, Keys, entries};
use super::values::{
    boolean, check_name, choice, filled_text, list, location, names, size, tag_places, tags, text, text_map, whole,
    wrong_type,
};
use crate::literal_rows::{Columns, check_complete, check_name as check_column, columns_of, rows_of};
use crate::spec::codes;
use crate::spec::column_type::ColumnType;
use crate::spec::files::{ProjectFiles, SEEDS_DIR};
use crate::spec::pipeline::SourceSpec;
use crate::spec::problem::Problem;
use crate::spec::source::{
    CustomSource, DeltaSource, FileFormat, ListingSource, PinAt, RowsSource, SortColumn, SourceKind, TextFilesSource,
};
use crate::spec::span::Spanned;
use crate::spec::yaml::{Node, Value};

const DELTA: Keys = Keys {
    what: "a source of kind `delta`",
    known: &["kind", "location", "version", "timestamp", "tags", "description", "contract"],
};
const LISTING: Keys = Keys {
    what: "a source of kind `listing`",
    known: &[
        "kind",
        "location",
        "format",
        "has_header",
        "delimiter",
        "partition_columns",
        "file_sort_order",
        "schema",
        "tags",
        "description",
        "contract",
    ],
};
const TEXT_FILES: Keys = Keys {
    what: "a source of kind `text_files`",
    known: &["kind", "location", "include", "exclude", "max_file_bytes", "tags", "description", "contract"],
};

/// The default limit above which a text file is listed without its content.
const DEFAULT_MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

const ROWS: Keys = Keys {
    what: "a source of kind `rows`",
    known: &["kind", "columns", "rows", "file", "tags", "description", "contract"],
};
const PROJECT_TABLE: Keys = Keys {
    what: "a source of kind `project_table`",
    known: &["kind", "home", "table", "version", "timestamp", "tags", "description", "contract"],
};
const CUSTOM: Keys = Keys {
    what: "a source of kind `custom`",
    known: &["kind", "loader", "location", "options", "tags", "description", "contract"],
};

#[derive(Clone, Copy)]
enum Kind {
    Delta,
    Listing,
    TextFiles,
    Rows,
    ProjectTable,
    Custom,
}

/// The kinds by name.
const KINDS: [(&str, Kind); 6] = [
    ("delta", Kind::Delta),
    ("listing", Kind::Listing),
    ("text_files", Kind::TextFiles),
    ("rows", Kind::Rows),
    ("project_table", Kind::ProjectTable),
    ("custom", Kind::Custom),
];

pub(super) fn decode(
    name: Spanned<NodeName>,
    node: &Node,
    files: &ProjectFiles,
    contracts: &contract::Decoded,
    problems: &mut Vec<Problem>,
) -> Option<SourceSpec> {
    let kind = kind_of(node, problems)?;
    let keys = match kind {
        Kind::Delta => &DELTA,
        Kind::Listing => &LISTING,
        Kind::TextFiles => &TEXT_FILES,
        Kind::Rows => &ROWS,
        Kind::ProjectTable => &PROJECT_TABLE,
        Kind::Custom => &CUSTOM,
    };
    let fields = Fields::open(node, keys, problems)?;
    let tag_places = fields.get("tags").map(tag_places).unwrap_or_default();
    let tags = fields.get("tags").and_then(|node| tags(node, problems)).unwrap_or_default();
    let description = fields.get("description").and_then(|node| text(node, "`description`", problems));
    let place = |problems: &mut Vec<Problem>| {
        let node = fields.require("location", "location: path/or/url", problems)?;
        location(node, "`location`", problems)
    };
    let kind = match kind {
        Kind::Delta => {
            let location = place(problems);
            delta(&fields, location, problems).map(SourceKind::Delta)
        }
        Kind::Listing => {
            let location = place(problems);
            listing(&fields, location, problems).map(SourceKind::Listing)
        }
        Kind::TextFiles => {
            let location = place(problems);
            text_files(&fields, location, problems).map(SourceKind::TextFiles)
        }
        Kind::Rows => rows(&name, &fields, files, problems).map(SourceKind::Rows),
        Kind::ProjectTable => {
            let location = project_table(&fields, problems);
            delta(&fields, location, problems).map(SourceKind::Delta)
        }
        Kind::Custom => custom(&fields, problems).map(SourceKind::Custom),
    };
    let contract = fields.get("contract").and_then(|node| contracts.named(node, problems));
    Some(SourceSpec { name, kind: kind?, tags, tag_places, description, contract })
}

fn kind_of(node: &Node, problems: &mut Vec<Problem>) -> Option<Kind> {
    let entries = entries(node, "a source", problems)?;
    let Some(entry) = entries.iter().find(|entry| entry.key.value == "kind") else {
        let problem = Problem::new(codes::MISSING_KEY, "a source needs `kind`")
            .label(&node.span, "`kind` is missing")
            .help("add `kind: delta`, `listing`, `text_files`, `rows`, `project_table` or `custom`");
        problems.push(problem);
        return None;
    };
    choice(&entry.value, "`kind`", &KINDS, problems)
}

/// Rows of the project: inline, or in a file below `seeds/`.
fn rows(
    name: &Spanned<NodeName>,
    fields: &Fields<'_>,
    files: &ProjectFiles,
    problems: &mut Vec<Problem>,
) -> Option<RowsSource> {
    let (mut order, mut typed) = (None, None);
    let before = problems.len();
    match fields.get("columns") {
        Some(columns) if matches!(columns.value, Value::List(_)) => order = names(columns, "`columns`", problems),
        Some(columns) => {
            let found = super::rows::typed_columns(columns, problems);
            order = Some(found.iter().map(|(name, _)| name.clone()).collect());
            typed = Some(found);
        }
        None => {}
    }
    if problems.len() > before {
        return None;
    }
    let spec = match (fields.get("rows"), fields.get("file")) {
        (Some(_), Some(file)) => {
            let problem = Problem::new(codes::DOES_NOT_APPLY, "rows are given twice: here and in a file");
            problems.push(problem.at(&file.span).help("remove `rows` or `file`"));
            return None;
        }
        (_, Some(file)) => {
            let spec = super::rows::file(file, SEEDS_DIR, files, problems)?;
            check_complete(name.value.as_str(), order.as_deref().unwrap_or_default(), &spec, problems);
            spec
        }
        (rows, None) => {
            let node = rows.or_else(|| fields.require("rows", "rows: [{ id: 1 }]", problems))?;
            super::rows::decode(node, order.as_deref(), problems)?
        }
    };
    let table = Spanned::new(name.value.to_string(), name.span.clone());
    let columns: Columns = match typed {
        Some(typed) => typed.into_iter().map(|(name, of)| (name.value, of)).collect(),
        None => columns_of(&table, &[&spec], problems)?,
    };
    for column in &spec.columns {
        check_column(column, &table.value, &columns, problems);
    }
    let rows = rows_of(&columns, &spec, problems);
    Some(RowsSource { columns, rows })
}

/// The location of the table of another project's stage, in that project's home.
fn project_table(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let home = fields.require("home", "home: ../other/.windlass", problems);
    let home = home.and_then(|node| location(node, "`home`", problems));
    let table = fields.require("table", "table: name_of_a_stage", problems);
    let table =
        table.and_then(|node| Some(Spanned::new(filled_text(node, "`table`", problems)?, node.span.clone())))?;
    check_name(&table, "a stage", problems);
    Some(format!("{}/tables/{}", home?.trim_end_matches('/'), table.value))
}

fn custom(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<CustomSource> {
    let loader = fields.require("loader", "loader: name_of_a_loader", problems);
    let loader = loader.and_then(|node| filled_text(node, "`loader`", problems));
    let location = fields.get("location").map(|node| location(node, "`location`", problems));
    let options = fields.get("options").and_then(|node| text_map(node, "`options`", problems)).unwrap_or_default();
    // An invalid location is not reported as missing.
    let location = location.map_or(Some(None), |found| found.map(Some))?;
    Some(CustomSource { loader: loader?, location, options })
}

fn delta(fields: &Fields<'_>, location: Option<String>, problems: &mut Vec<Problem>) -> Option<DeltaSource> {
    let version = fields.get("version").map(|node| whole(node, "`version`", 0..=i64::MAX.unsigned_abs(), problems));
    let timestamp = fields.get("timestamp").map(|node| timestamp(node, problems));
    if let (Some(version), Some(timestamp)) = (fields.key_span("version"), fields.key_span("timestamp")) {
        let problem =
            Problem::new(codes::DOES_NOT_APPLY, "a source is pinned to a version or to a timestamp, not both")
                .at(timestamp)
                .label(version, "pinned here too")
                .help("keep one of them");
        problems.push(problem);
    }
    let pin = match (version, timestamp) {
        (Some(version), _) => PinAt::Version(version?),
        (None, Some(timestamp)) => PinAt::Timestamp(timestamp?),
        (None, None) => PinAt::Latest,
    };
    Some(DeltaSource { location: location?, pin })
}

fn timestamp(node: &Node, problems: &mut Vec<Problem>) -> Option<DateTime<Utc>> {
    let written = filled_text(node, "`timestamp`", problems)?;
    match DateTime::parse_from_rfc3339(written.trim()) {
        Ok(moment) => Some(moment.with_timezone(&Utc)),
        Err(_) => {
            let problem = Problem::new(codes::BAD_VALUE, format!("`{written}` is not a point in time")).at(&node.span);
            problems.push(problem.help("write date, time and zone, such as 2026-01-31T12:00:00Z"));
            None
        }
    }
}

fn listing(fields: &Fields<'_>, location: Option<String>, problems: &mut Vec<Problem>) -> Option<ListingSource> {
    let format =
        fields.require("format", "format: parquet", problems).and_then(|node| format_of(node, fields, problems));
    let partition_columns = match fields.get("partition_columns") {
        Some(node) => partition_columns(node, problems),
        None => Some(Vec::new()),
    };
    let schema = fields.get("schema").map(|node| columns(node, "`schema`", problems));
    let file_sort_order = match fields.get("file_sort_order") {
        Some(node) => sort_order(node, problems),
        None => Some(Vec::new()),
    };
    if let (Some(node), Some(Some(columns)), Some(order)) = (fields.get("file_sort_order"), &schema, &file_sort_order) {
        check_sorted_columns(node, columns, order, problems);
    }
    Some(ListingSource {
        location: location?,
        format: format?,
        partition_columns: partition_columns?,
        file_sort_order: file_sort_order?,
        schema: match schema {
            Some(columns) => Some(columns?),
            None => None,
        },
    })
}

fn format_of(node: &Node, fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<FileFormat> {
    const FORMATS: [(&str, usize); 5] = [("parquet", 0), ("csv", 1), ("json", 2), ("avro", 3), ("arrow", 4)];
    let chosen = choice(node, "`format`", &FORMATS, problems)?;
    if chosen != 1 {
        for key in ["has_header", "delimiter"] {
            if let Some(span) = fields.key_span(key) {
                let message = format!("`{key}` is a setting of the format `csv` only");
                problems.push(Problem::new(codes::DOES_NOT_APPLY, message).at(span).help("remove it"));
            }
        }
    }
    match chosen {
        0 => Some(FileFormat::Parquet),
        1 => csv(fields, problems),
        2 => Some(FileFormat::Json),
        3 => Some(FileFormat::Avro),
        _ => Some(FileFormat::Arrow),
    }
}

fn csv(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<FileFormat> {
    let has_header = match fields.get("has_header") {
        Some(node) => boolean(node, "`has_header`", problems),
        None => Some(true),
    };
    let delimiter = match fields.get("delimiter") {
        Some(node) => delimiter(node, problems),
        None => Some(b','),
    };
    Some(FileFormat::Csv { has_header: has_header?, delimiter: delimiter? })
}

fn delimiter(node: &Node, problems: &mut Vec<Problem>) -> Option<u8> {
    let written = text(node, "`delimiter`", problems)?;
    match written.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Some(*byte),
        _ => {
            let message = "`delimiter` must be one ASCII character, not a quote or a line break";
            problems.push(Problem::new(codes::BAD_VALUE, message).at(&node.span).help("a tab is written \"\\t\""));
            None
        }
    }
}

/// Partition columns: names with types, or only names, which are text.
fn partition_columns(node: &Node, problems: &mut Vec<Problem>) -> Option<Vec<(String, ColumnType)>> {
    match &node.value {
        Value::List(_) => {
            let names = names(node, "`partition_columns`", problems)?;
            Some(names.into_iter().map(|name| (name.value, ColumnType::String)).collect())
        }
        Value::Map(_) => columns(node, "`partition_columns`", problems),
        _ => wrong_type(node, "`partition_columns`", "a mapping of columns to types or a list of columns", problems),
    }
}

/// A mapping of columns to types.
fn columns(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Vec<(String, ColumnType)>> {
    let mut columns = Some(Vec::new());
    for entry in entries(node, what, problems)? {
        let name = &entry.key.value;
        match column_type(&entry.value, &format!("the type of `{name}`"), problems) {
            Some(data_type) => columns.iter_mut().for_each(|columns| columns.push((name.clone(), data_type))),
            None => columns = None,
        }
    }
    columns
}

/// The name of a column type.
pub(super) fn column_type(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<ColumnType> {
    let word = filled_text(node, what, problems)?;
    let found = ColumnType::parse(&word);
    if found.is_none() {
        let mut problem = Problem::new(codes::BAD_VALUE, format!("{what} cannot be `{word}`")).at(&node.span);
        problem.help = if word.starts_with("decimal") {
            Some(
                "write `decimal(precision,scale)`: 1 to 38 digits in all, and how many of them after the decimal point"
                    .into(),
            )
        } else {
            type_help(&word)
        };
        problems.push(problem);
    }
    found
}

/// The type that other systems call `word`, or the nearest name.
fn type_help(word: &str) -> Option<String> {
    let meant = match word.to_ascii_lowercase().as_str() {
        "text" | "varchar" | "utf8" | "str" => "string",
        "bigint" | "int64" | "i64" => "long",
        "int" | "int32" | "i32" => "integer",
        "smallint" | "int16" => "short",
        "tinyint" | "int8" => "byte",
        "real" | "float32" => "float",
        "float64" => "double",
        "bytes" | "bytea" | "blob" => "binary",
        "datetime" => "timestamp_ntz",
        "timestamptz" => "timestamp",
        "numeric" => "decimal(38,10)",
        _ => return did_you_mean(word, "types are", ColumnType::NAMES),
    };
    Some(format!("did you mean `{meant}`?"))
}

fn sort_order(node: &Node, problems: &mut Vec<Problem>) -> Option<Vec<SortColumn>> {
    let mut order = Some(Vec::new());
    for item in list(node, "`file_sort_order`", problems)? {
        match sort_column(item, problems) {
            Some(column) => order.iter_mut().for_each(|order| order.push(column.clone())),
            None => order = None,
        }
    }
    order
}

/// `column [asc|desc] [nulls first|last]`. As in SQL here, nulls are the largest value unless specified otherwise.
fn sort_column(node: &Node, problems: &mut Vec<Problem>) -> Option<SortColumn> {
    let written = filled_text(node, "an item of `file_sort_order`", problems)?;
    let words: Vec<String> = written.split_whitespace().map(str::to_ascii_lowercase).collect();
    let mut rest: &[String] = words.get(1..).unwrap_or_default();
    let mut descending = false;
    if let Some(word) = rest.first().filter(|word| *word == "asc" || *word == "desc") {
        descending = word == "desc";
        rest = &rest[1..];
    }
    let nulls_first = match rest {
        [] => descending,
        [nulls, first] if nulls == "nulls" && first == "first" => true,
        [nulls, last] if nulls == "nulls" && last == "last" => false,
        _ => {
            let problem = Problem::new(codes::BAD_VALUE, format!("`{written}` is not a sort column")).at(&node.span);
            problems.push(problem.help("write `column [asc|desc] [nulls first|last]`, such as `ts desc nulls last`"));
            return None;
        }
    };
    let column = written.split_whitespace().next().unwrap_or_default().to_owned();
    Some(SortColumn { column, descending, nulls_first })
}

fn check_sorted_columns(
    node: &Node,
    columns: &[(String, ColumnType)],
    order: &[SortColumn],
    problems: &mut Vec<Problem>,
) {
    let Value::List(items) = &node.value else { return };
    for (item, sorted) in items.iter().zip(order) {
        if !columns.iter().any(|(name, _)| *name == sorted.column) {
            let message = format!("`file_sort_order` names `{}`, which is not in `schema`", sorted.column);
            let mut problem = Problem::new(codes::BAD_VALUE, message).at(&item.span);
            problem.help = did_you_mean(&sorted.column, "columns are", columns.iter().map(|(name, _)| name.as_str()));
            problems.push(problem);
        }
    }
}

fn text_files(fields: &Fields<'_>, location: Option<String>, problems: &mut Vec<Problem>) -> Option<TextFilesSource> {
    let include = match fields.get("include") {
        Some(node) => globs(node, "`include`", problems),
        None => Some(vec!["**".to_owned()]),
    };
    let exclude = match fields.get("exclude") {
        Some(node) => globs(node, "`exclude`", problems),
        None => Some(Vec::new()),
    };
    let max_file_bytes = match fields.get("max_file_bytes") {
        Some(node) => size(node, "`max_file_bytes`", 1, problems),
        None => Some(DEFAULT_MAX_FILE_BYTES),
    };
    Some(TextFilesSource { location: location?, include: include?, exclude: exclude?, max_file_bytes: max_file_bytes? })
}

fn globs(node: &Node, what: &str, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
    let globs = names(node, what, problems)?;
    let mut good = true;
    for glob in &globs {
        if let Err(error) = globset::Glob::new(&glob.value) {
            let message = format!("`{}` is not a glob: {}", glob.value, error.kind());
            let problem = Problem::new(codes::BAD_VALUE, message).at(&glob.span);
            problems.push(problem.help("examples of globs are `**/*.rs` or `src/*.{rs,py}`"));
            good = false;
        }
    }
    good.then(|| globs.into_iter().map(|glob| glob.value).collect())
}
