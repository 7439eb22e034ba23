//! One action on one table, done.

use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use windlass_base::error::Failure;
use windlass_base::failpoint;
use windlass_base::ids::RunId;
use windlass_delta::maintenance::{Candidates, Removed, checkpoint, clean_log, find_garbage, remove};
use windlass_delta::pin::PinnedTable;
use windlass_evidence::artifact::{ActionOutcome, MaintenanceAction, MaintenanceEvent};

use super::error::ActionError;
use super::plan::{Vacuum, Work};
use super::rewrite::{Rewriter, commit_info};
use super::tables::Maintained;
use crate::Scheduler;
use crate::record::TableMemory;

/// What actions on a table need.
pub(super) struct ActionContext<'t> {
    pub(super) scheduler: &'t Scheduler,
    pub(super) turn: &'t RunId,
    pub(super) table: &'t Maintained,
    /// The table as it was when the action was planned.
    pub(super) pinned: &'t PinnedTable,
    pub(super) watcher: &'t UnboundedSender<MaintenanceEvent>,
    pub(super) cancel: &'t CancellationToken,
}

impl ActionContext<'_> {
    /// Does an action. What it has remembered of the table goes into `memory`.
    pub(super) async fn perform(
        &self,
        action: &MaintenanceAction,
        work: &Work,
        memory: &mut TableMemory,
    ) -> ActionOutcome {
        let (table, kind) = (&self.table.name, action.kind);
        self.tell(MaintenanceEvent::Started {
            table: table.clone(),
            action: kind,
            files: action.files,
            bytes: action.bytes,
        });
        let started = Instant::now();
        let mut outcome = ActionOutcome::default();
        let done = match self.cancel.is_cancelled() {
            true => Err(self.stopped()),
            false => self.do_work(action, work, memory, &mut outcome).await,
        };
        outcome.failure = done.err();
        outcome.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tell(MaintenanceEvent::Ended { table: table.clone(), action: kind, outcome: outcome.clone() });
        outcome
    }

    async fn do_work(
        &self,
        action: &MaintenanceAction,
        work: &Work,
        memory: &mut TableMemory,
        outcome: &mut ActionOutcome,
    ) -> Result<(), Failure> {
        let stores = self.scheduler.sessions.stores();
        let location = &self.table.location;
        match work {
            Work::Rewrite(rewrite) => {
                let rewriter = Rewriter {
                    scheduler: self.scheduler,
                    name: &self.table.name,
                    table: self.pinned,
                    info: commit_info(self.turn.as_str(), &action.reason),
                    cancel: self.cancel,
                };
                let (table, kind, of) = (self.table.name.clone(), action.kind, rewrite.bins.len() as u64);
                let progress = |done| {
                    self.tell(MaintenanceEvent::Progress { table: table.clone(), action: kind, done, of });
                };
                rewriter.run(rewrite, outcome, progress).await
            }
            Work::Checkpoint(version) => {
                failpoint!("maintain.checkpoint.before");
                checkpoint(location, *version, stores).await?;
                failpoint!("maintain.checkpoint.after");
                outcome.files_added = 1;
                Ok(())
            }
            Work::Vacuum(vacuum) => self.vacuum(vacuum, memory, outcome).await,
            Work::CleanLog(before) => {
                failpoint!("maintain.clean_log.before");
                let removed = clean_log(location, *before, stores, self.cancel).await?;
                failpoint!("maintain.clean_log.after");
                self.note_removed(removed, outcome)
            }
        }
    }

    async fn vacuum(
        &self,
        vacuum: &Vacuum,
        memory: &mut TableMemory,
        outcome: &mut ActionOutcome,
    ) -> Result<(), Failure> {
        let stores = self.scheduler.sessions.stores();
        let location = &self.table.location;
        let candidates = match vacuum.unnamed_before {
            Some(unnamed_before) => Candidates::Listed { unnamed_before },
            None => Candidates::Named { after: memory.vacuumed_through },
        };
        let garbage = find_garbage(location, &vacuum.retained, candidates, stores).await?;
        failpoint!("maintain.vacuum.before");
        let removed = remove(location, &garbage, stores, self.cancel).await?;
        failpoint!("maintain.vacuum.after");
        let was_complete = removed.failed.is_none() && !self.cancel.is_cancelled();
        self.note_removed(removed, outcome)?;
        if was_complete {
            if let Some(listed) = vacuum.unnamed_before {
                // Later files may be removed a retention later: from now on, not from then on.
                memory.last_full_vacuum = Some(chrono::Utc::now().max(listed));
            }
            // What a single version keeps is looked at again.
            if vacuum.retained.versions.is_empty() {
                memory.vacuumed_through = Some(vacuum.retained.since);
            }
        }
        Ok(())
    }

    fn note_removed(&self, removed: Removed, outcome: &mut ActionOutcome) -> Result<(), Failure> {
        outcome.files_removed += removed.files;
        outcome.bytes_removed += removed.bytes;
        if let Some((count, reason)) = removed.failed {
            return Err(ActionError::NotRemoved { table: self.table.name.clone(), files: count, reason }.into());
        }
        match self.cancel.is_cancelled() {
            true => Err(self.stopped()),
            false => Ok(()),
        }
    }

    fn stopped(&self) -> Failure {
        ActionError::Stopped { table: self.table.name.clone() }.into()
    }

    fn tell(&self, event: MaintenanceEvent) {
        // Nobody has to listen.
        let _ = self.watcher.send(event);
    }
}
