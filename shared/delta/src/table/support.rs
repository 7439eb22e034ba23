//! What a table must not use if this writer is to write it.

use std::collections::HashMap;

use deltalake::kernel::{DataType, Protocol, StructType};

/// Table features that this writer knows how to respect. Delta protocol, "Valid Feature Names in Table Features".
const WRITTEN: [&str; 9] = [
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "columnMapping",
    "deletionVectors",
    "generatedColumns",
    "invariants",
    "timestampNtz",
    "v2Checkpoint",
];

/// Everything that the table uses and this writer does not support, by the protocol's names.
pub(super) fn unsupported(
    schema: &StructType,
    configuration: &HashMap<String, String>,
    protocol: &Protocol,
) -> Vec<String> {
    let mut found = Vec::new();
    if protocol.min_writer_version() > 7 || protocol.min_reader_version() > 3 {
        let versions = (protocol.min_reader_version(), protocol.min_writer_version());
        found.push(format!("reader version {} and writer version {}", versions.0, versions.1));
    }
    let features = protocol.writer_features().unwrap_or_default().iter();
    let features = features.chain(protocol.reader_features().unwrap_or_default()).map(ToString::to_string);
    for feature in features.filter(|feature| !WRITTEN.contains(&feature.as_str())) {
        let named = format!("the table feature `{feature}`");
        if !found.contains(&named) {
            found.push(named);
        }
    }
    if let Some(mode) = configuration.get("delta.columnMapping.mode").filter(|mode| *mode != "none") {
        found.push(format!("column mapping (`delta.columnMapping.mode` = `{mode}`)"));
    }
    if let Some(duration) = configuration.get("delta.setTransactionRetentionDuration") {
        found.push(format!("`delta.setTransactionRetentionDuration` = `{duration}`, which lets a run commit twice"));
    }
    if configuration.get("delta.enableRowTracking").is_some_and(|value| value == "true") {
        found.push("row tracking (`delta.enableRowTracking`)".to_owned());
    }
    in_columns("", schema, &mut found);
    found
}

fn in_columns(parent: &str, schema: &StructType, found: &mut Vec<String>) {
    for field in schema.fields() {
        let path = format!("{parent}{}", field.name());
        for (key, what) in [
            ("delta.generationExpression", "a generation expression"),
            ("delta.identity.start", "identity values"),
            ("delta.invariants", "an invariant"),
        ] {
            if field.metadata().contains_key(key) {
                found.push(format!("{what} in column `{path}`"));
            }
        }
        if !parent.is_empty() && !field.is_nullable() {
            found.push(format!("NOT NULL inside a nested column, `{path}`"));
        }
        in_type(&path, field.data_type(), found);
    }
}

fn in_type(path: &str, data_type: &DataType, found: &mut Vec<String>) {
    match data_type {
        DataType::Struct(inner) => in_columns(&format!("{path}."), inner, found),
        DataType::Array(array) => {
            if !array.contains_null() {
                found.push(format!("NOT NULL elements in column `{path}`"));
            }
            in_type(&format!("{path}.element"), array.element_type(), found);
        }
        DataType::Map(map) => {
            if !map.value_contains_null() {
                found.push(format!("NOT NULL values in column `{path}`"));
            }
            in_type(&format!("{path}.key"), map.key_type(), found);
            in_type(&format!("{path}.value"), map.value_type(), found);
        }
        DataType::Primitive(_) | DataType::Variant(_) => {}
    }
}
