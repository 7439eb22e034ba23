//! The tables of a project on the wire.

use windlass_api::v1::Table;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::{CursorReset, CursorStatus, TableStatus};

use super::error::ServiceError;
use super::project::Submitted;
use crate::Scheduler;
use crate::cursor_reset::reset_cursor;
use crate::plan;

/// The tables that the project's stages write.
pub(super) async fn tables(project: &Submitted, process: &Scheduler) -> Result<Vec<TableStatus>, ServiceError> {
    let scheduler = project.scheduler(process).await?;
    let request = project.plan_request(RunId::new("tables"), None)?;
    Ok(plan::tables(&request, &scheduler.sessions).await?)
}

pub(super) fn table(status: TableStatus) -> Table {
    Table {
        name: status.name.to_string(),
        location: status.location,
        version: status.version.map(|version| version.0),
        files: status.files,
        bytes: status.bytes,
        committed_at_ms: status.committed_at.map(|at| at.timestamp_millis()),
        rows: status.rows,
        quarantine_of: status.quarantine_of.map(|stage| stage.to_string()),
    }
}

/// How far each of those tables has come.
pub(super) async fn cursors(project: &Submitted, process: &Scheduler) -> Result<Vec<CursorStatus>, ServiceError> {
    let scheduler = project.scheduler(process).await?;
    let request = project.plan_request(RunId::new("cursors"), None)?;
    Ok(plan::cursors(&request, &scheduler.sessions, None).await?)
}

/// Sets cursors by hand.
pub(super) async fn reset(
    project: &Submitted,
    process: &Scheduler,
    reset: &CursorReset,
) -> Result<CursorStatus, ServiceError> {
    let scheduler = project.scheduler(process).await?;
    let request = project.plan_request(RunId::generate(), None)?;
    Ok(reset_cursor(&scheduler, &request, reset).await?)
}
