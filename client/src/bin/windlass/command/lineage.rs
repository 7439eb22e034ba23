//! `windlass lineage`: what tables and columns were made of, by the bundles of the newest runs.

use std::collections::BTreeSet;

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;
use windlass_client::Project;
use windlass_client::document::WrittenDocument;
use windlass_client::error::ClientError;
use windlass_evidence::lineage::{ColumnEdge, Lineage, LineageMap, LineageQuestion};
use windlass_project::graph::PipelineGraph;
use windlass_project::graph::draw::DrawFormat;
use windlass_project::spec::table::Materialize;

use super::{open_project, open_runs};
use crate::args::{Global, LineageArgs, LineageFormat, Output};
use crate::failure::CommandError;
use crate::output::{self, Cell, NONE, Table, name, number, or_none, prose, word};
use crate::output_file::{OutputFile, report_written};

/// The characters of a run's id that tables show.
const SHOWN_ID: usize = 12;

/// Shows the lineage as tables, as a document or as a drawing.
pub(crate) async fn run(global: &Global, args: &LineageArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.target.bind())?;
    let runs = open_runs(global, &project).await?;
    let map = runs.lineage(&project.graph).await?;
    let (table, column) = asked(&project, &map, &args.table)?;
    let question =
        LineageQuestion { table, column, upstream: !args.downstream, downstream: !args.upstream, depth: args.depth };
    let lineage = map.trace(&question);
    match args.format {
        Some(format) if args.to.is_some() || global.output != Output::Json => {
            draw(global, args, &project, &lineage, format)
        }
        // On stdout `--output json` prints the document, whatever the format.
        _ if global.output == Output::Json => Ok(output::json(&lineage)?),
        _ => print(&lineage),
    }
}

/// The table, and the column if one is named. Names of tables may have dots, too.
fn asked(project: &Project, map: &LineageMap, wanted: &str) -> Result<(NodeName, Option<String>), ClientError> {
    let whole = NodeName::new(wanted);
    if map.contains(&whole) {
        return Ok((whole, None));
    }
    let split = wanted.rsplit_once('.').map(|(table, column)| (NodeName::new(table), column));
    let Some((table, column)) = split.filter(|(table, _)| map.contains(table)) else {
        let names: BTreeSet<&str> = map.names().map(NodeName::as_str).collect();
        let table = wanted.to_owned();
        let help = match project.graph.stage(&whole).map(|stage| stage.materialize) {
            Some(Materialize::View) => {
                Some("it is a view, which lineage sees through: ask about what reads it".to_owned())
            }
            _ if names.is_empty() => Some("`windlass run` makes the tables".to_owned()),
            _ => did_you_mean(wanted, "the runs have", names),
        };
        return Err(ClientError::NoLineage { pipeline: project.graph.name.clone(), table, help });
    };
    let columns = map.columns(&table);
    match columns.contains(&column) {
        true => Ok((table, Some(column.to_owned()))),
        false => {
            let help = did_you_mean(column, "it has", columns);
            Err(ClientError::NoColumnLineage { table, column: column.to_owned(), help })
        }
    }
}

fn print(lineage: &Lineage) -> Result<(), CommandError> {
    let rows = lineage.tables.iter().map(|table| {
        let run = table.run_id.as_ref().map(|run| run.as_str().get(..SHOWN_ID).unwrap_or(run.as_str()).to_owned());
        vec![
            Cell::from(table.name.to_string()),
            table.side.as_str().into(),
            table.distance.to_string().into(),
            or_none(table.version.map(|version| version.to_string())).into(),
            or_none(run).into(),
            made_of(lineage, &table.name).into(),
        ]
    });
    let columns = [name("TABLE"), word("SIDE"), number("STEPS"), number("VERSION"), word("RUN"), prose("MADE OF")];
    output::table(&Table::new(columns).with(rows))?;
    if lineage.column.is_some() {
        output::text("\n")?;
        let rows = lineage.columns.iter().map(|edge| {
            let kind = if edge.direct { "direct" } else { "indirect" };
            vec![Cell::from(from(edge)), to(edge).into(), kind.into(), edge.how.as_str().replace('_', " ").into()]
        });
        output::table(&Table::new([name("FROM"), name("TO"), word("KIND"), word("HOW")]).with(rows))?;
    }
    Ok(())
}

/// What a table was made of, with the versions that were read.
fn made_of(lineage: &Lineage, table: &NodeName) -> String {
    let edges = lineage.edges.iter().filter(|edge| edge.to == *table);
    let read = edges.map(|edge| match edge.from_version {
        Some(version) => format!("{}@{version}", edge.from),
        None => edge.from.to_string(),
    });
    let read: Vec<String> = read.collect();
    if read.is_empty() { NONE.to_owned() } else { read.join(" ") }
}

fn from(edge: &ColumnEdge) -> String {
    format!("{}.{}", edge.from, edge.from_column)
}

/// The column that depends on another; `*` stands for all, whose rows do.
fn to(edge: &ColumnEdge) -> String {
    format!("{}.{}", edge.to, edge.to_column.as_deref().unwrap_or("*"))
}

/// Draws the tables of the lineage, with the views between them.
fn draw(
    global: &Global,
    args: &LineageArgs,
    project: &Project,
    lineage: &Lineage,
    format: LineageFormat,
) -> Result<(), CommandError> {
    let tables: BTreeSet<NodeName> = lineage.tables.iter().map(|table| table.name.clone()).collect();
    let format = match format {
        LineageFormat::Dot => DrawFormat::Dot,
        LineageFormat::Mermaid => DrawFormat::Mermaid,
        LineageFormat::Svg => DrawFormat::Svg,
    };
    let drawing = project.graph.draw(format, Some(&with_views(&project.graph, tables)));
    match &args.to {
        Some(file) => {
            let bytes = OutputFile::write(file, args.force, &drawing)?;
            let (file, format) = (file.clone(), format.to_string());
            report_written(global, &WrittenDocument { file, format, rows: None, bytes })?;
        }
        None => output::text(&drawing)?,
    }
    Ok(())
}

/// The tables and the views on the ways between them.
fn with_views(graph: &PipelineGraph, tables: BTreeSet<NodeName>) -> BTreeSet<NodeName> {
    let views = || graph.stages.iter().filter(|stage| stage.materialize == Materialize::View);
    // The stages stand after those that they read: one pass finds what is behind the tables, one backwards what is before them.
    let mut behind = tables.clone();
    for view in views() {
        if view.reads.iter().any(|read| behind.contains(read)) {
            behind.insert(view.name.clone());
        }
    }
    let mut before = tables.clone();
    for view in views().rev() {
        let mut readers = graph.stages.iter().filter(|stage| stage.reads.contains(&view.name));
        if readers.any(|reader| before.contains(&reader.name)) {
            before.insert(view.name.clone());
        }
    }
    behind.intersection(&before).cloned().collect()
}
