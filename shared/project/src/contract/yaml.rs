//! A contract as a file of a project.

use std::fmt::Write;

use super::Contract;

/// The contract as the text of a file below `contracts/`, which parses to the same contract.
pub fn to_yaml(contract: &Contract) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{args}");
    };
    line(format_args!("name: {}", quoted(&contract.name)));
    line(format_args!("version: {}", contract.version));
    if let Some(description) = &contract.description {
        line(format_args!("description: {}", quoted(description)));
    }
    line(format_args!("evolution: {}", contract.evolution));
    line(format_args!("columns:"));
    for column in &contract.columns {
        let mut keys = vec![format!("type: {}", quoted(&column.data_type.to_string()))];
        keys.extend((!column.nullable).then(|| "nullable: false".to_owned()));
        keys.extend(column.semantic_type.as_ref().map(|semantic| format!("semantic_type: {}", quoted(semantic))));
        keys.extend(column.description.as_ref().map(|description| format!("description: {}", quoted(description))));
        line(format_args!("  {}: {{ {} }}", quoted(&column.name), keys.join(", ")));
    }
    for (key, columns) in [("key", &contract.key), ("partition_by", &contract.partition_by)] {
        if !columns.is_empty() {
            let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            line(format_args!("{key}: [{}]", columns.join(", ")));
        }
    }
    text
}

/// A text quoted for YAML.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    // JSON strings are valid YAML.
    serde_json::Value::from(text).to_string()
}
