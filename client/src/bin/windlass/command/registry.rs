//! `windlass registry`: the semantic ids of a project.

use super::open_project;
use crate::args::{BindArgs, Global, Output};
use crate::failure::CommandError;
use crate::output;

/// Shows the registry.
pub(crate) fn run(global: &Global, args: &BindArgs) -> Result<(), CommandError> {
    let registry = open_project(global, args)?.graph.semantic_registry();
    if global.output == Output::Json {
        return Ok(output::json(&registry)?);
    }
    let rows = registry.entries.iter().map(|entry| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let readers: Vec<&str> = entry.readers.iter().map(|reader| reader.as_str()).collect();
        vec![
            entry.semantic_id.clone(),
            or_none(&entry.version),
            or_none(&entry.entity),
            or_none(&entry.grain),
            or_none(&entry.contract),
            entry.producer.to_string(),
            readers.join(" "),
        ]
    });
    let headings = ["SEMANTIC ID", "VERSION", "ENTITY", "GRAIN", "CONTRACT", "MADE BY", "READ BY"];
    Ok(output::text(&output::columns(&headings, rows.collect(), &[]))?)
}
