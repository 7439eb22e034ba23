//! One stage's plans: logical, optimized, physical, and the writer on top.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use windlass_shared::artifact::LineageInput;
use windlass_shared::delta::table::TableState;
use windlass_shared::delta::write::delta_write_plan;
use windlass_shared::graph::Stage;
use windlass_shared::session::Registration;

use super::error::PlanError;
use super::input::Inputs;
use super::query::{Needs, logical_plan};
use super::run_plan::RunPlan;
use windlass_shared::session::Sessions;

/// What executing a stage takes, and the evidence of how it was planned.
pub struct StagePlan {
    /// The session that the plan belongs to.
    pub context: Arc<SessionContext>,
    /// The plan whose root writes the table; each of its rows reports a file.
    pub physical: Arc<dyn ExecutionPlan>,
    /// The plans as texts, from the logical to the physical one.
    pub texts: PlanTexts,
    /// The hash of the logical plan.
    pub fingerprint: String,
    /// What was registered for it.
    pub registrations: Vec<Registration>,
    /// What it reads, views seen through.
    pub inputs: Vec<LineageInput>,
}

/// A stage's plans as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanTexts {
    /// As it follows from the SQL.
    pub logical: String,
    /// After the optimizer.
    pub optimized: String,
    /// As one process would run it.
    pub physical: String,
}

/// Plans a stage against `inputs`, writing to `table`.
///
/// # Errors
/// [`PlanError`] if the query does not fit what it reads, or the engine cannot plan it.
pub async fn plan_stage(
    run: &RunPlan,
    stage: &Stage,
    inputs: &Inputs,
    table: &TableState,
    sessions: &Sessions,
) -> Result<StagePlan, PlanError> {
    let graph = &run.request.graph;
    let needs = Needs::of(graph, &stage.reads);
    let session = needs.session(graph, sessions, inputs, &run.params).await?;
    let failed = |source| PlanError::Engine { stage: stage.name.clone(), source };

    let logical = logical_plan(graph, &session.context, stage, &run.params).await?;
    let state = session.context.state();
    let optimized = state.optimize(&logical).map_err(failed)?;
    let query = state.query_planner().create_physical_plan(&optimized, &state).await.map_err(failed)?;

    let mut spec = table.write_spec(stage.name.as_str());
    if let Some(bytes) = stage.table.target_file_bytes {
        spec.target_file_bytes = bytes;
    }
    let physical = delta_write_plan(query, spec, &state)
        .map_err(|source| PlanError::Write { stage: stage.name.clone(), source: source.into() })?;

    let texts = PlanTexts {
        logical: logical.display_indent_schema().to_string(),
        optimized: optimized.display_indent_schema().to_string(),
        physical: displayable(physical.as_ref()).indent(true).to_string(),
    };
    let lineage = needs.leaves.iter().map(|name| LineageInput {
        name: name.clone(),
        version: inputs.pin(name).and_then(|pin| pin.version),
        identity: inputs.pin(name).and_then(|pin| pin.content_identity.clone()),
    });
    Ok(StagePlan {
        fingerprint: fingerprint(&logical),
        inputs: lineage.collect(),
        context: Arc::new(session.context),
        registrations: session.registrations,
        physical,
        texts,
    })
}

/// A hash of the plan as it follows from the SQL: white space, comments and the case of keywords do not change it.
fn fingerprint(plan: &LogicalPlan) -> String {
    let text = plan.display_indent_schema().to_string();
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}
