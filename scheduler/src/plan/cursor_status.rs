//! How far each stage's table has applied what it reads, by the transactions in the table's own log.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use windlass_base::ids::{AppId, NodeName};
use windlass_delta::cursor::{CursorQuery, TableProgress, read_progress};
use windlass_delta::pin::{Pin, pin};
use windlass_delta::{DeltaError, check_built};
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{CursorStatus, SourceCursor};
use windlass_project::graph::Stage;
use windlass_project::spec::source::{PinAt, SourceKind};
use windlass_project::spec::table::{Incremental, Materialize};

use super::{PlanError, PlanRequest, QueryInputs, table_location};

/// How many tables are looked at side by side.
const AT_ONCE: usize = 8;

/// What a stage reads, as far as cursors are concerned.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    /// A Delta table, as a run would pin it now; none if it is not there yet.
    Table(Option<Pin>),
    /// Files, which have no versions.
    Files,
}

/// What the named sources and stages are, by name.
pub(crate) type Upstreams = BTreeMap<NodeName, Upstream>;

/// How far the stages' tables have come, with the cursors of those that are incremental. `only` one stage, if given.
///
/// # Errors
/// [`PlanError::Pin`] if a table is there and cannot be read, [`PlanError::Location`] for a location that cannot be used.
pub async fn cursors(
    request: &PlanRequest,
    sessions: &Sessions,
    only: Option<&NodeName>,
) -> Result<Vec<CursorStatus>, PlanError> {
    let graph = &request.graph;
    let stages: Vec<&Stage> = graph
        .stages
        .iter()
        .filter(|stage| stage.materialize == Materialize::Table && only.is_none_or(|only| stage.name == *only))
        .collect();
    let incremental = |stage: &&&Stage| stage.table.incremental != Incremental::Off || only.is_some();
    let read: BTreeSet<NodeName> = stages
        .iter()
        .filter(incremental)
        .flat_map(|stage| QueryInputs::lasting(graph, &stage.reads).base_tables)
        .collect();
    let upstreams = &look_at(request, sessions, read).await?;
    let looked_at: Vec<_> = stages
        .into_iter()
        .map(|stage| async move {
            let base_tables = QueryInputs::lasting(graph, &stage.reads).base_tables;
            let memory = memory_of(request, sessions, stage, upstreams).await?;
            Ok::<_, PlanError>(status(request, stage, &base_tables, memory, upstreams))
        })
        .collect();
    stream::iter(looked_at).buffered(AT_ONCE).try_collect().await
}

/// Pins the Delta tables among `names`.
pub(crate) async fn look_at(
    request: &PlanRequest,
    sessions: &Sessions,
    names: BTreeSet<NodeName>,
) -> Result<Upstreams, PlanError> {
    let looked_at: Vec<_> = names
        .into_iter()
        .map(|name| async move {
            let upstream = upstream(request, sessions, &name).await?;
            Ok::<_, PlanError>((name, upstream))
        })
        .collect();
    stream::iter(looked_at).buffer_unordered(AT_ONCE).try_collect().await
}

async fn upstream(request: &PlanRequest, sessions: &Sessions, name: &NodeName) -> Result<Upstream, PlanError> {
    let graph = &request.graph;
    let (location, at) = match (graph.sources.get(name).map(|source| &source.kind), graph.stage(name)) {
        (Some(SourceKind::Delta(source)), _) => {
            let location = request.base.resolve(&source.location);
            (location.map_err(|source| PlanError::Location { node: name.clone(), source })?, source.pin)
        }
        (Some(_), _) => return Ok(Upstream::Files),
        (None, Some(stage)) => (table_location(request, stage)?, PinAt::Latest),
        (None, None) => return Err(PlanError::unknown(name, graph)),
    };
    let pinned = async {
        let table = pin(&location, at, sessions.stores()).await?;
        check_built(&table, sessions.stores()).await?;
        Ok(table.pin())
    };
    match pinned.await {
        Ok(pin) => Ok(Upstream::Table(Some(pin))),
        Err(error) if DeltaError::is_not_built(&error) => Ok(Upstream::Table(None)),
        Err(source) => Err(PlanError::Pin { node: name.clone(), source }),
    }
}

/// What the stage's table remembers; `None` if there is no table.
pub(crate) async fn memory_of(
    request: &PlanRequest,
    sessions: &Sessions,
    stage: &Stage,
    upstreams: &Upstreams,
) -> Result<Option<TableProgress>, PlanError> {
    let mut question = CursorQuery::default();
    for name in QueryInputs::lasting(&request.graph, &stage.reads).base_tables {
        match upstreams.get(&name) {
            Some(Upstream::Table(Some(pin))) => question.sources.push((name, pin.table_id.clone())),
            Some(Upstream::Files) => question.files.push(name),
            _ => {}
        }
    }
    let app_id = AppId::of(&request.graph.name, &stage.name);
    read_progress(&table_location(request, stage)?, &app_id, &question, sessions.stores())
        .await
        .map_err(|source| PlanError::Pin { node: stage.name.clone(), source })
}

fn status(
    request: &PlanRequest,
    stage: &Stage,
    base_tables: &BTreeSet<NodeName>,
    memory: Option<TableProgress>,
    upstreams: &Upstreams,
) -> CursorStatus {
    let sources =
        base_tables.iter().filter_map(|name| Some(source_cursor(name, upstreams.get(name)?, memory.as_ref())));
    CursorStatus {
        stage: stage.name.clone(),
        app_id: AppId::of(&request.graph.name, &stage.name),
        last_run: memory.as_ref().and_then(|memory| memory.last_run),
        version: memory.as_ref().map(|memory| memory.version),
        sources: match stage.table.incremental {
            Incremental::Off => sources.filter(|cursor| cursor.version.is_some()).collect(),
            Incremental::Auto | Incremental::Strict => sources.collect(),
        },
    }
}

fn source_cursor(name: &NodeName, upstream: &Upstream, memory: Option<&TableProgress>) -> SourceCursor {
    let mut cursor = SourceCursor { source: name.clone(), table_id: None, version: None, behind: None };
    match upstream {
        Upstream::Files => cursor.version = memory.and_then(|memory| memory.files.get(name).copied()),
        Upstream::Table(None) => {}
        Upstream::Table(Some(pin)) => {
            let key = (name.clone(), pin.table_id.clone());
            cursor.version = memory.and_then(|memory| memory.sources.get(&key).copied());
            let taken_in = cursor.version.and_then(|version| u64::try_from(version).ok());
            cursor.behind = taken_in.map(|version| pin.version.0.saturating_sub(version));
            cursor.table_id = Some(pin.table_id.clone());
        }
    }
    cursor
}
