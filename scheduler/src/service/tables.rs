//! The tables of a project as they are now, and how far each has come.

use futures::{StreamExt, TryStreamExt, stream};
use windlass_shared::artifact::PinRecord;
use windlass_shared::delta::commit::last_sequence;
use windlass_shared::ids::{AppId, NodeName, RunId};
use windlass_shared::proto::v1::{Cursor, Table};
use windlass_shared::spec::source::PinAt;
use windlass_shared::spec::table::Materialize;

use super::error::ServiceError;
use super::project::Submitted;
use crate::Scheduler;
use crate::plan::{PlanError, pin_table, table_location};

/// How many tables are looked at side by side.
const AT_ONCE: usize = 8;

/// The tables that the project's stages write.
pub(super) async fn tables(project: &Submitted, scheduler: &Scheduler) -> Result<Vec<Table>, ServiceError> {
    let found = each(project, scheduler).await?;
    Ok(found.into_iter().map(|(table, _)| table).collect())
}

/// How far each table has come, by the transactions in its own log.
pub(super) async fn cursors(project: &Submitted, scheduler: &Scheduler) -> Result<Vec<Cursor>, ServiceError> {
    let found = each(project, scheduler).await?;
    Ok(found.into_iter().map(|(_, cursor)| cursor).collect())
}

async fn each(project: &Submitted, scheduler: &Scheduler) -> Result<Vec<(Table, Cursor)>, ServiceError> {
    let graph = &project.graph;
    let scheduler = &project.scheduler(scheduler).await?;
    let request = &project.plan_request(RunId::new("tables"), None)?;
    let stages = graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
    let looked_at = stages.map(|stage| async move {
        let name = &stage.name;
        let location = table_location(request, stage)?;
        let pin = match pin_table(&scheduler.sessions, name, &location, PinAt::Latest).await {
            Ok(input) => Some(input.pin),
            Err(PlanError::Pin { source, .. }) if source.is_not_a_table() => None,
            Err(error) => return Err(ServiceError::from(error)),
        };
        let app_id = AppId::of(&graph.name, name);
        let last_run = last_sequence(&location, &app_id, scheduler.sessions.stores())
            .await
            .map_err(|source| PlanError::Pin { node: name.clone(), source })?;
        let version = pin.as_ref().and_then(|pin| pin.version).map(|version| version.0);
        let cursor = Cursor {
            stage: name.to_string(),
            app_id: app_id.to_string(),
            last_run: last_run.map(|sequence| sequence.0),
            version,
        };
        Ok((table(name, location.to_string(), pin.as_ref()), cursor))
    });
    let looked_at: Vec<_> = looked_at.collect();
    stream::iter(looked_at).buffered(AT_ONCE).try_collect().await
}

fn table(name: &NodeName, location: String, pin: Option<&PinRecord>) -> Table {
    Table {
        name: name.to_string(),
        location,
        version: pin.and_then(|pin| pin.version).map(|version| version.0),
        files: pin.map_or(0, |pin| pin.files),
        bytes: pin.map_or(0, |pin| pin.bytes),
        committed_at_ms: pin.and_then(|pin| pin.committed_at).map(|at| at.timestamp_millis()),
    }
}
