//! pin + decide: what one run reads, computes and writes, settled before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::ParamValues;
use futures::{StreamExt, TryStreamExt, stream};
use windlass_shared::artifact::{
    PinRecord, PinsRecord, PlanDecision, PlanRecord, PlannedColumn, PlannedRun, PlannedTable, Refresh, SavedCursor,
    SavedPlan, SavedRequest, StageDecision,
};
use windlass_shared::delta::table::TableDefinition;
use windlass_shared::error::Coded;
use windlass_shared::graph::{PipelineGraph, Stage};
use windlass_shared::ids::{NodeName, RunId};
use windlass_shared::session::Sessions;
use windlass_shared::spec::source::PinAt;
use windlass_shared::spec::table::{Materialize, WriteMode};
use windlass_shared::spec::{ParamValue, Problem, Problems};
use windlass_shared::storage::Location;

use super::error::PlanError;
use super::input::{Input, Inputs, pin_source, pin_table};
use super::params::engine_params;
use super::query::{BAD_QUERY, Needs, logical_plan, settled_columns};
use crate::home::Home;

/// How many sources are pinned at the same time.
const PINS_AT_ONCE: usize = 8;

/// What a plan is made from.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// The project, its target applied.
    pub graph: Arc<PipelineGraph>,
    /// Where relative locations start: the project's folder, or what the scheduler has instead.
    pub base: Location,
    /// Where tables go that give no location.
    pub home: Home,
    /// A value for every parameter.
    pub params: BTreeMap<String, ParamValue>,
    /// What to select; everything if empty.
    pub select: Vec<String>,
    /// What to leave out.
    pub exclude: Vec<String>,
    /// What to compute anew, or to take in otherwise than from the cursors.
    pub refresh: Refresh,
    /// The run that the plan is for; it owns the caches.
    pub run: RunId,
}

/// What one run reads, computes and writes.
#[derive(Debug)]
pub struct RunPlan {
    /// What it was made from.
    pub request: PlanRequest,
    /// The parameters as the engine takes them.
    pub params: ParamValues,
    /// What each name stands for when the run begins.
    pub inputs: Inputs,
    /// The stages that write, each after those it reads.
    pub stages: Vec<PlannedStage>,
    /// How each selected stage's rows come about, and why.
    pub record: PlanRecord,
    /// The hash of everything about the session that can change a plan.
    pub session_identity: String,
    /// What the stages' tables have taken in before the run.
    pub cursors: Vec<SavedCursor>,
}

/// A stage that writes a table.
#[derive(Debug, Clone)]
pub struct PlannedStage {
    /// The stage.
    pub name: NodeName,
    /// The stages of this run that it waits for.
    pub depends_on: Vec<NodeName>,
    /// The table that it wants.
    pub table: TableDefinition,
    /// Its columns, in types that Delta has.
    pub columns: SchemaRef,
    /// Overwrite or append.
    pub mode: WriteMode,
}

impl RunPlan {
    /// The stage of that name, if it writes in this run.
    pub fn stage(&self, name: &NodeName) -> Option<&PlannedStage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }

    /// The pins with which the run begins.
    pub fn pins(&self) -> PinsRecord {
        let mut pins: Vec<PinRecord> = self.inputs.pinned().map(|input| input.pin.clone()).collect();
        pins.sort_by(|a, b| a.source.cmp(&b.source));
        PinsRecord { pins }
    }

    /// The plan as a person or another process gets it.
    pub fn summary(&self) -> PlannedRun {
        PlannedRun {
            pipeline: self.request.graph.name.clone(),
            pins: self.pins().pins,
            stages: self.record.stages.clone(),
            tables: self.stages.iter().map(PlannedStage::summary).collect(),
            // Parameters are plain values: there is nothing in them that JSON refuses.
            params: serde_json::to_value(&self.request.params).unwrap_or_default(),
            session_identity: self.session_identity.clone(),
            cursors: self.cursors.clone(),
        }
    }
}

impl RunPlan {
    /// The plan in the form in which `approved` was saved, to be compared with it. Where sources were put is seen by
    /// what is pinned.
    pub fn as_saved(&self, approved: &SavedPlan) -> SavedPlan {
        let request = SavedRequest {
            target: self.request.graph.target.clone(),
            params: approved.request.params.clone(),
            sources: approved.request.sources.clone(),
            select: self.request.select.clone(),
            exclude: self.request.exclude.clone(),
            refresh: self.request.refresh.clone(),
        };
        SavedPlan::new(request, &self.summary())
    }
}

impl PlannedStage {
    fn summary(&self) -> PlannedTable {
        let column = |field: &FieldRef| PlannedColumn {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        };
        PlannedTable {
            stage: self.name.clone(),
            location: self.table.location.url().to_string(),
            mode: self.mode,
            partition_by: self.table.partition_by.clone(),
            columns: self.columns.fields().iter().map(column).collect(),
        }
    }
}

/// Settles a run: which stages write, what every source is pinned to, and that every query fits what it reads.
///
/// # Errors
/// [`PlanError`]; problems of the stages' SQL come all at once.
pub async fn plan_run(request: PlanRequest, sessions: &Sessions) -> Result<RunPlan, PlanError> {
    let graph = Arc::clone(&request.graph);
    let selected = graph.select(&request.select, &request.exclude)?;
    let writing = stages_that_write(&graph, &selected);
    let params = engine_params(&request.params);
    let mut inputs = pin_inputs(&request, sessions, &writing).await?;

    let mut problems = Vec::new();
    let mut stages = Vec::new();
    let mut unplanned: BTreeSet<NodeName> = BTreeSet::new();
    for stage in graph.stages.iter().filter(|stage| writing.contains_key(&stage.name)) {
        let needs = Needs::of(&graph, &stage.reads);
        // What is wrong with a stage is said there, not again at every stage behind it.
        if needs.leaves.iter().chain(&needs.views).any(|name| unplanned.contains(name)) {
            unplanned.insert(stage.name.clone());
            continue;
        }
        match plan_stage_table(&request, sessions, &inputs, &params, stage, &needs).await {
            Ok((table, columns)) => {
                inputs.set(stage.name.clone(), Input::Planned(Arc::clone(&columns)));
                let depends_on = needs.leaves.into_iter().filter(|name| writing.contains_key(name)).collect();
                let (name, mode) = (stage.name.clone(), stage.table.mode);
                stages.push(PlannedStage { name, depends_on, table, columns, mode });
            }
            Err(PlanError::Sql(found)) => {
                unplanned.insert(stage.name.clone());
                problems
                    .extend(found.iter().filter(|&problem| !problems.contains(problem)).cloned().collect::<Vec<_>>());
            }
            Err(error) => return Err(error),
        }
    }
    Problems::check(problems, &graph.files)?;
    let record = decisions(&graph, &selected, &writing, &stages);
    let session_identity = sessions.session_identity().to_string();
    Ok(RunPlan { request, params, inputs, stages, record, session_identity, cursors: Vec::new() })
}

/// The stages that write in this run, and why: the selected tables, and the caches that they read.
fn stages_that_write(graph: &PipelineGraph, selected: &BTreeSet<NodeName>) -> BTreeMap<NodeName, String> {
    let mut writing = BTreeMap::new();
    // Backwards through the topological order, a cache comes after everything that reads it.
    for stage in graph.stages.iter().rev() {
        let name = &stage.name;
        let reader = || {
            let reads_it = |other: &&Stage| Needs::of(graph, &other.reads).leaves.contains(name);
            graph.stages.iter().filter(|other| writing.contains_key(&other.name)).find(reads_it)
        };
        let reason = match stage.materialize {
            Materialize::View => continue,
            Materialize::Table if selected.contains(name) => {
                "it is selected, and every run computes it whole".to_owned()
            }
            Materialize::Table => continue,
            Materialize::Cache => match reader() {
                Some(reader) => format!("`{}` reads it; it is kept for this run only", reader.name),
                None if selected.contains(name) => "it is selected; it is kept for this run only".to_owned(),
                None => continue,
            },
        };
        writing.insert(name.clone(), reason);
    }
    writing
}

/// Pins every source and every table of an earlier run that the stages in `writing` read.
async fn pin_inputs(
    request: &PlanRequest,
    sessions: &Sessions,
    writing: &BTreeMap<NodeName, String>,
) -> Result<Inputs, PlanError> {
    let graph = &request.graph;
    let mut read_by: BTreeMap<NodeName, NodeName> = BTreeMap::new();
    for stage in graph.stages.iter().filter(|stage| writing.contains_key(&stage.name)) {
        for leaf in Needs::of(graph, &stage.reads).leaves {
            if !writing.contains_key(&leaf) {
                read_by.entry(leaf).or_insert_with(|| stage.name.clone());
            }
        }
    }
    let pinned: Vec<(NodeName, Input)> = stream::iter(read_by)
        .map(|(name, reader)| async move {
            let input = pin_leaf(request, sessions, &name, &reader).await?;
            Ok::<_, PlanError>((name, input))
        })
        .buffer_unordered(PINS_AT_ONCE)
        .try_collect()
        .await?;
    let mut inputs = Inputs::default();
    for (name, input) in pinned {
        inputs.set(name, input);
    }
    Ok(inputs)
}

async fn pin_leaf(
    request: &PlanRequest,
    sessions: &Sessions,
    name: &NodeName,
    reader: &NodeName,
) -> Result<Input, PlanError> {
    match pin_for_query(request, sessions, name, None).await {
        Err(PlanError::Pin { source, .. }) if request.graph.stage(name).is_some() && source.is_not_a_table() => {
            Err(PlanError::NotBuilt { stage: reader.clone(), upstream: name.clone() })
        }
        outcome => outcome,
    }
}

/// Pins a source as the project says, or a stage's table at its newest version; or either at another version.
///
/// # Errors
/// [`PlanError::Pin`] if there is no such table, and as [`pin_source`].
pub async fn pin_for_query(
    request: &PlanRequest,
    sessions: &Sessions,
    name: &NodeName,
    at: Option<PinAt>,
) -> Result<Input, PlanError> {
    let graph = &request.graph;
    let input = match (graph.sources.get(name), graph.stage(name)) {
        (Some(source), _) => pin_source(sessions, source, &request.base, at).await?,
        (None, Some(stage)) => {
            pin_table(sessions, name, &table_location(request, stage)?, at.unwrap_or(PinAt::Latest)).await?
        }
        (None, None) => return Err(PlanError::Unknown { node: name.clone() }),
    };
    Ok(Input::Pinned(Arc::new(input)))
}

/// Where a stage's table is, or its cache for this run.
///
/// # Errors
/// [`PlanError::Location`] if the stage gives a location that cannot be used.
pub fn table_location(request: &PlanRequest, stage: &Stage) -> Result<Location, PlanError> {
    match (&stage.table.location, stage.materialize) {
        (_, Materialize::Cache) => Ok(request.home.cache(&request.run).join(stage.name.as_str())),
        (Some(text), _) => {
            request.base.resolve(text).map_err(|source| PlanError::Location { node: stage.name.clone(), source })
        }
        (None, _) => Ok(request.home.table(&stage.name)),
    }
}

/// The table that a stage wants, and the columns that its readers will find there.
async fn plan_stage_table(
    request: &PlanRequest,
    sessions: &Sessions,
    inputs: &Inputs,
    params: &ParamValues,
    stage: &Stage,
    needs: &Needs,
) -> Result<(TableDefinition, SchemaRef), PlanError> {
    let graph = &request.graph;
    let session = needs.session(graph, sessions, inputs, params).await?;
    let plan = logical_plan(graph, &session.context, stage, params).await?;
    let settings = &stage.table;
    let table = TableDefinition {
        location: table_location(request, stage)?,
        schema: as_nullable(&settled_columns(graph, &session.context, stage, &plan)?),
        partition_by: settings.partition_by.clone(),
        properties: settings.properties.clone(),
        not_null: settings.not_null.clone(),
        constraints: settings.constraints.clone(),
        comment: stage.description.clone(),
    };
    match table.table_schema() {
        Ok(schema) => Ok((table, schema)),
        Err(error) => {
            let mut problem = Problem::new(BAD_QUERY, error.to_string()).at(&stage.span);
            problem.help = error.help();
            Err(Problems::one(problem, &graph.files).into())
        }
    }
}

/// Columns that may all hold null: what the planner happens to know about nulls is no promise of the author's.
fn as_nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields: Vec<Field> = fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect();
    Arc::new(Schema::new(fields))
}

fn decisions(
    graph: &PipelineGraph,
    selected: &BTreeSet<NodeName>,
    writing: &BTreeMap<NodeName, String>,
    stages: &[PlannedStage],
) -> PlanRecord {
    let mut record = PlanRecord::default();
    for stage in &graph.stages {
        let name = &stage.name;
        let depends_on = stages.iter().find(|planned| planned.name == *name).map(|planned| planned.depends_on.clone());
        let (decision, reason) = match (writing.get(name), stage.materialize) {
            (Some(reason), Materialize::Cache) => (PlanDecision::Cache, reason.clone()),
            (Some(reason), _) => (PlanDecision::Full, reason.clone()),
            (None, Materialize::View) if selected.contains(name) => {
                (PlanDecision::View, "it is a view: its readers compute it".to_owned())
            }
            (None, _) => continue,
        };
        record.stages.push(StageDecision {
            stage: name.clone(),
            decision,
            reason,
            depends_on: depends_on.unwrap_or_default(),
            weight: u64::from(graph.weight(name)),
            strategy: None,
            changes: Vec::new(),
            reuse: None,
            estimated_rows: None,
            estimated_bytes: 0,
            code_version: String::new(),
        });
    }
    record
}
