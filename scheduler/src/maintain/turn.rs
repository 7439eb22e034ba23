//! A turn of maintenance.

use chrono::Utc;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use windlass_evidence::artifact::{MAINTENANCE_FORMAT, MaintenanceEvent, MaintenanceKind, MaintenanceRecord};

use super::error::MaintainError;
use crate::Scheduler;
use crate::plan::PlanRequest;

/// What is asked of a turn.
#[derive(Debug, Clone)]
pub struct MaintainRequest {
    /// The project, and which of its tables.
    pub plan: PlanRequest,
    /// Only these actions; all if empty.
    pub only: Vec<MaintenanceKind>,
    /// Only decide.
    pub dry_run: bool,
}

/// Maintains the selected tables.
///
/// # Errors
/// As the variants say.
pub async fn maintain(
    _: &Scheduler,
    request: MaintainRequest,
    _: UnboundedSender<MaintenanceEvent>,
    _: CancellationToken,
) -> Result<MaintenanceRecord, MaintainError> {
    Ok(MaintenanceRecord {
        format: MAINTENANCE_FORMAT,
        turn: request.plan.run.clone(),
        pipeline: request.plan.graph.name.clone(),
        dry_run: request.dry_run,
        started_at: Utc::now(),
        ended_at: None,
        tables: Vec::new(),
    })
}
