//! The tables of a project as they are now, and how far each has come.

use futures::{StreamExt, TryStreamExt, stream};
use windlass_shared::artifact::{CursorStatus, TableStatus};
use windlass_shared::delta::commit::last_sequence;
use windlass_shared::ids::AppId;
use windlass_shared::session::Sessions;
use windlass_shared::spec::source::PinAt;
use windlass_shared::spec::table::Materialize;

use super::{PlanError, PlanRequest, pin_table, table_location};

/// How many tables are looked at side by side.
const AT_ONCE: usize = 8;

/// The tables that the project's stages write, and how far each has come by the transactions in its own log.
///
/// # Errors
/// [`PlanError::Pin`] if a table is there and cannot be read.
pub async fn tables(request: &PlanRequest, sessions: &Sessions) -> Result<Vec<(TableStatus, CursorStatus)>, PlanError> {
    let graph = &request.graph;
    let stages = graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
    let looked_at: Vec<_> = stages
        .map(|stage| async move {
            let name = &stage.name;
            let location = table_location(request, stage)?;
            let pin = match pin_table(sessions, name, &location, PinAt::Latest).await {
                Ok(input) => Some(input.pin),
                Err(PlanError::Pin { source, .. }) if source.is_not_a_table() => None,
                Err(error) => return Err(error),
            };
            let app_id = AppId::of(&graph.name, name);
            let last_run = last_sequence(&location, &app_id, sessions.stores())
                .await
                .map_err(|source| PlanError::Pin { node: name.clone(), source })?;
            let version = pin.as_ref().and_then(|pin| pin.version);
            let table = TableStatus {
                name: name.clone(),
                location: location.to_string(),
                version,
                files: pin.as_ref().map_or(0, |pin| pin.files),
                bytes: pin.as_ref().map_or(0, |pin| pin.bytes),
                committed_at: pin.and_then(|pin| pin.committed_at),
            };
            Ok((table, CursorStatus { stage: name.clone(), app_id, last_run, version }))
        })
        .collect();
    stream::iter(looked_at).buffered(AT_ONCE).try_collect().await
}
