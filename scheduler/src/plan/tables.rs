//! The tables of a project as they are now.

use futures::{StreamExt, TryStreamExt, stream};
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::TableStatus;
use windlass_project::spec::source::PinAt;
use windlass_project::spec::table::Materialize;

use super::pins::pin_built;
use super::{PlanError, PlanRequest, table_location};

/// How many tables are looked at side by side.
const AT_ONCE: usize = 8;

/// The tables that the project's stages write.
///
/// # Errors
/// [`PlanError::Pin`] if a table is there and cannot be read.
pub async fn tables(request: &PlanRequest, sessions: &Sessions) -> Result<Vec<TableStatus>, PlanError> {
    let graph = &request.graph;
    let stages = graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
    let looked_at: Vec<_> = stages
        .map(|stage| async move {
            let name = &stage.name;
            let location = table_location(request, stage)?;
            let pin = match pin_built(request, sessions, stage, PinAt::Latest).await {
                Ok(input) => Some(input.pin),
                Err(PlanError::Unbuilt { .. }) => None,
                Err(error) => return Err(error),
            };
            Ok(TableStatus {
                name: name.clone(),
                location: location.to_string(),
                version: pin.as_ref().and_then(|pin| pin.version),
                files: pin.as_ref().map_or(0, |pin| pin.files),
                bytes: pin.as_ref().map_or(0, |pin| pin.bytes),
                committed_at: pin.and_then(|pin| pin.committed_at),
            })
        })
        .collect();
    stream::iter(looked_at).buffered(AT_ONCE).try_collect().await
}
