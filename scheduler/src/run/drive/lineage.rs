//! What a run has read and made, put together from its plan and the notes of its stages.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{
    LineageRecord, Registration, RegistrationsRecord, ReuseVerdict, StageLineage, StageReceipt,
};
use windlass_project::graph::Stage;

use crate::plan::{Inputs, PlannedStage, RunPlan};
use crate::run::machine::RunState;
use crate::run::stage::notes::{StageNotes, lineage_inputs};

/// The lineage of everything that the run committed or used as it was. `earlier` is that of stages which another process
/// has executed.
pub(super) fn lineage(
    plan: &RunPlan,
    inputs: &Inputs,
    state: &RunState,
    notes: &BTreeMap<NodeName, StageNotes>,
    earlier: impl IntoIterator<Item = StageLineage>,
) -> LineageRecord {
    let graph = &plan.request.graph;
    let reused = plan.reused.iter().map(|stage| StageLineage {
        stage: stage.name.clone(),
        inputs: lineage_inputs(&stage.inputs, inputs),
        code_fingerprint: code_fingerprint(plan, &stage.name),
        plan_fingerprint: String::new(),
        location: stage.location.clone(),
        code_version: stage.code.to_string(),
        reuse: ReuseVerdict { hit: true, missed: Vec::new() },
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
        changes: Vec::new(),
        output_version: Some(stage.version),
        columns: None,
    });
    let written = plan.stages.iter().filter_map(|planned| {
        let receipt = state.stage(&planned.name).and_then(|stage| stage.receipt());
        Some(stage_lineage(plan, planned, receipt, notes.get(&planned.name)?))
    });
    let mut stages: Vec<StageLineage> = reused.chain(written).chain(earlier).collect();
    let order = |name: &NodeName| graph.stages.iter().position(|stage| stage.name == *name);
    stages.sort_by_key(|stage| order(&stage.stage));
    LineageRecord { stages }
}

/// The lineage of a stage that was executed.
pub(super) fn stage_lineage(
    plan: &RunPlan,
    planned: &PlannedStage,
    receipt: Option<&StageReceipt>,
    note: &StageNotes,
) -> StageLineage {
    let code = planned.table_context.as_ref().map(|table_context| table_context.code.to_string());
    StageLineage {
        stage: planned.name.clone(),
        inputs: note.inputs.clone(),
        code_fingerprint: code_fingerprint(plan, &planned.name),
        plan_fingerprint: note.plan_fingerprint.clone(),
        location: planned.table.location.to_string(),
        code_version: code.unwrap_or_default(),
        reuse: note.reuse.clone(),
        strategy: note.strategy,
        touched: note.touched,
        from_changes: note.from_changes,
        fallback: note.fallback.clone(),
        changes: note.changes.clone(),
        output_version: receipt.map(|receipt| receipt.version),
        columns: note.columns.clone(),
    }
}

fn code_fingerprint(plan: &RunPlan, name: &NodeName) -> String {
    plan.request.graph.stage(name).map(Stage::code_fingerprint).unwrap_or_default()
}

/// Every table as the run's sessions registered it, each once; `earlier` are those that another process has registered.
pub(super) fn registrations(
    notes: &BTreeMap<NodeName, StageNotes>,
    earlier: impl IntoIterator<Item = Registration>,
) -> RegistrationsRecord {
    let here = notes.values().flat_map(|note| note.registrations.iter().cloned());
    let all = earlier.into_iter().chain(here);
    let tables: BTreeMap<_, _> = all.map(|table| (table.name.clone(), table)).collect();
    RegistrationsRecord { tables: tables.into_values().collect() }
}
