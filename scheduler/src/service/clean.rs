//! Cleaning the home of a submitted project.

use windlass_api::v1::{CleanRequest as WireRequest, CleanResponse};
use windlass_base::ids::RunId;

use super::error::{ServiceError, bad_request};
use super::project::Submitted;
use crate::Scheduler;
use crate::maintain::clean::{CleanRequest, clean, keep_of};

/// Cleans the home of a project, whose files are in `project`.
pub(super) async fn clean_home(
    project: &Submitted,
    process: &Scheduler,
    request: &WireRequest,
) -> Result<CleanResponse, ServiceError> {
    let scheduler = project.scheduler(process).await?;
    let request = CleanRequest {
        plan: project.plan_request(RunId::generate(), None)?,
        keep: keep_of(&project.graph, request.keep_runs, request.keep_days),
        dry_run: request.dry_run,
        tables: request.tables,
        // Paths of a client's machine mean nothing here.
        spill_dir: None,
    };
    let record = clean(&scheduler, request).await?;
    let record_json = serde_json::to_string(&record).map_err(|error| bad_request(error.to_string()))?;
    Ok(CleanResponse { record_json })
}
