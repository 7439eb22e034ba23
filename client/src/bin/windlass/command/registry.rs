//! `windlass registry`: the semantic ids of a project.

use datafusion::arrow::array::{AsArray, StringArray};
use windlass_base::ids::NodeName;
use windlass_client::{Project, QueryOptions, Windlass};
use windlass_project::tag::ColumnOrigin;

use super::{open_project, start};
use crate::args::{Global, Output, RegistryArgs};
use crate::failure::CommandError;
use crate::output;

/// The query for the lineage of columns in the project's metadata.
const LINEAGE: &str = "SELECT table_name, column_name, from_table || '.' || from_column \
                       FROM information_schema.column_lineage ORDER BY 1, 2, 3";

/// Shows the registry.
pub(crate) async fn run(global: &Global, args: &RegistryArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.bind)?;
    let mut registry = project.graph.semantic_registry();
    if args.lineage {
        let windlass = start(global, &project).await?;
        let lineage = lineage(&windlass, &project, args).await;
        windlass.stop().await;
        registry.add_lineage(&lineage?);
    }
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
    let columns = registry.entries.iter().flat_map(|entry| {
        let column = |(column, origins): (&String, &Vec<String>)| {
            vec![entry.semantic_id.clone(), column.clone(), origins.join(" ")]
        };
        entry.column_lineage.iter().map(column)
    });
    let columns: Vec<Vec<String>> = columns.collect();
    let headings = ["SEMANTIC ID", "VERSION", "ENTITY", "GRAIN", "CONTRACT", "MADE BY", "READ BY"];
    output::text(&output::columns(&headings, rows.collect(), &[]))?;
    if args.lineage {
        output::text("\n")?;
        output::text(&output::columns(&["SEMANTIC ID", "COLUMN", "MADE OF"], columns, &[]))?;
    }
    Ok(())
}

/// For each column of each stage, the columns that it is derived from.
async fn lineage(
    windlass: &Windlass,
    project: &Project,
    args: &RegistryArgs,
) -> Result<Vec<ColumnOrigin>, CommandError> {
    let options = QueryOptions { params: args.bind.params.clone(), ..QueryOptions::default() };
    let batches = windlass.query(project, LINEAGE, &options).await?.collect().await?;
    let mut found = Vec::new();
    for batch in &batches {
        let texts: Vec<&StringArray> = batch.columns().iter().map(|column| column.as_string()).collect();
        let [table, column, from] = texts.as_slice() else { continue };
        found.extend((0..batch.num_rows()).map(|row| ColumnOrigin {
            node: NodeName::new(table.value(row)),
            column: column.value(row).to_owned(),
            origin: from.value(row).to_owned(),
        }));
    }
    Ok(found)
}
