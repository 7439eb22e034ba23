//! The tables of a pipeline that are maintained: those of its stages, and their quarantines.

use windlass_base::ids::{AppId, NodeName};
use windlass_project::maintenance::MaintenancePolicy;
use windlass_project::spec::table::Materialize;
use windlass_storage::Location;

use super::MaintainError;
use crate::plan::quarantine::quarantine_location;
use crate::plan::{PlanRequest, table_location};

/// A table that is maintained.
#[derive(Debug, Clone)]
pub(super) struct Maintained {
    /// The stage, or the name of its quarantine.
    pub(super) name: NodeName,
    pub(super) location: Location,
    /// Who commits to it.
    pub(super) app_id: AppId,
    pub(super) policy: MaintenancePolicy,
    /// Bytes that its author wants files to come to.
    pub(super) target_file_bytes: Option<u64>,
}

/// All tables of the project, in its order.
pub(super) fn all(request: &PlanRequest) -> Result<Vec<Maintained>, MaintainError> {
    selected(request, |_| true)
}

/// The tables of the stages that the request selects.
pub(super) fn chosen(request: &PlanRequest) -> Result<Vec<Maintained>, MaintainError> {
    let chosen = request.graph.select(&request.select, &request.exclude)?;
    selected(request, |name| chosen.contains(name))
}

fn selected(request: &PlanRequest, is_in: impl Fn(&NodeName) -> bool) -> Result<Vec<Maintained>, MaintainError> {
    let graph = &request.graph;
    let mut tables = Vec::new();
    for stage in graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table && is_in(&stage.name)) {
        tables.push(Maintained {
            name: stage.name.clone(),
            location: table_location(request, stage)?,
            app_id: AppId::of(&graph.name, &stage.name),
            policy: graph.maintenance_of(stage),
            target_file_bytes: stage.table.target_file_bytes,
        });
        if let Some(name) = graph.quarantine(stage) {
            tables.push(Maintained {
                name,
                location: quarantine_location(request, stage)?,
                app_id: AppId::of(&graph.name, &stage.name),
                policy: graph.maintenance_of_quarantine(stage),
                target_file_bytes: stage.table.target_file_bytes,
            });
        }
    }
    Ok(tables)
}
