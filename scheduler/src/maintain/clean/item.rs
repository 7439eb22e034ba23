//! Something that was found in a home, and how it is removed.

use std::path::PathBuf;

use windlass_base::error::Coded;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::{CleanItem, CleanKind, RunLayout};
use windlass_storage::Location;

use super::error::CleanError;
use super::folder::{self, Size};
use super::local;
use crate::Scheduler;
use crate::run::drive::event_log;
use crate::state::{Lease, LeaseView, Revision};

/// Something that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: CleanKind,
    pub(super) name: String,
    pub(super) location: String,
    pub(super) size: Size,
    /// Why it is not needed, or why it stays.
    pub(super) reason: String,
    /// How it is removed; `None` if it is listed only.
    pub(super) remove: Option<Remove>,
}

/// How something is removed.
#[derive(Debug)]
pub(super) enum Remove {
    /// The bundle of a run of a home.
    Bundle { home: Location, run: RunId },
    /// A folder.
    Folder(Location),
    /// The schedule and the events of a run.
    Events(RunId),
    /// A lease.
    Lease(LeaseView),
    /// The work folder of a process that is gone.
    WorkFolder(PathBuf),
    /// A folder of spilled files.
    Spill(PathBuf),
    /// A Delta table.
    Table(Location),
}

impl Found {
    /// What is reported of it before anything is removed.
    pub(super) fn item(&self) -> CleanItem {
        CleanItem {
            kind: self.kind,
            name: self.name.clone(),
            location: self.location.clone(),
            files: self.size.files,
            bytes: self.size.bytes,
            reason: self.reason.clone(),
            due: self.remove.is_some(),
            removed: false,
            failure: None,
        }
    }
}

impl Remove {
    /// Removes it, and says how that ended in `item`.
    pub(super) async fn perform(self, scheduler: &Scheduler, item: &mut CleanItem) {
        match self.remove(scheduler).await {
            Ok(removed) => item.removed = removed,
            Err(error) => {
                tracing::warn!(%error, location = %item.location, "what is not needed any more cannot be removed");
                item.failure = Some(error.to_failure());
            }
        }
    }

    /// Whether it was removed; not if somebody has come to need it.
    async fn remove(self, scheduler: &Scheduler) -> Result<bool, CleanError> {
        let stores = scheduler.sessions.stores();
        let state = scheduler.state.as_ref();
        match self {
            Self::Bundle { home, run } => folder::remove_bundle(stores, &home, &RunLayout::new(run)).await?,
            Self::Folder(location) => folder::remove(stores, &location).await?,
            Self::Table(location) => folder::remove_table(stores, &location).await?,
            Self::Events(run) => event_log::remove(state, &run).await.map_err(|error| CleanError::NotRemoved {
                location: format!("runs/{run}/"),
                reason: windlass_base::error::full_message(&error),
            })?,
            Self::Lease(LeaseView { name, holder, since, expires_at, .. }) => {
                // Of this one only name and holder count: one that another has taken since is left to it.
                state.release_lease(&Lease { name, holder, since, expires_at, revision: Revision(0) }).await?;
            }
            Self::WorkFolder(path) => return local::remove_work_folder(&path),
            Self::Spill(path) => local::remove_spill(&path)?,
        }
        Ok(true)
    }
}
