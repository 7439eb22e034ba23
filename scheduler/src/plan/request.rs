//! What a plan is made from, and where the tables of its stages are.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_base::ids::RunId;
use windlass_evidence::artifact::Refresh;
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::ParamValue;
use windlass_project::spec::table::Materialize;
use windlass_storage::Location;

use super::error::PlanError;
use super::fixed::{FixedPins, ResumedPlan};
use crate::home::Home;

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
    /// What to compute again, or to apply otherwise than from the cursors.
    pub refresh: Refresh,
    /// The run that the plan is for; it owns the caches.
    pub run: RunId,
    /// What it reads, if that is settled already.
    pub fixed: Option<Arc<FixedPins>>,
}

impl PlanRequest {
    /// The plan that is resumed with it, if it is one.
    pub(super) fn resumed(&self) -> Option<&ResumedPlan> {
        self.fixed.as_ref()?.resumed.as_ref()
    }
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
