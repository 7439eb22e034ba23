//! pin + decide: what one run reads, computes and writes, settled before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::ParamValues;
use futures::{StreamExt, TryStreamExt, stream};
use windlass_base::ids::{AppId, NodeName, RunId, TableVersion};
use windlass_delta::cursor::{CursorQuery, TableProgress, read_progress};
use windlass_delta::table::TableDefinition;
use windlass_delta::{DeltaError, check_built};
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{
    PinRecord, PinsRecord, PlanDecision, PlanRecord, PlannedColumn, PlannedRun, PlannedTable, Refresh, SavedCursor,
    SavedPlan, SavedRequest, StageDecision,
};
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::source::{PinAt, SourceKind};
use windlass_project::spec::table::{Materialize, WriteMode};
use windlass_project::spec::{ParamValue, Problem, Problems};
use windlass_storage::Location;

use super::changes::KnownChanges;
use super::contract;
use super::error::PlanError;
use super::input::{Input, Inputs, PinnedInput, pin_source, pin_table};
use super::interrupted::EarlierRuns;
use super::params::engine_params;
use super::query::Needs;
use super::stage_decision::{Planned, PlannedCache, Planner, ReusedStage, TableRole};
use crate::export;
use crate::home::Home;
use crate::planning::on_planning_threads;

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
    /// The stages whose tables are used as they are.
    pub reused: Vec<ReusedStage>,
    /// Why stages may not be computed; they are among those that write, and fail.
    pub refused: Vec<PlanError>,
    /// The changes of inputs that were looked at.
    pub changes: KnownChanges,
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
    /// What is known of it as a table that lasts; `None` for a cache.
    pub role: Option<Box<TableRole>>,
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

    /// The plan, if every stage of it may be computed.
    ///
    /// # Errors
    /// The first of those that stand against it.
    pub fn accepted(mut self) -> Result<Self, PlanError> {
        match self.refused.is_empty() {
            true => Ok(self),
            false => Err(self.refused.swap_remove(0)),
        }
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
    /// Whether it may not be computed.
    pub fn is_refused(&self) -> bool {
        self.role.as_ref().is_some_and(|role| role.refusal.is_some())
    }

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

/// Settles a run: which stages write and how, what every source is pinned to, and that every query fits what it reads.
///
/// # Errors
/// [`PlanError`]; problems of the stages' SQL come all at once.
pub async fn plan_run(request: PlanRequest, sessions: &Sessions) -> Result<RunPlan, PlanError> {
    plan_all(request, sessions).await?.accepted()
}

/// As [`plan_run`], with stages that may not be computed in the plan, and why: others need not wait for them.
///
/// # Errors
/// [`PlanError`], refusals of single stages apart.
pub async fn plan_all(request: PlanRequest, sessions: &Sessions) -> Result<RunPlan, PlanError> {
    let sessions = sessions.clone();
    on_planning_threads(async move { plan_here(request, &sessions).await }).await
}

async fn plan_here(request: PlanRequest, sessions: &Sessions) -> Result<RunPlan, PlanError> {
    let graph = Arc::clone(&request.graph);
    let scope = Scope::of(&request)?;
    let selected = |name: &NodeName| scope.tables.contains(name);
    export::check(&graph, &request.base, &request.home, sessions, selected).await?;
    let params = engine_params(&request.params);
    let mut inputs = pin_inputs(&request, sessions, &scope).await?;
    contract::check_sources(&graph, &inputs)?;
    let mut memories = remember_all(&request, sessions, &scope, &inputs).await?;
    keep_pace(&request, sessions, &scope, &memories, &mut inputs).await?;
    let mut planner = Planner {
        request: &request,
        sessions,
        params: &params,
        scope: &scope,
        inputs,
        changes: KnownChanges::default(),
        earlier: EarlierRuns::default(),
    };

    let mut problems: Vec<Problem> = Vec::new();
    let mut tables: BTreeMap<NodeName, PlannedStage> = BTreeMap::new();
    let mut record = PlanRecord::default();
    let mut reused = Vec::new();
    let mut refused = Vec::new();
    let mut cursors = Vec::new();
    let mut unplanned: BTreeSet<NodeName> = BTreeSet::new();
    for stage in graph.stages.iter().filter(|stage| scope.tables.contains(&stage.name)) {
        let needs = Needs::lasting(&graph, &stage.reads);
        // What is wrong with a stage is said there, not again at every stage behind it.
        if needs.leaves.iter().chain(&needs.views).any(|name| unplanned.contains(name)) {
            unplanned.insert(stage.name.clone());
            continue;
        }
        let memory = memories.remove(&stage.name).flatten();
        cursors.extend(saved_cursors(&stage.name, memory.as_ref()));
        match planner.table(stage, &needs, memory).await {
            Ok(Planned::Writes { stage, decision, refusal }) => {
                record.stages.push(decision);
                refused.extend(refusal);
                tables.insert(stage.name.clone(), *stage);
            }
            Ok(Planned::Reused { stage, decision }) => {
                record.stages.push(decision);
                reused.push(stage);
            }
            Err(PlanError::Sql(found)) => {
                unplanned.insert(stage.name.clone());
                for problem in found.iter() {
                    // Instances of a sub-DAG have the same problems.
                    if !problems.iter().any(|known| known.is_like(problem)) {
                        problems.push(problem.clone());
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Problems::check(problems, &graph.files)?;
    let caches = planner.caches(&tables).await?;
    let (inputs, changes) = (planner.inputs, planner.changes);
    let stages = in_order(&graph, tables, caches, &mut record, &scope);
    let session_identity = sessions.session_identity().to_string();
    Ok(RunPlan { request, params, inputs, stages, record, reused, refused, changes, session_identity, cursors })
}

/// Which part of the graph a run is about.
pub(super) struct Scope {
    /// Everything selected.
    selected: BTreeSet<NodeName>,
    /// The selected stages that keep a table.
    pub(super) tables: BTreeSet<NodeName>,
    /// Selected caches that no selected table reads: they are asked for by themselves.
    pub(super) lone_caches: BTreeSet<NodeName>,
    /// Stages whose rows are all to be computed again.
    pub(super) refreshed: BTreeSet<NodeName>,
}

impl Scope {
    fn of(request: &PlanRequest) -> Result<Self, PlanError> {
        let graph = &request.graph;
        let selected = graph.select(&request.select, &request.exclude)?;
        let of_kind = |kind: Materialize| -> BTreeSet<NodeName> {
            let stages = graph.stages.iter().filter(|stage| stage.materialize == kind);
            stages.map(|stage| stage.name.clone()).filter(|name| selected.contains(name)).collect()
        };
        let tables = of_kind(Materialize::Table);
        let mut seen_through = BTreeSet::new();
        for stage in graph.stages.iter().filter(|stage| tables.contains(&stage.name)) {
            seen_through.extend(Needs::lasting(graph, &stage.reads).views);
        }
        let mut lone_caches = of_kind(Materialize::Cache);
        lone_caches.retain(|name| !seen_through.contains(name));
        let refreshed = match request.refresh.full.as_slice() {
            [] => BTreeSet::new(),
            terms if terms.iter().any(|term| term == Refresh::EVERYTHING) => tables.clone(),
            terms => graph.select(terms, &[])?.intersection(&tables).cloned().collect(),
        };
        let range = !request.refresh.from_versions.is_empty() || !request.refresh.to_versions.is_empty();
        if range && tables.len() != 1 {
            return Err(PlanError::Range {
                reason: format!("{} tables are selected", tables.len()),
                help: "select one stage: `--select STAGE --from-version N`".to_owned(),
            });
        }
        Ok(Self { selected, tables, lone_caches, refreshed })
    }

    /// What the run reads that it does not make, with one of its readers.
    fn outside(&self, graph: &PipelineGraph) -> BTreeMap<NodeName, NodeName> {
        let mut read_by = BTreeMap::new();
        for stage in &graph.stages {
            if !self.tables.contains(&stage.name) && !self.lone_caches.contains(&stage.name) {
                continue;
            }
            for leaf in Needs::lasting(graph, &stage.reads).leaves {
                if !self.tables.contains(&leaf) {
                    read_by.entry(leaf).or_insert_with(|| stage.name.clone());
                }
            }
        }
        read_by
    }
}

/// Pins every source and every table of an earlier run that the run reads and does not make.
async fn pin_inputs(request: &PlanRequest, sessions: &Sessions, scope: &Scope) -> Result<Inputs, PlanError> {
    let pins = scope.outside(&request.graph);
    let to = range_ends(request, scope, &request.refresh.to_versions)?;
    let to = &to;
    let pinned: Vec<(NodeName, Input)> = stream::iter(pins)
        .map(|(name, reader)| async move {
            let at = to.get(&name).map(|version| PinAt::Version(*version));
            let input = pin_leaf(request, sessions, &name, &reader, at).await?;
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

/// Pins sources anew of which a range ends before what is taken in already: at the version that is taken in, since a range
/// that comes once more does not take the table back to the time of its end. A full refresh does what is asked for.
async fn keep_pace(
    request: &PlanRequest,
    sessions: &Sessions,
    scope: &Scope,
    memories: &BTreeMap<NodeName, Option<TableProgress>>,
    inputs: &mut Inputs,
) -> Result<(), PlanError> {
    for (name, to) in range_ends(request, scope, &request.refresh.to_versions)? {
        // A range is of one stage.
        let Some((stage, Some(memory))) = memories.iter().next() else { continue };
        let Some(table) = inputs.pinned_input(&name).and_then(|input| input.table.as_ref()) else { continue };
        let key = (name.clone(), table.table_id().to_owned());
        let cursor = memory.sources.get(&key).and_then(|cursor| u64::try_from(*cursor).ok()).map(TableVersion);
        let Some(taken) = cursor.map(|cursor| memory.applied_version(&key, cursor)) else { continue };
        if taken.0 > to && !scope.refreshed.contains(stage) {
            match pin_for_query(request, sessions, &name, Some(PinAt::Version(taken.0))).await {
                Ok(input) => inputs.set(name, input),
                // A table that is not there any more as it was taken in is told by what is decided about the stage.
                Err(PlanError::Pin { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Versions that someone asked for, by the names of the sources that they are of.
pub(super) fn range_ends(
    request: &PlanRequest,
    scope: &Scope,
    asked: &[(Option<NodeName>, u64)],
) -> Result<BTreeMap<NodeName, u64>, PlanError> {
    let graph = &request.graph;
    let is_table = |name: &NodeName| match graph.sources.get(name) {
        Some(source) => matches!(source.kind, SourceKind::Delta(_)),
        None => graph.stage(name).is_some(),
    };
    let outside = scope.outside(graph);
    let tables: Vec<&NodeName> = outside.keys().filter(|name| is_table(name)).collect();
    let known = || tables.iter().map(|name| name.as_str()).collect::<Vec<_>>().join("`, `");
    asked
        .iter()
        .map(|(name, version)| match (name, tables.as_slice()) {
            (Some(name), tables) if tables.contains(&name) => Ok((name.clone(), *version)),
            (None, [only]) => Ok(((*only).clone(), *version)),
            (Some(name), _) => Err(PlanError::Range {
                reason: format!("the stage reads no Delta table `{name}`"),
                help: format!("it reads `{}`", known()),
            }),
            (None, []) => Err(PlanError::Range {
                reason: "the stage reads no Delta table".to_owned(),
                help: "only tables have versions; run it without a range".to_owned(),
            }),
            (None, _) => Err(PlanError::Range {
                reason: "the stage reads several Delta tables".to_owned(),
                help: format!("say which is meant, as in `--from-version NAME=N`: `{}`", known()),
            }),
        })
        .collect()
}

async fn pin_leaf(
    request: &PlanRequest,
    sessions: &Sessions,
    name: &NodeName,
    reader: &NodeName,
    at: Option<PinAt>,
) -> Result<Input, PlanError> {
    match pin_for_query(request, sessions, name, at).await {
        Err(PlanError::Unbuilt { stage: upstream }) => Err(PlanError::NotBuilt { stage: reader.clone(), upstream }),
        outcome => outcome,
    }
}

/// What the tables of the selected stages remember of earlier runs.
async fn remember_all(
    request: &PlanRequest,
    sessions: &Sessions,
    scope: &Scope,
    inputs: &Inputs,
) -> Result<BTreeMap<NodeName, Option<TableProgress>>, PlanError> {
    let graph = &request.graph;
    let looked_at: Vec<_> = graph
        .stages
        .iter()
        .filter(|stage| scope.tables.contains(&stage.name))
        .map(|stage| async move {
            let location = table_location(request, stage)?;
            let mut question = CursorQuery::default();
            for leaf in Needs::lasting(graph, &stage.reads).leaves {
                match inputs.get(&leaf) {
                    Some(Input::Pinned(input)) => match &input.table {
                        Some(table) => question.sources.push((leaf, table.table_id().to_owned())),
                        None => question.files.push(leaf),
                    },
                    Some(Input::Planned(_)) | None => {}
                }
            }
            let app_id = AppId::of(&graph.name, &stage.name);
            let memory = read_progress(&location, &app_id, &question, sessions.stores())
                .await
                .map_err(|source| PlanError::Pin { node: stage.name.clone(), source })?;
            Ok::<_, PlanError>((stage.name.clone(), memory))
        })
        .collect();
    stream::iter(looked_at).buffer_unordered(PINS_AT_ONCE).try_collect().await
}

fn saved_cursors(stage: &NodeName, memory: Option<&TableProgress>) -> Vec<SavedCursor> {
    let Some(memory) = memory else { return Vec::new() };
    let cursor = |source: &NodeName, version: i64| SavedCursor {
        stage: stage.clone(),
        source: source.clone(),
        version: Some(version),
    };
    let tables = memory.sources.iter().map(|((source, _), version)| cursor(source, *version));
    tables.chain(memory.files.iter().map(|(source, mark)| cursor(source, *mark))).collect()
}

/// The stages that write, each behind what it reads; the decisions about caches and views come into `record`.
fn in_order(
    graph: &PipelineGraph,
    mut tables: BTreeMap<NodeName, PlannedStage>,
    mut caches: BTreeMap<NodeName, PlannedCache>,
    record: &mut PlanRecord,
    scope: &Scope,
) -> Vec<PlannedStage> {
    let mut decided: BTreeMap<NodeName, StageDecision> =
        std::mem::take(&mut record.stages).into_iter().map(|decision| (decision.stage.clone(), decision)).collect();
    let writing: BTreeSet<NodeName> = tables.keys().chain(caches.keys()).cloned().collect();
    let mut stages = Vec::new();
    for stage in &graph.stages {
        let name = &stage.name;
        let mut decision = decided.remove(name);
        if let Some(mut planned) = tables.remove(name) {
            planned.depends_on.retain(|name| writing.contains(name));
            if let Some(decision) = &mut decision {
                decision.depends_on.clone_from(&planned.depends_on);
            }
            stages.push(planned);
        } else if let Some(PlannedCache { stage: mut planned, reason, code }) = caches.remove(name) {
            planned.depends_on.retain(|name| writing.contains(name));
            let mut cache = StageDecision::new(name.clone(), PlanDecision::Cache, reason);
            cache.set_code(code.as_str(), code.parts());
            cache.depends_on.clone_from(&planned.depends_on);
            decision = Some(cache);
            stages.push(planned);
        } else if stage.materialize == Materialize::View && scope.selected.contains(name) {
            let reason = "it is a view: its readers compute it".to_owned();
            decision = Some(StageDecision::new(name.clone(), PlanDecision::View, reason));
        }
        record.stages.extend(decision.map(|decision| StageDecision {
            weight: u64::from(graph.weight(name)),
            tags: stage.tags.clone(),
            ..decision
        }));
    }
    stages
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
        (None, Some(stage)) => pin_built(request, sessions, stage, at.unwrap_or(PinAt::Latest)).await?,
        (None, None) => return Err(PlanError::Unknown { node: name.clone() }),
    };
    Ok(Input::Pinned(Arc::new(input)))
}

/// Pins a stage's table, if a run has committed to it.
///
/// # Errors
/// [`PlanError::Unbuilt`] if none has, and as [`pin_table`].
pub(super) async fn pin_built(
    request: &PlanRequest,
    sessions: &Sessions,
    stage: &Stage,
    at: PinAt,
) -> Result<PinnedInput, PlanError> {
    let unbuilt = |source: DeltaError| match source.is_not_built() {
        true => PlanError::Unbuilt { stage: stage.name.clone() },
        false => PlanError::Pin { node: stage.name.clone(), source },
    };
    let pinned = match pin_table(sessions, &stage.name, &table_location(request, stage)?, at).await {
        Err(PlanError::Pin { source, .. }) => return Err(unbuilt(source)),
        pinned => pinned?,
    };
    if let Some(table) = &pinned.table {
        check_built(table, sessions.stores()).await.map_err(unbuilt)?;
    }
    Ok(pinned)
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
