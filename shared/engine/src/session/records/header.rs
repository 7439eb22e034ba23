//! Maps the columns of a table to the fields of a file's records.

use datafusion::arrow::datatypes::Schema;

use super::csv::Records;
use super::fault::Fault;

/// The origin of a table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The files: anything outside the inferred columns is an error.
    Found,
    /// The project: other columns are ignored.
    Declared,
}

/// The names in the first record of a file.
///
/// # Errors
/// [`Fault::Columns`] if two are the same, [`Fault::Record`] if one is not text.
pub(super) fn names(records: &Records) -> Result<Vec<String>, Fault> {
    let record = records.record();
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for index in 0..record.len() {
        let not_text = || Fault::Record { line: records.line(), reason: "it is not UTF-8 text".to_owned() };
        let name = record.field(index).ok_or_else(not_text)?;
        if !name.is_empty() && names.iter().any(|known| known == name) {
            return Err(Fault::Columns { reason: format!("has two columns `{name}`") });
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// For each column of `schema`, its index among the `names` of a file. `elsewhere` are columns with another origin,
/// such as partition columns, which are ignored in files.
///
/// # Errors
/// [`Fault::Columns`] if a column is missing or, for inferred columns, if there is an additional one.
pub(super) fn places(
    names: &[String],
    schema: &Schema,
    origin: Origin,
    elsewhere: &[String],
) -> Result<Vec<usize>, Fault> {
    let place = |name: &String| names.iter().position(|known| known == name).ok_or_else(|| missing(name, names));
    let places = schema.fields().iter().map(|field| place(field.name())).collect::<Result<Vec<_>, _>>()?;
    let is_known = |name: &String| schema.index_of(name).is_ok() || elsewhere.contains(name);
    match names.iter().position(|name| !is_known(name)).filter(|_| origin == Origin::Found) {
        Some(index) if names[index].is_empty() => {
            Err(Fault::Columns { reason: format!("has no name for its column {}", index + 1) })
        }
        Some(index) => Err(Fault::Columns {
            reason: format!("has a column `{}`, which the files before it do not have", names[index]),
        }),
        None => Ok(places),
    }
}

fn missing(name: &str, names: &[String]) -> Fault {
    let reason = match names.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(other) => format!("has a column `{other}`, and none that is spelled `{name}`"),
        None => format!("has no column `{name}`; it has `{}`", names.join("`, `")),
    };
    Fault::Columns { reason }
}
