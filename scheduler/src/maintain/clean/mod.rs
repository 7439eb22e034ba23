//! Cleaning a home: removes what grows besides its tables, and what killed processes have left.
//!
//! ```text
//! bundles: which are needed by nothing                               (bundles, pure)
//! state: events and leases of runs that nobody drives                (kept_state)
//! home: caches, tables of stages that no longer exist                (here, tables)
//! machine: work folders and spilled files                            (local)
//!     ─→ Found ─remove→ CleanItem                                    (item, folder)
//! ```
//!
//! A cleaning takes the leases of a run, so it never runs beside one of its pipeline, and all others that write to the home
//! are runs of this process, which are known. A dry run takes none, and writes nothing. Whatever is removed is removed in an
//! order in which a kill leaves nothing that is taken for whole: the next cleaning finds and removes the rest.

mod bundles;
mod error;
mod folder;
mod item;
mod kept_state;
mod local;
mod tables;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{CLEAN_FORMAT, CleanItem, CleanKind, CleanRecord, CleanTotals, RunLayout};
use windlass_evidence::bundle::{BundleReader, RecordError};
use windlass_project::graph::PipelineGraph;
use windlass_project::maintenance::{KeepPolicy, MaintenancePolicy};

pub use error::CleanError;

use self::bundles::{BundleChoice, BundleContent, BundleFacts, RunFacts, superfluous};
use self::item::{Found, Remove};
use super::Origin;
use crate::Scheduler;
use crate::plan::PlanRequest;
use crate::record::BundleStore;
use crate::run::Leases;
use crate::run::drive::caches;

/// How many bundles are read, and folders measured, side by side.
const AT_ONCE: usize = 8;

/// What to clean, and how.
#[derive(Debug, Clone)]
pub struct CleanRequest {
    /// The project and its home. The run in it is what holds the leases.
    pub plan: PlanRequest,
    /// Which runs keep their bundles.
    pub keep: KeepPolicy,
    /// Whether nothing is removed.
    pub dry_run: bool,
    /// Whether tables of stages that no longer exist are removed too.
    pub tables: bool,
    /// The folder of this machine that queries of the project spill to, if the project names one. Only for a project of
    /// this machine's own user.
    pub spill_dir: Option<PathBuf>,
}

/// What is kept of a project's runs, with what was asked for instead: what the policy of any of its tables keeps, since the
/// bundle of a run tells what the run has pinned.
pub fn keep_of(graph: &PipelineGraph, runs: Option<u64>, days: Option<u64>) -> KeepPolicy {
    let of_tables: Vec<KeepPolicy> = graph.stages.iter().map(|stage| graph.maintenance_of(stage).keep).collect();
    let default = MaintenancePolicy::default().keep;
    let most = |of: fn(&KeepPolicy) -> u64| of_tables.iter().map(of).max().unwrap_or(of(&default));
    KeepPolicy {
        runs: runs.unwrap_or_else(|| most(|keep| keep.runs)),
        days: days.unwrap_or_else(|| most(|keep| keep.days)),
        versions: Vec::new(),
    }
}

/// Finds what is not needed any more in the home of a project, and removes it unless that is a dry run. What cannot be
/// removed is no error: its item says why, and the next cleaning tries again.
///
/// # Errors
/// [`CleanError::Busy`] while a run of the pipeline is active or another process writes to the home,
/// [`CleanError::LeaseLost`] if another process came to do so meanwhile, and the others if the home, its state or its tables
/// cannot be read.
pub async fn clean(scheduler: &Scheduler, request: CleanRequest) -> Result<CleanRecord, CleanError> {
    if request.dry_run {
        let found = find(scheduler, &request, &BTreeSet::<RunId>::new).await?;
        return Ok(record(&request, found.iter().map(Found::item).collect()));
    }
    let lost = CancellationToken::new();
    let leases = Leases::take_before(Origin::AfterRun, scheduler, &request.plan, "windlass clean", lost.clone()).await;
    let leases = leases.map_err(|error| CleanError::Busy(error.into()))?;
    let outcome = clean_with_leases(scheduler, &request, &leases, &lost).await;
    // Trouble is in the log of the process: what was removed is removed.
    leases.release().await;
    outcome
}

async fn clean_with_leases(
    scheduler: &Scheduler,
    request: &CleanRequest,
    leases: &Leases,
    lost: &CancellationToken,
) -> Result<CleanRecord, CleanError> {
    let mut items = Vec::new();
    for found in find(scheduler, request, &|| leases.runs()).await? {
        let mut item = found.item();
        if let Some(remove) = found.remove {
            if lost.is_cancelled() {
                return Err(CleanError::LeaseLost { home: request.plan.home.root().to_string() });
            }
            remove.perform(scheduler, &mut item).await;
        }
        items.push(item);
    }
    Ok(record(request, items))
}

fn record(request: &CleanRequest, items: Vec<CleanItem>) -> CleanRecord {
    CleanRecord {
        format: CLEAN_FORMAT,
        pipeline: request.plan.graph.name.clone(),
        home: request.plan.home.root().to_string(),
        dry_run: request.dry_run,
        totals: CleanTotals::of(&items),
        items,
    }
}

/// Everything that is not needed any more. `writers` are the runs of this process that write to the home: they are asked for
/// after each listing, so that every run that had come to leaving something is among them.
async fn find(
    scheduler: &Scheduler,
    request: &CleanRequest,
    writers: &(dyn Fn() -> BTreeSet<RunId> + Send + Sync),
) -> Result<Vec<Found>, CleanError> {
    let (home, stores) = (&request.plan.home, scheduler.sessions.stores());
    let bundles = BundleStore::open(stores, home.root())?;
    let reader = BundleReader::new(Arc::new(bundles.clone()));
    let last_of_tables = tables::last_runs(&request.plan, stores).await?;
    let with_bundle = reader.run_ids().await?;
    let with_cache = caches::runs_with_cache(stores, &home.caches()).await;
    let with_cache = with_cache.map_err(|reason| folder::unlisted(&home.caches(), reason))?;
    let active = active(scheduler, writers).await?;

    let facts = facts(&reader, with_bundle, &active).await?;
    let mut found = old_bundles(scheduler, request, &facts, &active, last_of_tables.as_ref()).await?;
    let spared: BTreeSet<RunId> = active.union(&bundles::resumable(&facts)).cloned().collect();
    for run in with_cache.into_iter().filter(|run| RunId::parse(run.as_str()).is_ok() && !spared.contains(run)) {
        let location = home.cache(&run);
        found.push(Found {
            kind: CleanKind::Cache,
            name: run.to_string(),
            location: location.to_string(),
            size: folder::size(stores, &location).await?,
            reason: "the run has ended".to_owned(),
            remove: Some(Remove::Folder(location)),
        });
    }
    found.extend(kept_state::leftovers(scheduler.state.as_ref(), &spared, Utc::now()).await?);
    found.extend(local::work_folders(home)?);
    if let Some(folder) = &request.spill_dir {
        found.extend(local::spills(folder, SystemTime::now())?);
    }
    let readers = tables::Readers { bundles: &reader, active: &active, marks: bundles.marks().await?, now: Utc::now() };
    found.extend(tables::orphans(&request.plan, stores, &readers, request.tables).await?);
    Ok(found)
}

/// The runs that are under way: those of this process that write to the home, and those that hold a lease.
async fn active(
    scheduler: &Scheduler,
    writers: &(dyn Fn() -> BTreeSet<RunId> + Send + Sync),
) -> Result<BTreeSet<RunId>, CleanError> {
    let mut active = kept_state::holders(&scheduler.state.leases("").await?);
    active.extend(writers());
    Ok(active)
}

/// What is known of the folders of runs.
async fn facts(
    reader: &BundleReader,
    runs: Vec<RunId>,
    active: &BTreeSet<RunId>,
) -> Result<Vec<BundleFacts>, CleanError> {
    // Other folders are no runs.
    let runs = runs.into_iter().filter(|run| RunId::parse(run.as_str()).is_ok());
    let read = runs.map(|run| async move {
        let content = match reader.run(&run, active).await {
            Ok(record) => BundleContent::Run(RunFacts::of(record)),
            Err(error) if error.is_no_such_run() => BundleContent::Remains,
            Err(error @ (RecordError::Store { .. } | RecordError::Location(_))) => return Err(error),
            Err(_) => BundleContent::Unreadable,
        };
        Ok(BundleFacts { run, content })
    });
    let read: Vec<_> = read.collect();
    Ok(stream::iter(read).buffered(AT_ONCE).try_collect().await?)
}

/// The bundles that are not needed any more.
async fn old_bundles(
    scheduler: &Scheduler,
    request: &CleanRequest,
    facts: &[BundleFacts],
    active: &BTreeSet<RunId>,
    last_of_tables: Option<&BTreeSet<RunId>>,
) -> Result<Vec<Found>, CleanError> {
    let graph = &request.plan.graph;
    let stages: BTreeSet<NodeName> = graph.stages.iter().map(|stage| stage.name.clone()).collect();
    let choice = BundleChoice {
        pipeline: &graph.name,
        target: graph.target.as_deref(),
        stages: &stages,
        keep: &request.keep,
        active,
        last_of_tables,
        now: Utc::now(),
    };
    let (home, stores) = (request.plan.home.root(), scheduler.sessions.stores());
    let measured = superfluous(facts, &choice).into_iter().map(|(run, reason)| async move {
        let location = home.join(RunLayout::new(run.clone()).folder());
        Ok::<_, CleanError>(Found {
            kind: CleanKind::RunBundle,
            name: run.to_string(),
            location: location.to_string(),
            size: folder::size(stores, &location).await?,
            reason,
            remove: Some(Remove::Bundle { home: home.clone(), run }),
        })
    });
    let measured: Vec<_> = measured.collect();
    stream::iter(measured).buffered(AT_ONCE).try_collect().await
}
