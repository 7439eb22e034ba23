//! `windlass query`: queries the project's tables and sources with SQL.

mod sink;

use std::collections::BTreeMap;
use std::io::Write;

use futures::StreamExt;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_base::suggest::did_you_mean;
use windlass_client::document::WrittenDocument;
use windlass_client::error::ClientError;
use windlass_client::{Project, QueryOptions, QueryResult, Windlass};
use windlass_project::graph::{Node, PipelineGraph};
use windlass_project::spec::table::Materialize;

use self::sink::{Fault, sink};
use super::{open_project, start_reading};
use crate::args::{Global, Output, QueryArgs};
use crate::failure::CommandError;
use crate::output::{Layout, Stdout, counted, note, reader_has_closed};
use crate::output_file::{OutputFile, report_written};

/// The default row limit for tables on a terminal.
const SHOWN: usize = 1000;

/// Runs the query and prints or writes its result.
pub(crate) async fn run(global: &Global, args: &QueryArgs) -> Result<(), CommandError> {
    let sql = match (&args.sql, &args.file) {
        (_, Some(file)) => {
            std::fs::read_to_string(file).map_err(|source| CommandError::Read { file: file.clone(), source })?
        }
        (Some(sql), None) => sql.clone(),
        (None, None) => String::new(),
    };
    if global.output == Output::Parquet && args.to.is_none() {
        return Err(CommandError::Usage {
            message: "parquet cannot be written to a terminal".to_owned(),
            help: "name a file with `--to FILE`".to_owned(),
        });
    }
    if let Some(file) = &args.to {
        OutputFile::check(file, args.force)?;
    }
    let project = open_project(global, &args.bind)?;
    for (name, _) in &args.versions {
        check_versioned(&project.graph, name)?;
    }
    let windlass = start_reading(global, &project).await?;
    let limit = limit(global, args);
    let answer = async {
        let options = options(&windlass, &project, args, limit).await?;
        let rows = windlass.query(&project, &sql, &options).await?;
        write(global, args, rows, limit).await
    };
    let answer = answer.await;
    windlass.stop().await;
    answer
}

/// That something of that name can have versions; whether it has the one that is asked for shows when it is read.
fn check_versioned(graph: &PipelineGraph, name: &str) -> Result<(), CommandError> {
    let no_versions = |reason, help| Err(CommandError::NoVersions { name: name.to_owned(), reason, help });
    let node = NodeName::new(name);
    match graph.node(&node) {
        Some(Node::Source(_)) => Ok(()),
        Some(Node::Stage(stage)) => match stage.materialize {
            Materialize::Table => Ok(()),
            Materialize::View => no_versions("it is a view", Some("name the tables that it reads".to_owned())),
            Materialize::Cache => no_versions("it is a cache", Some("name the tables that it reads".to_owned())),
        },
        None if graph.quarantined_stage(&node).is_some() => Ok(()),
        None => {
            let names = graph.nodes().map(|node| node.name().as_str());
            no_versions("there is no such table", did_you_mean(name, "there are", names))
        }
    }
}

/// The row limit. Only tables for display are limited by default: files and other formats get all rows.
fn limit(global: &Global, args: &QueryArgs) -> Option<usize> {
    let for_people = global.output == Output::Table && args.to.is_none();
    let asked = args.limit.unwrap_or(if for_people { SHOWN } else { 0 });
    (asked > 0).then_some(asked)
}

/// The query options. One row more than the limit shows whether there are more.
async fn options(
    windlass: &Windlass,
    project: &Project,
    args: &QueryArgs,
    limit: Option<usize>,
) -> Result<QueryOptions, CommandError> {
    let versions = match &args.as_of_run {
        Some(run) => versions_of_run(windlass, project, run).await?,
        None => args.versions.iter().map(|(name, version)| (NodeName::new(name), TableVersion(*version))).collect(),
    };
    // One more shows whether there are more; the engine's row counts are signed.
    Ok(QueryOptions {
        params: args.bind.params.clone(),
        limit: limit.map(|limit| limit.saturating_add(1).min(usize::MAX / 2)),
        versions,
    })
}

/// The versions that a run read and wrote.
async fn versions_of_run(
    windlass: &Windlass,
    project: &Project,
    wanted: &str,
) -> Result<BTreeMap<NodeName, TableVersion>, CommandError> {
    let runs = windlass.runs(project).await?;
    let run_id = runs.find(wanted).await?;
    let pins = runs.bundles.pins(&run_id).await.map_err(ClientError::from)?.unwrap_or_default();
    let record = runs.bundles.run(&run_id, &runs.live).await.map_err(ClientError::from)?;
    let read = pins.pins.into_iter().filter_map(|pin| Some((pin.source, pin.version?)));
    let written = record.stages.into_iter().filter_map(|stage| Some((stage.stage, stage.receipt?.version)));
    Ok(read.chain(written).collect())
}

/// Writes the rows to the file or to stdout.
async fn write(global: &Global, args: &QueryArgs, rows: QueryResult, limit: Option<usize>) -> Result<(), CommandError> {
    let file = args.to.as_ref().map(|file| OutputFile::create(file, args.force)).transpose()?;
    let (out, layout): (Box<dyn Write + Send>, Layout) = match &file {
        Some(file) => (Box::new(file.writer()?), Layout::file()),
        None => (Box::new(Stdout), Layout::stdout()),
    };
    let form = form(global.output);
    let fault = |source: Fault| CommandError::Form { form, source };
    let mut sink = sink(global.output, out, &rows.schema(), layout).map_err(fault)?;
    let mut left = limit.unwrap_or(usize::MAX);
    let (mut written, mut more) = (0, false);
    let mut stream = rows.stream();
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(ClientError::rows)?;
        more |= batch.num_rows() > left;
        let batch = batch.slice(0, batch.num_rows().min(left));
        left -= batch.num_rows();
        written += batch.num_rows() as u64;
        match sink.take(batch) {
            Err(_) if reader_has_closed() => return Ok(()),
            taken => taken.map_err(fault)?,
        }
    }
    match sink.end() {
        Err(_) if reader_has_closed() => return Ok(()),
        ended => ended.map_err(fault)?,
    }
    let bytes = file.map(OutputFile::finish).transpose()?.flatten();
    if let Some(file) = args.to.clone() {
        report_written(global, &WrittenDocument { file, format: form.to_owned(), rows: Some(written), bytes })?;
    }
    if more {
        note(format_args!(
            "the output ends after {}; `--limit 0` gives all",
            counted(limit.unwrap_or_default(), "row")
        ));
    }
    Ok(())
}

/// The name of a format in messages.
fn form(output: Output) -> &'static str {
    match output {
        Output::Table => "a table",
        Output::Json => "json",
        Output::Csv => "csv",
        Output::Parquet => "parquet",
    }
}
