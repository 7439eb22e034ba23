//! What the tables of stages remember of earlier runs.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use windlass_base::ids::{AppId, NodeName};
use windlass_delta::cursor::{CursorQuery, TableProgress, read_progress};
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::SavedCursor;

use super::error::PlanError;
use super::input::{Input, Inputs};
use super::pins::PINS_AT_ONCE;
use super::query::QueryInputs;
use super::request::{PlanRequest, table_location};
use super::scope::Scope;

/// What the tables of the selected stages remember of earlier runs.
pub(super) async fn remember_all(
    request: &PlanRequest,
    sessions: &Sessions,
    scope: &Scope,
    inputs: &Inputs,
) -> Result<BTreeMap<NodeName, Option<TableProgress>>, PlanError> {
    let graph = &request.graph;
    let looked_at: Vec<_> = graph
        .stages
        .iter()
        .filter(|stage| scope.tables.contains(&stage.name))
        .map(|stage| async move {
            let location = table_location(request, stage)?;
            let mut question = CursorQuery::default();
            for name in QueryInputs::lasting(graph, &stage.reads).base_tables {
                match inputs.get(&name) {
                    Some(Input::Pinned(input)) => match &input.table {
                        Some(table) => question.sources.push((name, table.table_id().to_owned())),
                        None => question.files.push(name),
                    },
                    Some(Input::Planned(_)) | None => {}
                }
            }
            let app_id = AppId::of(&graph.name, &stage.name);
            let memory = read_progress(&location, &app_id, &question, sessions.stores())
                .await
                .map_err(|source| PlanError::Pin { node: stage.name.clone(), source })?;
            Ok::<_, PlanError>((stage.name.clone(), memory))
        })
        .collect();
    stream::iter(looked_at).buffer_unordered(PINS_AT_ONCE).try_collect().await
}

/// The cursors of a stage as a saved plan has them.
pub(super) fn saved_cursors(stage: &NodeName, memory: Option<&TableProgress>) -> Vec<SavedCursor> {
    let Some(memory) = memory else { return Vec::new() };
    let cursor = |source: &NodeName, version: i64| SavedCursor {
        stage: stage.clone(),
        source: source.clone(),
        version: Some(version),
    };
    let tables = memory.sources.iter().map(|((source, _), version)| cursor(source, *version));
    tables.chain(memory.files.iter().map(|(source, mark)| cursor(source, *mark))).collect()
}
