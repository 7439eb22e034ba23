//! Converts the records of a file to columns.

use std::collections::HashMap;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use windlass_base::count::counted;

use super::column::{Column, Refused};
use super::csv::{Records, Step};
use super::fault::Fault;
use super::header::{self, Origin};
use super::infer::{no_json, object};
use super::json::{self, VisitError};
use super::lines::Lines;

/// The format of the records of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordFormat {
    /// Comma-separated values.
    Csv {
        /// Whether the first line names the columns.
        has_header: bool,
        /// The byte between two values.
        delimiter: u8,
    },
    /// One JSON object a line.
    Json,
}

/// Which columns are read, and which others a file may have.
#[derive(Debug, Clone)]
pub(super) struct ReadColumns {
    /// The columns of the files.
    pub(super) schema: SchemaRef,
    pub(super) origin: Origin,
    /// Columns that files may repeat, and that are not read from them.
    pub(super) elsewhere: Vec<String>,
    /// For each column of `schema`, whether it is read.
    pub(super) read: Vec<bool>,
}

/// Reads the records of one file incrementally.
#[derive(Debug)]
pub(super) struct Rows {
    wanted: ReadColumns,
    way: FormatState,
    /// For each column of the schema; `None` if it is not read.
    columns: Vec<Option<Column>>,
    rows: usize,
}

#[derive(Debug)]
enum FormatState {
    Csv {
        records: Records,
        has_header: bool,
        /// For each column, its index in a record; known from the first one.
        places: Option<Vec<usize>>,
    },
    Json {
        lines: Lines,
        places: HashMap<String, usize>,
        /// For each column, the number of the last record that has it.
        seen: Vec<u64>,
        records: u64,
    },
}

impl Rows {
    pub(super) fn new(format: RecordFormat, wanted: ReadColumns) -> Result<Self, ArrowError> {
        let fields = wanted.schema.fields();
        let column = |(field, read): (_, &bool)| -> Result<Option<Column>, ArrowError> {
            let field: &datafusion::arrow::datatypes::FieldRef = field;
            read.then(|| Column::new(field.data_type())).transpose()
        };
        let columns = fields.iter().zip(&wanted.read).map(column).collect::<Result<_, _>>()?;
        let way = match format {
            RecordFormat::Csv { has_header, delimiter } => {
                let records = match has_header {
                    true => Records::new(delimiter),
                    false => Records::of_columns(delimiter, fields.len()),
                };
                FormatState::Csv { records, has_header, places: None }
            }
            RecordFormat::Json => FormatState::Json {
                lines: Lines::new(),
                places: fields.iter().enumerate().map(|(place, field)| (field.name().clone(), place)).collect(),
                seen: vec![0; fields.len()],
                records: 0,
            },
        };
        Ok(Self { wanted, way, columns, rows: 0 })
    }

    /// The number of rows that were not taken yet.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Reads records from the start of `input` until there are `most` rows, and returns their size in bytes. Records
    /// that start after the first `within` bytes are not read; `at_end` means that nothing follows `input`.
    pub(super) fn read(&mut self, input: &[u8], at_end: bool, within: usize, most: usize) -> Result<usize, Fault> {
        let Self { wanted, way, columns, rows } = self;
        match way {
            FormatState::Csv { records, has_header, places } => {
                let mut at = 0;
                while *rows < most {
                    match records.read(&input[at..], at_end)? {
                        Step::More(bytes) => return Ok(at + bytes),
                        Step::Record(bytes) => at += bytes,
                    }
                    let places = match places {
                        Some(places) => places,
                        None => {
                            let found = first(records, *has_header, wanted)?;
                            let found = places.insert(found);
                            if *has_header {
                                continue;
                            }
                            found
                        }
                    };
                    push_fields(records, places, columns, wanted)?;
                    *rows += 1;
                }
                Ok(at)
            }
            FormatState::Json { lines, places, seen, records } => {
                let mut at = 0;
                while *rows < most && at < within {
                    let (step, text) = lines.read(&input[at..], at_end, within - at);
                    match step {
                        Step::More(bytes) => return Ok(at + bytes),
                        Step::Record(bytes) => at += bytes,
                    }
                    *records += 1;
                    let line = lines.line();
                    push_object(line, object(line, text)?, places, (seen.as_mut_slice(), *records), columns, wanted)?;
                    *rows += 1;
                }
                Ok(at)
            }
        }
    }

    /// Takes the rows so far, with the columns that are read.
    pub(super) fn take(&mut self) -> Result<(usize, Vec<Option<ArrayRef>>), ArrowError> {
        let finish = |column: &mut Option<Column>| column.as_mut().map(Column::finish).transpose();
        let columns = self.columns.iter_mut().map(finish).collect::<Result<_, _>>()?;
        Ok((std::mem::take(&mut self.rows), columns))
    }
}

/// The indexes of the columns, from the first record of a file.
fn first(records: &Records, has_header: bool, wanted: &ReadColumns) -> Result<Vec<usize>, Fault> {
    if has_header {
        return header::places(&header::names(records)?, &wanted.schema, wanted.origin, &wanted.elsewhere);
    }
    let (width, columns) = (records.record().len(), wanted.schema.fields().len());
    if width != columns {
        return Err(Fault::Columns { reason: format!("has {} instead of {columns}", counted(width, "column")) });
    }
    Ok((0..columns).collect())
}

fn push_fields(
    records: &Records,
    places: &[usize],
    columns: &mut [Option<Column>],
    wanted: &ReadColumns,
) -> Result<(), Fault> {
    let record = records.record();
    for (index, column) in columns.iter_mut().enumerate() {
        let Some(column) = column else { continue };
        let not_text = || Fault::Record { line: records.line(), reason: "it is not UTF-8 text".to_owned() };
        let text = record.field(places[index]).ok_or_else(not_text)?;
        if text.is_empty() {
            column.push_null();
        } else if column.push_text(text).is_none() {
            let name = wanted.schema.field(index).name();
            return Err(Fault::value(records.line(), name, column.type_name(), text));
        }
    }
    Ok(())
}

fn push_object(
    line: u64,
    object: &str,
    places: &HashMap<String, usize>,
    (seen, record): (&mut [u64], u64),
    columns: &mut [Option<Column>],
    wanted: &ReadColumns,
) -> Result<(), Fault> {
    let read = json::entries(object, |key, value| {
        let Some(place) = places.get(key).copied() else { return unknown(key, places, wanted) };
        if seen[place] == record {
            return Err(Refused::Repeated(key.to_owned()));
        }
        seen[place] = record;
        match &mut columns[place] {
            Some(column) => column.push_json(value).map_err(|refused| named(refused, key)),
            None => Ok(()),
        }
    });
    read.map_err(|stopped| match stopped {
        VisitError::Json(error) => no_json(line, &error),
        VisitError::Refused(Refused::Value { place, expected, found }) => Fault::value(line, place, expected, &found),
        VisitError::Refused(Refused::Repeated(key)) => {
            Fault::Record { line, reason: format!("the key `{key}` is a duplicate") }
        }
        VisitError::Refused(Refused::Key(key)) => Fault::Record { line, reason: other_key(&key, places) },
    })?;
    for (column, seen) in columns.iter_mut().zip(seen.iter()) {
        if *seen != record
            && let Some(column) = column
        {
            column.push_null();
        }
    }
    Ok(())
}

/// Whether a record may have a key that is not a column.
fn unknown(key: &str, places: &HashMap<String, usize>, wanted: &ReadColumns) -> Result<(), Refused> {
    let is_elsewhere = wanted.elsewhere.iter().any(|name| name == key);
    let looks_known = || places.keys().any(|known| known.eq_ignore_ascii_case(key));
    match wanted.origin {
        _ if is_elsewhere => Ok(()),
        Origin::Declared if !looks_known() => Ok(()),
        Origin::Declared | Origin::Found => Err(Refused::Key(key.to_owned())),
    }
}

fn other_key(key: &str, places: &HashMap<String, usize>) -> String {
    match places.keys().find(|known| known.eq_ignore_ascii_case(key)) {
        Some(known) => format!("it has a key `{key}`, and the column is spelled `{known}`"),
        None => format!("it has a key `{key}`, which is not among the columns that were found"),
    }
}

/// The refusal with the column `name` prefixed.
fn named(refused: Refused, name: &str) -> Refused {
    match refused {
        Refused::Value { place, expected, found } => {
            Refused::Value { place: format!("{name}{place}"), expected, found }
        }
        Refused::Key(key) => Refused::Key(format!("{name}.{key}")),
        Refused::Repeated(key) => Refused::Repeated(format!("{name}.{key}")),
    }
}
