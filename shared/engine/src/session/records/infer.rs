//! Infers the columns of files from their content.

use datafusion::arrow::datatypes::{DataType, Field, Schema};

use super::csv::{Records, Step};
use super::fault::Fault;
use super::header;
use super::json::{self, VisitError};
use super::kind;
pub(super) use super::kind::Kind;
use super::lines::Lines;

/// The maximum nesting depth of a JSON record. Each level is parsed again, so the time for a record grows with the
/// depth.
const MAX_LEVELS: usize = 200;

/// Samples the values of a file.
pub(super) trait Sampler {
    /// Samples the records at the start of `input`, and returns their size in bytes. `at_end` means that nothing
    /// follows.
    fn observe(&mut self, input: &[u8], at_end: bool) -> Result<usize, Fault>;

    /// Whether a record was found.
    fn has_records(&self) -> bool;
}

/// The columns of a file of comma-separated values.
#[derive(Debug)]
pub(super) struct CsvSampler {
    records: Records,
    has_header: bool,
    /// The names, once they are known.
    pub(super) names: Option<Vec<String>>,
    /// The common kind of the values of each.
    pub(super) kinds: Vec<Kind>,
    /// Whether values are sampled.
    values: bool,
    seen: bool,
}

impl CsvSampler {
    /// Samples names and values, or only names.
    pub(super) fn new(delimiter: u8, has_header: bool, values: bool) -> Self {
        Self { records: Records::new(delimiter), has_header, names: None, kinds: Vec::new(), values, seen: false }
    }
}

impl Sampler for CsvSampler {
    fn observe(&mut self, input: &[u8], at_end: bool) -> Result<usize, Fault> {
        let mut at = 0;
        while self.values || self.names.is_none() {
            match self.records.read(&input[at..], at_end)? {
                Step::More(bytes) => return Ok(at + bytes),
                Step::Record(bytes) => at += bytes,
            }
            let record = self.records.record();
            if self.names.is_none() {
                self.kinds = vec![Kind::Nothing; record.len()];
                if self.has_header {
                    self.names = Some(header::names(&self.records)?);
                    continue;
                }
                self.names = Some((1..=record.len()).map(|number| format!("column_{number}")).collect());
            }
            self.seen = true;
            for (index, kind) in self.kinds.iter_mut().enumerate().filter(|(_, kind)| **kind != Kind::Text) {
                if let Some(text) = record.field(index).filter(|text| !text.is_empty()) {
                    *kind = kind.and(Kind::of_text(text));
                }
            }
        }
        Ok(at)
    }

    fn has_records(&self) -> bool {
        self.seen || (!self.values && self.names.is_some())
    }
}

/// The common shape of JSON values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Value(Kind),
    List(Box<Shape>),
    Struct(Vec<(String, Shape)>),
}

/// A value that is incompatible with earlier ones: its path, their shape, and its own.
#[derive(Debug)]
pub(super) struct ShapeConflict {
    pub(super) place: String,
    pub(super) before: &'static str,
    pub(super) now: String,
}

impl ShapeConflict {
    fn below(self, name: &str) -> Self {
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{name}.{}", self.place) };
        Self { place, ..self }
    }
}

impl Shape {
    const NOTHING: Self = Self::Value(Kind::Nothing);

    /// Adds a value.
    fn observe(&mut self, value: &str) -> Result<(), ShapeConflict> {
        match value.as_bytes().first() {
            Some(b'n') => Ok(()),
            Some(b'[') => {
                if *self == Self::NOTHING {
                    *self = Self::List(Box::new(Self::NOTHING));
                }
                match self {
                    Self::List(item) => conflict_of(json::items(value, |part| item.observe(part))),
                    _ => Err(self.conflict(value)),
                }
            }
            Some(b'{') => {
                if *self == Self::NOTHING {
                    *self = Self::Struct(Vec::new());
                }
                match self {
                    Self::Struct(fields) => conflict_of(add_fields(fields, value, true)),
                    _ => Err(self.conflict(value)),
                }
            }
            first => {
                let kind = match first {
                    Some(b't' | b'f') => Kind::Boolean,
                    Some(b'"') => Kind::Text,
                    _ => Kind::of_number(value),
                };
                match self {
                    Self::Value(known) => {
                        *known = known.and(kind);
                        Ok(())
                    }
                    _ => Err(self.conflict(value)),
                }
            }
        }
    }

    /// The common shape of both.
    fn and(self, other: Self) -> Result<Self, ShapeConflict> {
        Ok(match (self, other) {
            (shape, Self::NOTHING) | (Self::NOTHING, shape) => shape,
            (Self::Value(one), Self::Value(other)) => Self::Value(one.and(other)),
            (Self::List(one), Self::List(other)) => Self::List(Box::new(one.and(*other)?)),
            (Self::Struct(one), Self::Struct(other)) => Self::Struct(common_fields(one, other)?),
            (one, other) => return Err(one.conflict(other.name())),
        })
    }

    fn conflict(&self, value: &str) -> ShapeConflict {
        ShapeConflict { place: String::new(), before: self.name(), now: value.to_owned() }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Value(_) => "a single value",
            Self::List(_) => "a list",
            Self::Struct(_) => "a structure",
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Value(kind) => kind::data_type(*kind),
            Self::List(item) => DataType::new_list(item.data_type(), true),
            Self::Struct(fields) => DataType::Struct(fields_of(fields).into()),
        }
    }
}

/// The common fields of both; fields of only one are kept.
pub(super) fn common_fields(
    mut one: Vec<(String, Shape)>,
    other: Vec<(String, Shape)>,
) -> Result<Vec<(String, Shape)>, ShapeConflict> {
    for (name, shape) in other {
        match one.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                let before = std::mem::replace(known, Shape::NOTHING);
                *known = before.and(shape).map_err(|conflict| conflict.below(&name))?;
            }
            None => one.push((name, shape)),
        }
    }
    Ok(one)
}

/// The columns of such fields.
pub(super) fn fields_of(fields: &[(String, Shape)]) -> Vec<Field> {
    fields.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect()
}

fn add_fields(fields: &mut Vec<(String, Shape)>, object: &str, values: bool) -> Result<(), VisitError<ShapeConflict>> {
    json::entries(object, |key, value| {
        let place = fields.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            fields.push((key.to_owned(), Shape::NOTHING));
            fields.len() - 1
        });
        if values { fields[place].1.observe(value).map_err(|conflict| conflict.below(key)) } else { Ok(()) }
    })
}

/// Invalid JSON was refused when the record was read.
fn conflict_of(read: Result<(), VisitError<ShapeConflict>>) -> Result<(), ShapeConflict> {
    match read {
        Err(VisitError::Refused(conflict)) => Err(conflict),
        Ok(()) | Err(VisitError::Json(_)) => Ok(()),
    }
}

/// The columns of a file of JSON objects.
#[derive(Debug)]
pub(super) struct JsonSampler {
    lines: Lines,
    pub(super) fields: Vec<(String, Shape)>,
    /// Whether values are sampled.
    values: bool,
    seen: bool,
}

impl JsonSampler {
    /// Samples keys and values, or only keys.
    pub(super) fn new(values: bool) -> Self {
        Self { lines: Lines::new(), fields: Vec::new(), values, seen: false }
    }
}

impl Sampler for JsonSampler {
    fn observe(&mut self, input: &[u8], at_end: bool) -> Result<usize, Fault> {
        let mut at = 0;
        loop {
            let (step, text) = self.lines.read(&input[at..], at_end, usize::MAX);
            match step {
                Step::More(bytes) => return Ok(at + bytes),
                Step::Record(bytes) => at += bytes,
            }
            let line = self.lines.line();
            let object = object(line, text)?;
            if self.values && json::is_deeper(object, MAX_LEVELS) {
                let reason = format!("its values are nested more than {MAX_LEVELS} levels deep");
                return Err(Fault::Record { line, reason });
            }
            self.seen = true;
            add_fields(&mut self.fields, object, self.values).map_err(|stopped| match stopped {
                VisitError::Json(error) => no_json(line, &error),
                VisitError::Refused(conflict) => Fault::value(line, conflict.place, conflict.before, &conflict.now),
            })?;
        }
    }

    fn has_records(&self) -> bool {
        self.seen
    }
}

/// The text of a record.
pub(super) fn object(line: u64, text: &[u8]) -> Result<&str, Fault> {
    let text =
        std::str::from_utf8(text).map_err(|_| Fault::Record { line, reason: "it is not UTF-8 text".to_owned() })?;
    if text.starts_with('{') {
        return Ok(text);
    }
    Err(Fault::Record { line, reason: "it is not a JSON object, and each line must be one".to_owned() })
}

/// A record that is not JSON. The parser's line number is relative to the record and omitted.
pub(super) fn no_json(line: u64, error: &serde_json::Error) -> Fault {
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    Fault::Record { line, reason: format!("{what} at character {}", error.column()) }
}

/// The schema of columns with these names and kinds.
pub(super) fn csv_schema(names: &[String], kinds: &[Kind]) -> Schema {
    let field = |(name, kind): (&String, &Kind)| Field::new(name, kind::data_type(*kind), true);
    Schema::new(names.iter().zip(kinds).map(field).collect::<Vec<_>>())
}
