//! The tables of a home that no stage of the project writes, and whose they are.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use windlass_base::error::full_message;
use windlass_base::ids::{AppId, NodeName, PipelineName, RunId};
use windlass_delta::cursor::{CursorQuery, applications, read_progress};
use windlass_evidence::artifact::{CleanKind, VersionMark};
use windlass_evidence::bundle::BundleReader;
use windlass_project::expect::QUARANTINE_SUFFIX;
use windlass_project::spec::table::Materialize;
use windlass_storage::{Location, Stores};

use super::error::CleanError;
use super::folder::{children, size};
use super::item::{Found, Remove};
use crate::plan::quarantine::quarantine_location;
use crate::plan::{PlanRequest, table_location};

/// In so many of a table's newest commits is looked for who writes to it.
const COMMITS: u64 = 100;

/// Whose a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    /// Runs of the project's pipeline alone have committed to it.
    Pipeline,
    /// Runs of another pipeline have, or another program.
    Other(String),
    /// It cannot be told, and why.
    Unknown(String),
}

/// What may need a table although no stage writes it.
pub(super) struct Readers<'r> {
    /// What runs have pinned.
    pub(super) bundles: &'r BundleReader,
    /// The active runs.
    pub(super) active: &'r BTreeSet<RunId>,
    /// The pins and tags of the home.
    pub(super) marks: Vec<VersionMark>,
    /// The time.
    pub(super) now: DateTime<Utc>,
}

impl Readers<'_> {
    /// Who needs a table, in words that follow `but`.
    async fn of(&self, table: &Location) -> Option<String> {
        let place = table.to_string();
        let counts = |mark: &&VersionMark| mark.expires_at.is_none_or(|until| until > self.now);
        if let Some(mark) = self.marks.iter().filter(counts).find(|mark| mark.location == place) {
            let what = if mark.tag { "tag" } else { "pin" };
            return Some(format!("the {what} `{}` keeps a version of it", mark.name));
        }
        let run = read_by(table, self.bundles, self.active).await?;
        Some(format!("run {run}, which is active, reads it"))
    }
}

/// The runs that committed last to the tables of the project and their quarantines. `None` if a log cannot be read.
pub(super) async fn last_runs(request: &PlanRequest, stores: &Stores) -> Result<Option<BTreeSet<RunId>>, CleanError> {
    let mut runs = BTreeSet::new();
    for stage in request.graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table) {
        let app_id = AppId::of(&request.graph.name, &stage.name);
        let location = table_location(request, stage)?;
        match read_progress(&location, &app_id, &CursorQuery::default(), stores).await {
            Ok(progress) => runs.extend(progress.and_then(|progress| progress.run_id)),
            Err(error) => {
                tracing::warn!(%error, stage = %stage.name, "it is not known which run committed last to a table");
                return Ok(None);
            }
        }
    }
    Ok(Some(runs))
}

/// The tables in the home that no stage of the project writes and none of its sources reads. Removed are, with `remove`,
/// those that are this pipeline's alone and that no active run, pin or tag needs.
pub(super) async fn orphans(
    request: &PlanRequest,
    stores: &Stores,
    readers: &Readers<'_>,
    remove: bool,
) -> Result<Vec<Found>, CleanError> {
    let folder = request.home.tables();
    let named = named(request)?;
    let mut found = Vec::new();
    for name in children(stores, &folder).await? {
        let table = folder.join(&name);
        let real = table.real();
        if named.iter().any(|location| location.touches(&real)) {
            continue;
        }
        let owner = owner(&table, &name, &request.graph.name, stores).await;
        let (reason, due) = verdict(&name, &owner, readers.of(&table).await, remove);
        found.push(Found {
            kind: CleanKind::Table,
            location: table.to_string(),
            size: size(stores, &table).await?,
            reason,
            remove: due.then_some(Remove::Table(table)),
            name,
        });
    }
    Ok(found)
}

/// The locations that the project names, whatever its target makes of a stage; links are followed.
fn named(request: &PlanRequest) -> Result<Vec<Location>, CleanError> {
    let graph = &request.graph;
    let mut named = Vec::new();
    for stage in &graph.stages {
        named.push(request.home.table(&stage.name));
        if stage.materialize == Materialize::Table {
            named.push(table_location(request, stage)?);
        }
        if graph.quarantine(stage).is_some() {
            named.push(request.home.table(&stage.name).beside(QUARANTINE_SUFFIX));
            named.push(quarantine_location(request, stage)?);
        }
    }
    let sources = graph.sources.values().filter_map(|source| source.kind.location());
    // What cannot be resolved lies nowhere in the home; a run tells of it.
    named.extend(sources.filter_map(|location| request.base.resolve(location).ok()));
    Ok(named.iter().map(Location::real).collect())
}

/// Whose a table is, by its log.
async fn owner(table: &Location, name: &str, pipeline: &PipelineName, stores: &Stores) -> Owner {
    let unknown = |error: &windlass_delta::DeltaError| {
        Owner::Unknown(format!("whose it is cannot be told: {}", full_message(error)))
    };
    let found = match applications(table, COMMITS, stores).await {
        Ok(Some(found)) => found,
        Ok(None) => return Owner::Unknown("it is not a Delta table".to_owned()),
        Err(error) => return unknown(&error),
    };
    if !found.is_empty() {
        return owner_of(&found, pipeline);
    }
    // The commits of runs may be gone; the checkpoint still has their transactions.
    let stage = NodeName::new(name.strip_suffix(QUARANTINE_SUFFIX).unwrap_or(name));
    match read_progress(table, &AppId::of(pipeline, &stage), &CursorQuery::default(), stores).await {
        Ok(Some(progress)) if progress.last_run.is_some() => Owner::Pipeline,
        Ok(_) => Owner::Unknown("no run of the pipeline is in its log".to_owned()),
        Err(error) => unknown(&error),
    }
}

fn owner_of(applications: &BTreeSet<AppId>, pipeline: &PipelineName) -> Owner {
    for application in applications {
        match application.as_str().split_once('/') {
            Some((of, _)) if of == pipeline.as_str() => {}
            Some((of, _)) => return Owner::Other(format!("runs of the pipeline `{of}` write to it")),
            None => return Owner::Other(format!("another program writes to it, as `{application}`")),
        }
    }
    Owner::Pipeline
}

/// The active run that has pinned a table.
async fn read_by(table: &Location, bundles: &BundleReader, active: &BTreeSet<RunId>) -> Option<RunId> {
    for run in active {
        // A run that has pinned nothing yet finds out for itself that a table is gone.
        let Ok(Some(pinned)) = bundles.pins(run).await else { continue };
        let root = std::path::Path::new("/");
        let mut locations = pinned.pins.iter().filter_map(|pin| Location::parse(&pin.location, root).ok());
        if locations.any(|location| location.touches(table)) {
            return Some(run.clone());
        }
    }
    None
}

/// What is said of a table, and whether it is removed.
fn verdict(name: &str, owner: &Owner, needed: Option<String>, remove: bool) -> (String, bool) {
    let what = match name.strip_suffix(QUARANTINE_SUFFIX) {
        Some(stage) => format!("the project has no stage `{stage}` with a quarantine any more"),
        None => format!("the project has no stage `{name}` any more"),
    };
    match (owner, needed) {
        (Owner::Pipeline, Some(why)) => (format!("{what}, but {why}"), false),
        (Owner::Pipeline, None) if remove => (what, true),
        (Owner::Pipeline, None) => (format!("{what}; only `--tables` removes it"), false),
        (Owner::Other(reason) | Owner::Unknown(reason), _) => (format!("stays: {reason}"), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_by(applications: &[&str]) -> Owner {
        owner_of(&applications.iter().map(|app| AppId::from(*app)).collect(), &"shop".into())
    }

    #[test]
    fn a_table_is_the_pipelines_if_nobody_else_commits_to_it() {
        assert_eq!(owner_by(&["shop/orders"]), Owner::Pipeline);
        assert_eq!(owner_by(&["shop/orders", "shop/former_name"]), Owner::Pipeline);
        for others in [&["shop/orders", "shops/orders"][..], &["other/orders"], &["shop/orders", "4f1c"]] {
            assert!(matches!(owner_by(others), Owner::Other(_)), "{others:?}");
        }
    }

    #[test]
    fn only_a_table_of_the_pipeline_is_removed_and_only_if_that_is_asked_for() {
        let tag = "the tag `paid` keeps a version of it".to_owned();
        let due = |owner: &Owner, needed: Option<String>, remove: bool| verdict("orders", owner, needed, remove).1;
        assert!(due(&Owner::Pipeline, None, true));
        assert!(!due(&Owner::Pipeline, None, false));
        assert!(!due(&Owner::Pipeline, Some(tag), true));
        assert!(!due(&Owner::Other("x".to_owned()), None, true));
        assert!(!due(&Owner::Unknown("x".to_owned()), None, true));
    }
}
