//! `windlass query`: queries the project's tables and sources with SQL.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::json::writer::JsonArray;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::arrow::{csv, json};
use datafusion::parquet::arrow::ArrowWriter;
use futures::StreamExt;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_client::error::ClientError;
use windlass_client::{Project, QueryOptions, QueryResult, Windlass};

use super::{open_project, start};
use crate::args::{Global, Output, QueryArgs};
use crate::failure::CommandError;
use crate::output::{Stdout, reader_has_closed};
use crate::output_file::OutputFile;

/// The default row limit for tables on a terminal.
const SHOWN: usize = 1000;

type Fault = Box<dyn std::error::Error + Send + Sync>;

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
    let windlass = start(global, &project).await?;
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

async fn write(global: &Global, args: &QueryArgs, rows: QueryResult, limit: Option<usize>) -> Result<(), CommandError> {
    let file = args.to.as_ref().map(|file| OutputFile::create(file, args.force)).transpose()?;
    let out: Box<dyn Write + Send> = match &file {
        Some(file) => Box::new(file.writer()?),
        None => Box::new(Stdout),
    };
    let (form, mut sink): (&'static str, Box<dyn Sink>) = match global.output {
        Output::Table => ("a table", Box::new(Pretty { out, batches: vec![RecordBatch::new_empty(rows.schema())] })),
        Output::Json => {
            ("json", Box::new(Json(json::WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(out))))
        }
        Output::Csv => {
            let csv = Csv::with_header(out, &rows.schema());
            ("csv", Box::new(csv.map_err(|source| CommandError::Form { form: "csv", source })?))
        }
        Output::Parquet => {
            let writer = ArrowWriter::try_new(out, rows.schema(), None);
            (
                "parquet",
                Box::new(Parquet(writer.map_err(|e| CommandError::Form { form: "parquet", source: e.into() })?)),
            )
        }
    };
    let fault = |source: Fault| CommandError::Form { form, source };
    let mut left = limit.unwrap_or(usize::MAX);
    let mut more = false;
    let mut stream = rows.stream();
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(ClientError::rows)?;
        more |= batch.num_rows() > left;
        let batch = batch.slice(0, batch.num_rows().min(left));
        left -= batch.num_rows();
        match sink.take(batch) {
            Err(_) if reader_has_closed() => return Ok(()),
            taken => taken.map_err(fault)?,
        }
    }
    match sink.end() {
        Err(_) if reader_has_closed() => return Ok(()),
        ended => ended.map_err(fault)?,
    }
    if let Some(file) = file {
        file.finish()?;
    }
    if more {
        eprintln!("only the first {} rows are shown; `--limit 0` gives all", limit.unwrap_or_default());
    }
    Ok(())
}

/// Writes batches in one format.
trait Sink {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault>;
    fn end(self: Box<Self>) -> Result<(), Fault>;
}

struct Pretty {
    out: Box<dyn Write + Send>,
    batches: Vec<RecordBatch>,
}

impl Sink for Pretty {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        self.batches.push(batch);
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), Fault> {
        writeln!(self.out, "{}", pretty_format_batches(&self.batches)?)?;
        Ok(self.out.flush()?)
    }
}

struct Json(json::Writer<Box<dyn Write + Send>, JsonArray>);

impl Sink for Json {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        Ok(self.0.write(&batch)?)
    }

    fn end(mut self: Box<Self>) -> Result<(), Fault> {
        self.0.finish()?;
        let mut out = self.0.into_inner();
        writeln!(out)?;
        Ok(out.flush()?)
    }
}

struct Csv(csv::Writer<Box<dyn Write + Send>>);

impl Csv {
    /// The header is written even without rows. It is text, whatever the columns are.
    fn with_header(mut out: Box<dyn Write + Send>, columns: &Schema) -> Result<Self, Fault> {
        let names = columns.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let names = RecordBatch::new_empty(Arc::new(Schema::new(names.collect::<Vec<_>>())));
        csv::WriterBuilder::new().with_header(true).build(&mut out).write(&names)?;
        Ok(Self(csv::WriterBuilder::new().with_header(false).build(out)))
    }
}

impl Sink for Csv {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        Ok(self.0.write(&batch)?)
    }

    fn end(self: Box<Self>) -> Result<(), Fault> {
        self.0.into_inner().flush()?;
        Ok(())
    }
}

struct Parquet(ArrowWriter<Box<dyn Write + Send>>);

impl Sink for Parquet {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        Ok(self.0.write(&batch)?)
    }

    fn end(self: Box<Self>) -> Result<(), Fault> {
        self.0.close()?;
        Ok(())
    }
}
