//! The query of a stage over what its inputs are now.

use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use windlass_base::error::{Coded, Failure};
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::Registration;

use super::attempt::StageRun;
use crate::plan::{PlanError, StageError, logical_plan, plan_fingerprint};

/// A stage's query, ready to be run or traced.
pub(super) struct StageQueryPlan {
    pub(super) context: Arc<SessionContext>,
    pub(super) logical: LogicalPlan,
    pub(super) optimized: LogicalPlan,
    pub(super) fingerprint: String,
    pub(super) registrations: Vec<Registration>,
}

impl StageRun<'_> {
    /// The stage's query over what its inputs are now, planned by `sessions`.
    pub(super) async fn query(&self, sessions: &Sessions) -> Result<StageQueryPlan, Failure> {
        let graph = self.run.graph();
        let plan = async {
            let session = self.reads().session(graph, sessions, &self.inputs, &self.run.plan.params).await?;
            let logical = logical_plan(&session.context, self.stage, &self.run.plan.params).await?;
            let optimized = session
                .context
                .state()
                .optimize(&logical)
                .map_err(|source| PlanError::Engine { stage: self.stage.name.clone(), source })?;
            Ok::<_, StageError>(StageQueryPlan {
                fingerprint: plan_fingerprint(&logical)
                    .map_err(|source| PlanError::Engine { stage: self.stage.name.clone(), source })?,
                context: Arc::new(session.context),
                logical,
                optimized,
                registrations: session.registrations,
            })
        };
        plan.await.map_err(|error| error.in_files(&graph.files).to_failure())
    }
}
