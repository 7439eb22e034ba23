//! What keeps which versions of a pipeline's tables: active runs, kept runs, cursors, pins and tags.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use windlass_base::ids::{NodeName, PipelineName, RunId, TableVersion};
use windlass_evidence::artifact::{
    CursorStatus, KeptVersion, PinHolder, PinsRecord, RunRecord, RunStatus, VersionMark,
};
use windlass_evidence::bundle::{BundleReader, RecordError};
use windlass_project::maintenance::KeepPolicy;
use windlass_project::spec::table::Materialize;
use windlass_storage::Location;

use super::MaintainError;
use crate::Scheduler;
use crate::plan::{PlanRequest, cursors, table_location};
use crate::record::BundleStore;

/// Bundles that are read side by side.
const AT_ONCE: usize = 8;

/// Everything in a home that keeps versions, and the cursors of the project.
pub(super) struct Holds {
    bundles: BundleStore,
    runs: BTreeMap<RunId, Arc<PinnedRun>>,
    ended: EndedRuns,
    home: String,
    cursors: Vec<CursorStatus>,
    /// Where the tables are that cursors are about, by the names under which they are read.
    places: BTreeMap<NodeName, Location>,
    marks: Vec<VersionMark>,
    pipeline: PipelineName,
}

/// The root of a home and one of its runs.
type RunOfHome = (String, RunId);

/// Runs that have ended, as this process has read their bundles: these never change. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct EndedRuns {
    read: Arc<Mutex<HashMap<RunOfHome, Arc<PinnedRun>>>>,
}

/// A run with what it has pinned.
#[derive(Debug)]
struct PinnedRun {
    pipeline: PipelineName,
    started_at: DateTime<Utc>,
    active: bool,
    succeeded: bool,
    /// Whether its bundle is sealed. One that was interrupted may be continued.
    ended: bool,
    pins: PinsRecord,
}

impl Holds {
    /// What the cursors of the project keep. They do not move while the turn has the leases of a run.
    ///
    /// # Errors
    /// If a table cannot be read: then nothing can be told to be unneeded.
    pub(super) async fn of_project(scheduler: &Scheduler, request: &PlanRequest) -> Result<Self, MaintainError> {
        let graph = &request.graph;
        let stages = graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
        let places = stages.map(|stage| Ok((stage.name.clone(), table_location(request, stage)?)));
        Ok(Self {
            bundles: BundleStore::open(scheduler.sessions.stores(), request.home.root())?,
            runs: BTreeMap::new(),
            ended: scheduler.turns.ended.clone(),
            home: request.home.root().to_string(),
            cursors: cursors(request, &scheduler.sessions, None).await?,
            places: places.collect::<Result<_, MaintainError>>()?,
            marks: Vec::new(),
            pipeline: graph.name.clone(),
        })
    }

    /// Asks which runs and marks there are by now. A turn that changes a table asks while it has the table's lease. Runs
    /// that had ended are not read again.
    ///
    /// # Errors
    /// If the state or a bundle cannot be read.
    pub(super) async fn refresh(&mut self, scheduler: &Scheduler) -> Result<(), MaintainError> {
        self.marks = self.bundles.marks().await?;
        let leases = scheduler.state.leases("pipelines/").await?;
        let live: BTreeSet<RunId> =
            leases.into_iter().filter(|lease| lease.in_force).filter_map(|lease| lease.holder.run_id).collect();
        let reader = BundleReader::new(Arc::new(self.bundles.clone()));
        let mut run_ids: BTreeSet<RunId> = reader.run_ids().await?.into_iter().collect();
        run_ids.extend(live.iter().cloned());
        self.runs.retain(|run, known| run_ids.contains(run) && !known.active);
        let unread: Vec<RunId> = run_ids.into_iter().filter(|run| !self.runs.contains_key(run)).collect();
        let mut reads = Vec::new();
        for run in unread {
            let key = (self.home.clone(), run.clone());
            match self.ended.read.lock().get(&key) {
                Some(known) => drop(self.runs.insert(run, Arc::clone(known))),
                None => reads.push(pinned_run(&reader, run, &live)),
            }
        }
        let read: Vec<Option<(RunId, PinnedRun)>> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        for (run, pinned) in read.into_iter().flatten() {
            let pinned = Arc::new(pinned);
            if pinned.ended {
                self.ended.read.lock().insert((self.home.clone(), run.clone()), Arc::clone(&pinned));
            }
            self.runs.insert(run, pinned);
        }
        Ok(())
    }

    /// What keeps versions of the table at `location`.
    pub(super) fn of(&self, location: &Location, keep: &KeepPolicy, now: DateTime<Utc>) -> Vec<KeptVersion> {
        let mut held = self.of_runs(location, keep, now);
        held.extend(self.of_cursors(location));
        let marks = self.marks.iter().filter(|mark| mark.location == location.to_string());
        held.extend(marks.filter(|mark| mark.expires_at.is_none_or(|until| until > now)).map(|mark| {
            let name = mark.name.clone();
            let by = if mark.tag { PinHolder::Tag { name } } else { PinHolder::Pin { name } };
            KeptVersion { version: mark.version, and_later: false, by }
        }));
        held
    }

    fn of_runs(&self, location: &Location, keep: &KeepPolicy, now: DateTime<Utc>) -> Vec<KeptVersion> {
        let place = location.to_string();
        let days = i64::try_from(keep.days).ok().and_then(TimeDelta::try_days);
        let since = days.and_then(|days| now.checked_sub_signed(days)).unwrap_or(DateTime::<Utc>::MIN_UTC);
        // The newest first.
        let mut seen: BTreeMap<&PipelineName, u64> = BTreeMap::new();
        // Other pipelines that are known to have applied what they have read.
        let mut applied: BTreeSet<&PipelineName> = BTreeSet::new();
        let mut held = Vec::new();
        for (id, run) in self.runs.iter().rev() {
            let earlier = seen.entry(&run.pipeline).or_default();
            *earlier += 1;
            let versions = run.pins.pins.iter().filter(|pin| pin.location == place).filter_map(|pin| pin.version);
            let versions: Vec<TableVersion> = versions.collect();
            // What the last run of another pipeline that succeeded has read is about where its cursors are, which only its
            // own tables tell exactly.
            let and_later = run.pipeline != self.pipeline && !versions.is_empty() && !applied.contains(&run.pipeline);
            if and_later && run.succeeded {
                applied.insert(&run.pipeline);
            }
            let kept = run.active || *earlier <= keep.runs || (keep.days > 0 && run.started_at >= since) || and_later;
            if !kept {
                continue;
            }
            held.extend(versions.into_iter().map(|version| KeptVersion {
                version,
                and_later,
                by: match run.active {
                    true => PinHolder::ActiveRun { run: id.clone() },
                    false => PinHolder::KeptRun { run: id.clone() },
                },
            }));
        }
        held
    }

    /// What stages have yet to apply of the table.
    fn of_cursors(&self, location: &Location) -> Vec<KeptVersion> {
        let is_here = |name: &NodeName| self.places.get(name).is_some_and(|place| place == location);
        let mut held = Vec::new();
        for cursor in &self.cursors {
            let sources = cursor.sources.iter().filter(|source| is_here(&source.source));
            let versions = sources.filter_map(|source| u64::try_from(source.version?).ok());
            held.extend(versions.map(|version| KeptVersion {
                version: TableVersion(version),
                and_later: true,
                by: PinHolder::Cursor { stage: cursor.stage.clone() },
            }));
        }
        held
    }
}

/// A run with its pins; `None` if it has pinned nothing yet, or is none: turns of maintenance hold leases too.
async fn pinned_run(
    reader: &BundleReader,
    run: RunId,
    live: &BTreeSet<RunId>,
) -> Result<Option<(RunId, PinnedRun)>, MaintainError> {
    let record: RunRecord = match reader.run(&run, live).await {
        Ok(record) => record,
        Err(RecordError::NoSuchRun { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let pins = reader.pins(&run).await?.unwrap_or_default();
    let active = live.contains(&run);
    let succeeded = record.status == RunStatus::Succeeded;
    let ended = !active && record.status.is_over() && record.status != RunStatus::Interrupted;
    Ok(Some((
        run,
        PinnedRun { pipeline: record.pipeline, started_at: record.started_at, active, succeeded, ended, pins },
    )))
}
