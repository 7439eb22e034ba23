//! The tables of a project on the wire.

use windlass_shared::artifact::{CursorStatus, TableStatus};
use windlass_shared::ids::RunId;
use windlass_shared::proto::v1::{Cursor, Table};

use super::error::ServiceError;
use super::project::Submitted;
use crate::Scheduler;
use crate::plan;

/// The tables that the project's stages write, and how far each has come.
pub(super) async fn tables(
    project: &Submitted,
    process: &Scheduler,
) -> Result<Vec<(TableStatus, CursorStatus)>, ServiceError> {
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
    }
}

pub(super) fn cursor(status: CursorStatus) -> Cursor {
    Cursor {
        stage: status.stage.to_string(),
        app_id: status.app_id.to_string(),
        last_run: status.last_run.map(|sequence| sequence.0),
        version: status.version.map(|version| version.0),
    }
}
