//! Setting a cursor by hand, which no run may be in the middle of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use windlass_base::coded;
use windlass_base::ids::{AppId, NodeName, TableVersion};
use windlass_base::suggest::did_you_mean;
use windlass_delta::cursor::reset_cursors;
use windlass_delta::cursor::{RESET, files_key, source_key};
use windlass_evidence::artifact::{CursorReset, CursorStatus};
use windlass_project::graph::Stage;
use windlass_project::spec::table::Materialize;

use crate::Scheduler;
use crate::maintain::Origin;
use crate::plan::cursor_status::{Upstream, Upstreams, cursors, look_at, memory_of};
use crate::plan::{PlanError, PlanRequest, QueryInputs, table_location};
use crate::run::{Leases, RunError};
use crate::state::ProcessIdentity;

/// Why a cursor is not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// A table cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A run of the pipeline is under way, or another reset, or another process writes to the home; or it cannot be told.
    #[error(transparent)]
    Busy(Box<RunError>),
    /// The stage keeps no table from run to run.
    #[error("`{stage}` has no cursors: it {why}")]
    NoTable {
        /// The stage.
        stage: NodeName,
        /// What keeps it from having any.
        why: &'static str,
    },
    /// The stage does not read that.
    #[error("`{stage}` does not read `{source_name}`")]
    NotRead {
        /// The stage.
        stage: NodeName,
        /// The source.
        source_name: NodeName,
        /// What it reads.
        help: Option<String>,
    },
    /// A version was given and it is not clear of which source, or the source has none.
    #[error("a version cannot be set: {why}")]
    NoVersion {
        /// Why not.
        why: String,
    },
    /// The source has no such version yet.
    #[error("`{source_name}` is at version {newest}, so version {wanted} cannot have been applied")]
    Beyond {
        /// The source.
        source_name: NodeName,
        /// The version asked for.
        wanted: TableVersion,
        /// Its version as a run would read it.
        newest: TableVersion,
    },
}

coded! {
    ResetError {
        Plan => inner;
        Busy => inner;
        NoTable { stage, why } => "WL0671", match why.contains("no table yet") {
            true => format!("run it first: `windlass run --select '+{stage}'`"),
            false => "`windlass cursors ls` lists the stages that have cursors".to_owned(),
        };
        NotRead { help } => "WL0672", help.as_deref().unwrap_or("it reads nothing that has versions or files");
        NoVersion => "WL0673", "name one Delta source with `--source`, or leave the version out";
        Beyond { newest } => "WL0674", format!("give a version up to {newest}");
    }
}

/// Sets cursors of a stage in a commit of its own on the stage's table, and gives what they say then. The next run applies
/// what lies behind them, or computes all rows if nothing counts as applied.
///
/// # Errors
/// [`ResetError::Busy`] while a run of the pipeline is under way; otherwise as the variants say.
pub async fn reset_cursor(
    scheduler: &Scheduler,
    request: &PlanRequest,
    reset: &CursorReset,
) -> Result<CursorStatus, ResetError> {
    let lost = CancellationToken::new();
    let leases = Leases::take_before(Origin::AfterRun, scheduler, request, "windlass cursors reset", lost).await;
    let leases = leases.map_err(|error| ResetError::Busy(error.into()))?;
    let outcome = reset_with_lease(scheduler, request, reset).await;
    // Trouble is in the log of the process: a reset that was made stands.
    leases.release().await;
    outcome
}

async fn reset_with_lease(
    scheduler: &Scheduler,
    request: &PlanRequest,
    reset: &CursorReset,
) -> Result<CursorStatus, ResetError> {
    let (graph, sessions) = (&request.graph, &scheduler.sessions);
    let stage = graph.stage(&reset.stage).ok_or_else(|| PlanError::unknown(&reset.stage, graph))?;
    let no_table = |why| ResetError::NoTable { stage: stage.name.clone(), why };
    match stage.materialize {
        Materialize::Table => {}
        Materialize::View => return Err(no_table("is a view")),
        Materialize::Cache => return Err(no_table("is a cache")),
    }
    let upstreams = look_at(request, sessions, chosen(request, stage, reset)?).await?;
    let marks = marks(&AppId::of(&graph.name, &stage.name), &upstreams, reset)?;
    let Some(memory) = memory_of(request, sessions, stage, &upstreams).await? else {
        return Err(no_table("has no table yet"));
    };
    if marks.is_empty() {
        return Err(no_table("reads neither a table that exists nor files"));
    }
    let location = table_location(request, stage)?;
    let info = BTreeMap::from([
        ("windlass.pipeline".to_owned(), json!(graph.name)),
        ("windlass.stage".to_owned(), json!(stage.name)),
        ("windlass.by".to_owned(), json!(ProcessIdentity::current().to_string())),
        ("windlass.reason".to_owned(), json!(reset.reason.as_deref().unwrap_or("asked for by hand"))),
        ("windlass.version".to_owned(), Value::from(env!("CARGO_PKG_VERSION"))),
    ]);
    let version = reset_cursors(&location, memory.version, &marks, &info, sessions.stores())
        .await
        .map_err(|source| PlanError::Write { stage: stage.name.clone(), source })?;
    tracing::info!(stage = %stage.name, %version, cursors = ?marks, "cursors were reset");
    let now = cursors(request, sessions, Some(&stage.name)).await?;
    now.into_iter().next().ok_or_else(|| no_table("is not a stage with a table"))
}

/// What the stage reads, or the one source of it that is meant.
fn chosen(request: &PlanRequest, stage: &Stage, reset: &CursorReset) -> Result<BTreeSet<NodeName>, ResetError> {
    let base_tables = QueryInputs::lasting(&request.graph, &stage.reads).base_tables;
    match &reset.source {
        None => Ok(base_tables),
        Some(source) if base_tables.contains(source) => Ok(BTreeSet::from([source.clone()])),
        Some(source) => Err(ResetError::NotRead {
            stage: stage.name.clone(),
            source_name: source.clone(),
            help: did_you_mean(source.as_str(), "it reads", base_tables.iter().map(NodeName::as_str)),
        }),
    }
}

/// The transactions that say what is to count as applied.
fn marks(app_id: &AppId, upstreams: &Upstreams, reset: &CursorReset) -> Result<BTreeMap<AppId, i64>, ResetError> {
    let Some(to) = reset.to else {
        let key = |(name, upstream): (&NodeName, &Upstream)| match upstream {
            Upstream::Table(Some(pin)) => Some((source_key(app_id, name, &pin.table_id), RESET)),
            Upstream::Table(None) => None,
            Upstream::Files => Some((files_key(app_id, name), RESET)),
        };
        return Ok(upstreams.iter().filter_map(key).collect());
    };
    let refused = |why: String| Err(ResetError::NoVersion { why });
    let mut all = upstreams.iter();
    match (all.next(), all.next()) {
        (Some((name, Upstream::Table(Some(pin)))), None) => {
            if to > pin.version {
                return Err(ResetError::Beyond { source_name: name.clone(), wanted: to, newest: pin.version });
            }
            // The version of a transaction is a signed number, and so is that of a table in every log there is.
            let version = i64::try_from(to.0).unwrap_or(i64::MAX);
            Ok(BTreeMap::from([(source_key(app_id, name, &pin.table_id), version)]))
        }
        (Some((name, Upstream::Table(None))), None) => refused(format!("`{name}` has no table yet")),
        (Some((name, Upstream::Files)), None) => refused(format!("`{name}` is made of files, which have no versions")),
        (Some(_), Some(_)) => refused("the stage reads more than one source".to_owned()),
        (None, _) => refused("the stage reads nothing".to_owned()),
    }
}
