//! What all stages of a run share: its plan, the sessions to plan with, the engine to execute on, and the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use windlass_base::error::Failure;
use windlass_base::ids::{AppId, NodeName, PipelineName, RunId, RunSequence};
use windlass_engine::session::Sessions;
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_storage::Stores;

use super::journal::RunJournal;
use crate::execute::Engine;
use crate::plan::{PlannedStage, RunPlan};

/// Which run it is.
#[derive(Debug, Clone)]
pub(super) struct RunIdentity {
    pub(super) run_id: RunId,
    pub(super) sequence: RunSequence,
    pub(super) pipeline: PipelineName,
}

/// What all stages of a run share.
pub(super) struct RunContext {
    pub(super) plan: RunPlan,
    pub(super) identity: RunIdentity,
    pub(super) sessions: Arc<Sessions>,
    pub(super) engine: Engine,
    pub(super) journal: RunJournal,
}

impl RunContext {
    pub(super) fn graph(&self) -> &PipelineGraph {
        &self.plan.request.graph
    }

    pub(super) fn stores(&self) -> &Arc<Stores> {
        self.sessions.stores()
    }

    /// The id under which a stage commits.
    pub(super) fn app_id(&self, stage: &NodeName) -> AppId {
        AppId::of(&self.identity.pipeline, stage)
    }

    /// A stage and what is planned for it.
    pub(super) fn stage(&self, name: &NodeName) -> Result<(&Stage, &PlannedStage), Failure> {
        let stage = self.graph().stage(name);
        stage.zip(self.plan.stage(name)).ok_or_else(|| Failure {
            code: "WL0653".to_owned(),
            message: format!("the run's plan does not contain the stage `{name}`"),
            help: Some("this is a defect of Windlass; report it with the run's log".to_owned()),
            retryable: false,
        })
    }

    /// What every commit of the run says about itself.
    pub(super) fn commit_info(&self, stage: &NodeName, plan_fingerprint: &str) -> BTreeMap<String, Value> {
        let tags = self.graph().stage(stage).map(|stage| &stage.tags);
        let tags = tags.into_iter().flat_map(|tags| &tags.0);
        let tags = tags.map(|(key, value)| (format!("windlass.tag.{key}"), json!(value)));
        let of_run = BTreeMap::from([
            ("windlass.run_id".to_owned(), json!(self.identity.run_id)),
            ("windlass.pipeline".to_owned(), json!(self.identity.pipeline)),
            ("windlass.stage".to_owned(), json!(stage)),
            ("windlass.plan_fingerprint".to_owned(), json!(plan_fingerprint)),
            ("windlass.version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
        ]);
        of_run.into_iter().chain(tags).collect()
    }
}
