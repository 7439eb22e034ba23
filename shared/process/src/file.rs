//! The settings file: flat TOML whose keys are the settings' names.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use windlass_base::suggest::did_you_mean;

use super::error::{ProcessError, key};
use super::setting::Setting;

/// The values of a file, by setting: the text and its line.
pub(super) type FileValues = BTreeMap<&'static str, (String, usize)>;

/// Reads `text`, the content of the file at `path`.
pub(super) fn parse(path: &Path, text: &str, settings: &[Setting]) -> Result<FileValues, ProcessError> {
    let line_at = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| ProcessError::Toml {
        path: path.to_owned(),
        line: line_at(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut values = FileValues::new();
    for (name, value) in table.get_ref() {
        let line = line_at(name.span().start);
        let written: &str = name.get_ref();
        let Some(setting) = settings.iter().find(|setting| key(setting.name) == written) else {
            return Err(unknown(path, line, written, settings));
        };
        let text = as_text(value.get_ref()).ok_or_else(|| ProcessError::Toml {
            path: path.to_owned(),
            line,
            message: format!("the value of `{written}` must be one text, number, or true or false"),
        })?;
        values.insert(setting.name, (text, line));
    }
    Ok(values)
}

fn as_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

fn unknown(path: &Path, line: usize, written: &str, settings: &[Setting]) -> ProcessError {
    let keys: Vec<String> = settings.iter().map(|setting| key(setting.name)).collect();
    // Keys may mistakenly be written with dashes, like flags.
    let wanted = key(written);
    let hint = match keys.iter().find(|known| **known == wanted) {
        Some(known) => Some(format!("did you mean `{known}`?")),
        None => did_you_mean(&wanted, "the settings are", keys.iter().map(String::as_str)),
    };
    ProcessError::UnknownKey {
        path: path.to_owned(),
        line,
        key: written.to_owned(),
        hint: hint.unwrap_or_else(|| "see docs/configuration.md for the settings".to_owned()),
    }
}
