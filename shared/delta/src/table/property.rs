//! Table properties: those that a definition may set.

use std::collections::BTreeMap;

use datafusion::arrow::datatypes::Field;

use crate::error::WriteError;
use crate::schema::change_feed::FEED_COLUMNS;

/// What a property's value has to be.
enum Kind {
    Boolean,
    /// A whole number, not below.
    Number(i64),
    /// `interval 30 days`, and the like.
    Interval,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Not to be set, because.
    Refused(&'static str),
}

/// The Delta properties that mean something to a writer or reader.
const PROPERTIES: &[(&str, Kind)] = &[
    ("delta.appendOnly", Kind::Boolean),
    ("delta.autoOptimize.autoCompact", Kind::Boolean),
    ("delta.autoOptimize.optimizeWrite", Kind::Boolean),
    ("delta.checkpoint.writeStatsAsJson", Kind::Boolean),
    ("delta.checkpoint.writeStatsAsStruct", Kind::Boolean),
    ("delta.checkpointInterval", Kind::Number(1)),
    ("delta.checkpointPolicy", Kind::OneOf(&["classic"])),
    ("delta.columnMapping.mode", Kind::OneOf(&["none"])),
    ("delta.dataSkippingNumIndexedCols", Kind::Number(-1)),
    ("delta.deletedFileRetentionDuration", Kind::Interval),
    ("delta.enableChangeDataFeed", Kind::Boolean),
    ("delta.enableDeletionVectors", Kind::Boolean),
    ("delta.enableExpiredLogCleanup", Kind::Boolean),
    ("delta.isolationLevel", Kind::OneOf(&["Serializable"])),
    ("delta.logRetentionDuration", Kind::Interval),
    (
        "delta.setTransactionRetentionDuration",
        Kind::Refused("it lets the log forget which runs have committed, so that one could commit twice"),
    ),
    ("delta.targetFileSize", Kind::Number(1)),
    ("delta.tuneFileSizesForRewrites", Kind::Boolean),
];

/// Checks the properties of a definition. Keys that do not start with `delta.` are the author's own.
pub(super) fn check(properties: &BTreeMap<String, String>) -> Result<(), WriteError> {
    for (property, value) in properties {
        if let Some(reason) = fault(property, value) {
            return Err(WriteError::Property { property: property.clone(), value: value.clone(), reason });
        }
    }
    Ok(())
}

/// Checks that a table with a change feed has no column of a name that the feed gives to columns of its own.
pub(super) fn check_feed(fields: &[Field], properties: &BTreeMap<String, String>) -> Result<(), WriteError> {
    if properties.get("delta.enableChangeDataFeed").is_none_or(|value| value != "true") {
        return Ok(());
    }
    let reserved = fields.iter().find(|field| FEED_COLUMNS.contains(&field.name().as_str()));
    reserved.map_or(Ok(()), |field| {
        Err(WriteError::ColumnName {
            column: field.name().clone(),
            reason: "its change feed (`delta.enableChangeDataFeed`) has a column of that name".to_owned(),
        })
    })
}

fn fault(property: &str, value: &str) -> Option<String> {
    if !property.starts_with("delta.") {
        return None;
    }
    if property.starts_with(super::CONSTRAINT) {
        return Some("constraints have a setting of their own, `constraints`".to_owned());
    }
    let Some((_, kind)) = PROPERTIES.iter().find(|(known, _)| *known == property) else {
        let nearest = PROPERTIES.iter().map(|(known, _)| (strsim::damerau_levenshtein(known, property), *known)).min();
        let hint =
            nearest.filter(|(distance, _)| *distance <= 4).map(|(_, known)| format!("; did you mean `{known}`?"));
        return Some(format!("this writer does not support it{}", hint.unwrap_or_default()));
    };
    match kind {
        Kind::Boolean => (!matches!(value, "true" | "false")).then(|| "it must be `true` or `false`".to_owned()),
        Kind::Number(least) => {
            let fits = value.parse::<i64>().is_ok_and(|number| number >= *least);
            (!fits).then(|| format!("it must be a whole number, at least {least}"))
        }
        Kind::Interval => {
            let words: Vec<&str> = value.split(' ').collect();
            let fits = matches!(words[..], ["interval", count, unit]
                if count.parse::<u32>().is_ok()
                    && ["hour", "day", "week", "minute", "second"].contains(&unit.trim_end_matches('s')));
            (!fits).then(|| "it must be an interval such as `interval 30 days`".to_owned())
        }
        Kind::OneOf(values) => {
            (!values.contains(&value)).then(|| format!("this writer supports `{}` only", values.join("`, `")))
        }
        Kind::Refused(reason) => Some((*reason).to_owned()),
    }
}
