//! Runs one fixture, turn by turn.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use windlass_base::error::{Coded, Failure};
use windlass_base::ids::{NodeName, PipelineName};
use windlass_base::suggest::did_you_mean;
use windlass_delta::table::contract_columns;
use windlass_engine::session::cells_of;
use windlass_evidence::artifact::{ReceiptOutcome, RunRecord, RunStatus};
use windlass_project::fixture_tests::{Expected, Finding, FindingKind, Fixture, FixtureReport, Turn, compare};
use windlass_project::graph::{Node, PipelineGraph};
use windlass_project::literal_rows::Row;
use windlass_project::spec::source::{DeltaSource, PinAt, SourceKind, TextFilesSource};
use windlass_project::spec::table::Materialize;
use windlass_project::spec::{ProjectFiles, SourceSpec, Span, Spanned};

use super::FixtureError;
use super::inputs::{Inputs, folder_of};
use crate::error::ClientError;
use crate::project::Project;
use crate::run::{QueryOptions, RunOptions};
use crate::windlass::Windlass;

/// Runs a fixture in the folder `dir`; `number` distinguishes it from the others on this engine.
pub(super) async fn run(
    windlass: &Windlass,
    graph: &PipelineGraph,
    files: &ProjectFiles,
    fixture: &Fixture,
    number: usize,
    dir: &Path,
) -> Result<FixtureReport, ClientError> {
    let began = Instant::now();
    let mut inputs = Inputs::create(dir, fixture).await?;
    let project = project_of(graph, fixture, number, dir);
    let run = FixtureRun { windlass, files, fixture, project };
    let mut report = FixtureReport {
        name: fixture.name.clone(),
        file: fixture.file.to_string(),
        passed: true,
        turns: 0,
        of_turns: fixture.turns.len(),
        duration_ms: 0,
        findings: Vec::new(),
        kept: None,
    };
    for (place, turn) in fixture.turns.iter().enumerate() {
        for (name, change) in &turn.changes {
            inputs.change(name, change).await?;
        }
        report.turns = place + 1;
        let found = run.turn(turn).await?;
        report.findings.extend(found.into_iter().map(|kind| Finding { turn: place + 1, kind }));
        // Later turns would only fail for the same reason.
        if !report.findings.is_empty() {
            report.passed = false;
            break;
        }
    }
    report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

/// The part of the pipeline that runs. Its inputs and all of its tables are in `dir`, whatever the locations of the
/// stages.
fn project_of(graph: &PipelineGraph, fixture: &Fixture, number: usize, dir: &Path) -> Project {
    let stand_ins = fixture.inputs.keys().map(|name| source_of(graph, name, dir));
    let is_kept = |source: &&SourceSpec| {
        matches!(source.kind, SourceKind::Rows(_)) && !fixture.inputs.contains_key(&source.name.value)
    };
    let sources = stand_ins.chain(graph.sources.values().filter(is_kept).cloned()).collect();
    let name = PipelineName::new(format!("{}_fixture_{number}", graph.name));
    let mut part = graph.part(name, &fixture.stages, sources);
    let expected = |name: &NodeName| fixture.turns.iter().flat_map(|turn| &turn.expect).any(|of| of.stage == *name);
    for stage in &mut part.stages {
        stage.table.location = Some(dir.join("tables").join(stage.name.as_str()).display().to_string());
        // Exports are written to places that others read.
        stage.table.exports.clear();
        // A cache is dropped at the end of the run; a view of the same query has its rows.
        if stage.materialize == Materialize::Cache && expected(&stage.name) {
            stage.materialize = Materialize::View;
        }
    }
    Project { dir: dir.to_owned(), graph: Arc::new(part), sources: Vec::new() }
}

/// The source that replaces a source or a stage.
fn source_of(graph: &PipelineGraph, name: &NodeName, dir: &Path) -> SourceSpec {
    let location = folder_of(dir, name).display().to_string();
    let node = graph.node(name);
    let kind = match &node {
        Some(Node::Source(SourceSpec { kind: SourceKind::TextFiles(texts), .. })) => {
            SourceKind::TextFiles(TextFilesSource { location, ..texts.clone() })
        }
        _ => SourceKind::Delta(DeltaSource { location, pin: PinAt::Latest }),
    };
    let span = match &node {
        Some(Node::Source(source)) => source.name.span.clone(),
        Some(Node::Stage(stage)) => stage.span.clone(),
        None => Span::new(&Arc::from(""), 0, 0),
    };
    SourceSpec {
        name: Spanned::new(name.clone(), span),
        kind,
        tags: node.map(|node| node.tags().clone()).unwrap_or_default(),
        tag_places: Default::default(),
        description: node.and_then(|node| node.description()).map(str::to_owned),
        contract: None,
    }
}

struct FixtureRun<'a> {
    windlass: &'a Windlass,
    files: &'a ProjectFiles,
    fixture: &'a Fixture,
    project: Project,
}

impl FixtureRun<'_> {
    /// Runs the stages and compares the tables. Errors that also affect other fixtures are returned as such.
    async fn turn(&self, turn: &Turn) -> Result<Vec<FindingKind>, ClientError> {
        let mut findings = Vec::new();
        match (self.run_stages().await, &turn.error) {
            (Ok(record), None) => findings.extend(strategies(&record, turn)),
            (Ok(_), Some(expected)) => findings.push(FindingKind::NoError { expected: expected.to_string() }),
            (Err((_, failure)), Some(expected)) if failure.code == expected.to_string() => {}
            (Err((stage, failure)), expected) => {
                let expected = expected.map(|code| code.to_string());
                findings.push(FindingKind::Failed { stage, failure, expected });
            }
        }
        if findings.iter().any(|finding| matches!(finding, FindingKind::Failed { .. })) {
            return Ok(findings);
        }
        for expected in &turn.expect {
            findings.extend(self.check_expected(expected).await);
        }
        Ok(findings)
    }

    /// The record of a run that succeeded, if anything had to run, else the first stage that failed and why.
    async fn run_stages(&self) -> Result<Option<RunRecord>, (Option<NodeName>, Failure)> {
        let options = RunOptions { params: self.fixture.params.clone(), ..RunOptions::default() };
        let failed = |error: ClientError| (None, error.to_failure());
        if self.project.graph.stages.iter().all(|stage| stage.materialize != Materialize::Table) {
            return Ok(None);
        }
        let handle = self.windlass.run(&self.project, &options).await.map_err(failed)?;
        let record = handle.wait().await.map_err(failed)?;
        if record.status == RunStatus::Succeeded {
            return Ok(Some(record));
        }
        let failed = record.stages.iter().find_map(|stage| Some((stage.stage.clone(), stage.failure.clone()?)));
        Err(match failed {
            Some((stage, failure)) => (Some(stage), failure),
            None => {
                let message = format!("the run was {}", record.status.as_str());
                (None, Failure { code: "WL0707".to_owned(), message, help: None, retryable: false })
            }
        })
    }

    async fn check_expected(&self, expected: &Expected) -> Option<FindingKind> {
        let stage = &expected.stage;
        match self.rows_of(expected).await {
            Err(error) => {
                Some(FindingKind::Failed { stage: Some(stage.clone()), failure: error.to_failure(), expected: None })
            }
            Ok(Err(message)) => Some(FindingKind::Columns { stage: stage.clone(), message }),
            Ok(Ok(rows)) => {
                let Compared { columns, wanted, found } = rows;
                let diff = compare(columns, expected.key.clone(), wanted, found, expected.tolerance);
                (!diff.is_empty()).then(|| FindingKind::Rows { stage: stage.clone(), diff })
            }
        }
    }

    /// The rows of a table, and the expected rows converted to its types; or a text describing which of them cannot be
    /// converted.
    async fn rows_of(&self, expected: &Expected) -> Result<Result<Compared, String>, ClientError> {
        let sql = format!("SELECT * FROM \"{}\"", expected.stage);
        let options = QueryOptions { params: self.fixture.params.clone(), ..QueryOptions::default() };
        let rows = self.windlass.query(&self.project, &sql, &options).await?;
        let schema = rows.schema();
        let batches = rows.collect().await?;
        let all = match contract_columns(&schema) {
            Ok(columns) => columns,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let names: Vec<String> = match expected.columns.is_empty() {
            true => all.iter().map(|column| column.name.clone()).collect(),
            false => expected.columns.clone(),
        };
        let mut types = Vec::new();
        for name in &names {
            let Some(column) = all.iter().find(|column| column.name == *name) else {
                let known = all.iter().map(|column| column.name.as_str());
                let help = did_you_mean(name, "its columns are", known).unwrap_or_default();
                return Ok(Err(format!("it has no column `{name}`; {help}")));
            };
            types.push(&column.data_type);
        }
        let mut wanted: Vec<Row> = Vec::new();
        for row in &expected.rows {
            let cells = row.iter().zip(&types).map(|(literal, of)| literal.to_cell(of));
            match cells.collect() {
                Ok(cells) => wanted.push(cells),
                Err(error) => return Ok(Err(format!("{}: {}", self.files.position(&error.span), error.message))),
            }
        }
        let mut found: Vec<Row> = Vec::new();
        for batch in &batches {
            let mut rows: Vec<Row> = vec![Vec::with_capacity(names.len()); batch.num_rows()];
            for (name, of) in names.iter().zip(&types) {
                let Some(column) = batch.column_by_name(name) else { continue };
                let cells =
                    cells_of(column, of).map_err(|error| ClientError::Fixture(FixtureError::Rows(error.into())))?;
                rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell));
            }
            found.extend(rows);
        }
        Ok(Ok(Compared { columns: names, wanted, found }))
    }
}

/// Rows to compare.
struct Compared {
    columns: Vec<String>,
    wanted: Vec<Row>,
    found: Vec<Row>,
}

/// The tables that were updated with other strategies than expected.
fn strategies(record: &Option<RunRecord>, turn: &Turn) -> Vec<FindingKind> {
    let stages = record.as_ref().map(|record| record.stages.as_slice()).unwrap_or_default();
    let wrong = turn.strategies.iter().filter_map(|(name, expected)| {
        let stage = stages.iter().find(|stage| stage.stage == *name);
        let found = match stage {
            None => "nothing",
            Some(stage) => match (&stage.receipt, stage.strategy) {
                (Some(receipt), _) if receipt.outcome == ReceiptOutcome::Reused => "reused",
                (_, Some(strategy)) => strategy.as_str(),
                (_, None) => "full",
            },
        };
        let (stage, expected) = (name.clone(), expected.clone());
        (found != expected).then(|| FindingKind::Strategy { stage, expected, found: found.to_owned() })
    });
    wrong.collect()
}
