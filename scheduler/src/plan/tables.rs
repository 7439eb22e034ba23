//! The tables of a project as they are now.

use futures::{StreamExt, TryStreamExt, stream};
use windlass_base::ids::NodeName;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::TableStatus;
use windlass_project::graph::Stage;
use windlass_project::spec::source::PinAt;
use windlass_project::spec::table::Materialize;
use windlass_storage::Location;

use super::input::PinnedInput;
use super::pins::pin_built;
use super::{PlanError, PlanRequest, quarantine, table_location};

/// How many tables are looked at side by side.
const AT_ONCE: usize = 8;

/// The tables that the project's stages write, each with its quarantine if it has one.
///
/// # Errors
/// [`PlanError::Pin`] if a table is there and cannot be read.
pub async fn tables(request: &PlanRequest, sessions: &Sessions) -> Result<Vec<TableStatus>, PlanError> {
    let graph = &request.graph;
    let stages = graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
    let looked_at: Vec<_> = stages.map(|stage| tables_of(request, sessions, stage)).collect();
    let tables: Vec<Vec<TableStatus>> = stream::iter(looked_at).buffered(AT_ONCE).try_collect().await?;
    Ok(tables.into_iter().flatten().collect())
}

async fn tables_of(request: &PlanRequest, sessions: &Sessions, stage: &Stage) -> Result<Vec<TableStatus>, PlanError> {
    let location = table_location(request, stage)?;
    let found = match pin_built(request, sessions, stage, PinAt::Latest).await {
        Ok(input) => Some(input),
        Err(PlanError::Unbuilt { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut tables = vec![status(stage.name.clone(), &location, found.as_ref())];
    if let Some(name) = request.graph.quarantine(stage) {
        tables.push(quarantine::status(request, sessions, name, stage).await?);
    }
    Ok(tables)
}

/// What is shown of a table at a location.
pub(super) fn status(name: NodeName, location: &Location, found: Option<&PinnedInput>) -> TableStatus {
    let pin = found.map(|input| &input.pin);
    TableStatus {
        name,
        location: location.to_string(),
        version: pin.and_then(|pin| pin.version),
        rows: found.and_then(|input| input.table.as_ref()?.pin().rows),
        files: pin.map_or(0, |pin| pin.files),
        bytes: pin.map_or(0, |pin| pin.bytes),
        committed_at: pin.and_then(|pin| pin.committed_at),
        quarantine_of: None,
    }
}
