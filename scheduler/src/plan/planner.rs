//! pin + decide: what one run reads, computes and writes, settled before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_base::ids::NodeName;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{Cause, PlanDecision, PlanRecord, StageDecision};
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::table::Materialize;
use windlass_project::spec::{Problem, Problems};

use super::changes::KnownChanges;
use super::contract;
use super::error::PlanError;
use super::interrupted::EarlierRuns;
use super::memories::{remember_all, saved_cursors};
use super::params::engine_params;
use super::pins::{check_ranges, keep_pace, pin_inputs};
use super::plan_stage::{Planned, PlannedCache, StagePlanner};
use super::query::QueryInputs;
use super::request::PlanRequest;
use super::run_plan::{PlannedStage, RunPlan};
use super::scope::Scope;
use crate::export;
use crate::planning::on_planning_threads;

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
    if request.resumed().is_none() {
        check_ranges(&request, &scope, &memories, &inputs)?;
        keep_pace(&request, sessions, &scope, &memories, &mut inputs).await?;
    }
    let mut planner = StagePlanner {
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
        let reads = QueryInputs::lasting(&graph, &stage.reads);
        // What is wrong with a stage is said there, not again at every stage behind it.
        if reads.base_tables.iter().chain(&reads.views).any(|name| unplanned.contains(name)) {
            unplanned.insert(stage.name.clone());
            continue;
        }
        let memory = memories.remove(&stage.name).flatten();
        cursors.extend(saved_cursors(&stage.name, memory.as_ref()));
        match planner.table(stage, &reads, memory).await {
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
            let mut cache = StageDecision::new(name.clone(), PlanDecision::Cache, Cause::Cache, reason);
            cache.set_code(code.as_str(), code.parts());
            cache.depends_on.clone_from(&planned.depends_on);
            decision = Some(cache);
            stages.push(planned);
        } else if stage.materialize == Materialize::View && scope.selected.contains(name) {
            let reason = "it is a view: its readers compute it".to_owned();
            decision = Some(StageDecision::new(name.clone(), PlanDecision::View, Cause::View, reason));
        }
        record.stages.extend(decision.map(|decision| StageDecision {
            weight: u64::from(graph.weight(name)),
            tags: stage.tags.clone(),
            ..decision
        }));
    }
    stages
}
