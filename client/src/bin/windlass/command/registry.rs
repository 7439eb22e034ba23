//! `windlass registry`: the semantic ids of a project.

use datafusion::arrow::array::{AsArray, StringArray};
use windlass_base::ids::NodeName;
use windlass_client::{Project, QueryOptions, Windlass};
use windlass_project::tag::ColumnOrigin;

use super::{open_project, start_reading};
use crate::args::{Global, Output, RegistryArgs};
use crate::failure::CommandError;
use crate::output::{self, Cell, NONE, Table, name, prose, word};

/// The query for the lineage of columns in the project's metadata.
const LINEAGE: &str = "SELECT table_name, column_name, from_table || '.' || from_column \
                       FROM information_schema.column_lineage WHERE kind = 'direct' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

/// Shows the registry.
pub(crate) async fn run(global: &Global, args: &RegistryArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.bind)?;
    let mut registry = project.graph.semantic_registry();
    if args.lineage {
        let windlass = start_reading(global, &project).await?;
        let lineage = lineage(&windlass, &project, args).await;
        windlass.stop().await;
        registry.add_lineage(&lineage?);
    }
    if global.output == Output::Json {
        return Ok(output::json(&registry)?);
    }
    let rows = registry.entries.iter().map(|entry| {
        let or_none = |text: &Option<String>| Cell::from(text.clone().unwrap_or_else(|| NONE.to_owned()));
        let readers: Vec<&str> = entry.readers.iter().map(|reader| reader.as_str()).collect();
        vec![
            entry.semantic_id.clone().into(),
            or_none(&entry.version),
            or_none(&entry.entity),
            or_none(&entry.grain),
            or_none(&entry.contract),
            entry.producer.to_string().into(),
            readers.join(" ").into(),
        ]
    });
    let columns = registry.entries.iter().flat_map(|entry| {
        let column = |(column, origins): (&String, &Vec<String>)| {
            vec![entry.semantic_id.clone().into(), column.clone().into(), origins.join(" ").into()]
        };
        entry.column_lineage.iter().map(column)
    });
    let lineage: Vec<Vec<Cell>> = columns.collect();
    let columns = [name("SEMANTIC ID"), word("VERSION"), name("ENTITY"), name("GRAIN"), name("CONTRACT")];
    let columns: Vec<_> = columns.into_iter().chain([name("MADE BY"), prose("READ BY")]).collect();
    output::table(&Table::new(columns).with(rows))?;
    if args.lineage {
        output::text("\n")?;
        output::table(&Table::new([name("SEMANTIC ID"), name("COLUMN"), prose("MADE OF")]).with(lineage))?;
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
