//! A turn: every table looked at, decided about and worked on, one after the other.
//!
//! ```text
//! per table: lease ─ facts, holds ─plan→ rewrites, checkpoint ─ facts, holds ─plan→ vacuum, log ─→ TableMaintenance
//! ```
//!
//! Removals are planned anew after the rewrites, so that they know the versions that these have made.

use chrono::Utc;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use windlass_base::error::{Coded, Failure};
use windlass_delta::maintenance::{TableFacts, table_facts};
use windlass_delta::pin::PinnedTable;
use windlass_evidence::artifact::{
    ActionOutcome, KeptVersion, MAINTENANCE_FORMAT, MaintenanceAction, MaintenanceEvent, MaintenanceKind,
    MaintenanceRecord, PinHolder, TableMaintenance, TableSize,
};

use super::MaintainError;
use super::action::ActionContext;
use super::gate::{TableLease, leave_mark, table_key};
use super::holds::Holds;
use super::plan::{MaintenanceFacts, PlannedAction, TablePlan, Work, plan};
use super::tables::{self, Maintained};
use super::turns::Origin;
use crate::Scheduler;
use crate::plan::PlanRequest;
use crate::record::{BundleStore, TableMemory};
use crate::run::Leases;

/// What to maintain, and how.
#[derive(Debug, Clone)]
pub struct MaintainRequest {
    /// The project, its target and the selection; its run is the turn.
    pub plan: PlanRequest,
    /// The only kinds of actions that are wanted; all if empty.
    pub only: Vec<MaintenanceKind>,
    /// Decide, and do nothing.
    pub dry_run: bool,
}

/// Maintains the tables of a pipeline. Every step goes to `watcher` as it is done; `cancel` stops the turn between two
/// steps, and what was done stands.
///
/// An action that fails is no error here: the record tells of it.
///
/// # Errors
/// [`MaintainError::Run`] while a run of the pipeline is active or another process writes to the home; the others if the
/// project cannot be selected from, or what keeps versions cannot be read.
pub async fn maintain(
    scheduler: &Scheduler,
    request: MaintainRequest,
    watcher: UnboundedSender<MaintenanceEvent>,
    cancel: CancellationToken,
) -> Result<MaintenanceRecord, MaintainError> {
    maintain_as(Origin::Asked, scheduler, request, watcher, cancel).await
}

/// As [`maintain`], by its origin.
pub(super) async fn maintain_as(
    origin: Origin,
    scheduler: &Scheduler,
    request: MaintainRequest,
    watcher: UnboundedSender<MaintenanceEvent>,
    cancel: CancellationToken,
) -> Result<MaintenanceRecord, MaintainError> {
    let stop = cancel.child_token();
    let tables = tables::chosen(&request.plan)?;
    let mut turn = Turn {
        scheduler,
        holds: None,
        budget: request.plan.graph.stages.first().and_then(|stage| request.plan.graph.maintenance_of(stage).max_bytes),
        request: &request,
        bundles: BundleStore::open(scheduler.sessions.stores(), request.plan.home.root())?,
        watcher,
        cancel: stop.clone(),
    };
    if request.dry_run {
        return turn.run(tables).await;
    }
    let plan = &request.plan;
    let listed = scheduler.turns.list(&plan.run, &plan.graph.name, origin, stop.clone());
    let leases = match origin {
        Origin::AfterRun => Leases::take(scheduler, plan, origin.note(), stop).await?,
        // Somebody waits for it: a turn that merely follows a run leaves off.
        Origin::Asked => Leases::take_before(Origin::AfterRun, scheduler, plan, origin.note(), stop).await?,
    };
    let record = turn.run(tables).await;
    leases.release().await;
    // Only now may a run that waits for the end of the turn take the leases.
    drop(listed);
    record
}

/// A turn under way.
struct Turn<'t> {
    scheduler: &'t Scheduler,
    request: &'t MaintainRequest,
    bundles: BundleStore,
    watcher: UnboundedSender<MaintenanceEvent>,
    cancel: CancellationToken,
    /// Bytes that may still be rewritten.
    budget: Option<u64>,
    /// What keeps versions; nothing until the first table is looked at.
    holds: Option<Holds>,
}

/// A table as it was looked at, and what is decided about it.
struct Looked {
    facts: TableFacts,
    pinned: PinnedTable,
    plan: TablePlan,
}

impl Turn<'_> {
    async fn run(&mut self, tables: Vec<Maintained>) -> Result<MaintenanceRecord, MaintainError> {
        let mut record = MaintenanceRecord {
            format: MAINTENANCE_FORMAT,
            turn: self.request.plan.run.clone(),
            pipeline: self.request.plan.graph.name.clone(),
            dry_run: self.request.dry_run,
            started_at: Utc::now(),
            ended_at: None,
            stopped: false,
            tables: Vec::new(),
        };
        for table in tables {
            if self.cancel.is_cancelled() {
                break;
            }
            record.tables.extend(self.table(&table).await);
            if !self.request.dry_run {
                // A turn that is cut off leaves what it has done until then.
                self.bundles.write_maintenance(&record).await?;
            }
        }
        record.ended_at = Some(Utc::now());
        record.stopped = self.cancel.is_cancelled();
        if !self.request.dry_run {
            self.bundles.write_maintenance(&record).await?;
        }
        Ok(record)
    }

    /// What becomes of a table; `None` if it was never made.
    async fn table(&mut self, table: &Maintained) -> Option<TableMaintenance> {
        let empty = || TableMaintenance {
            table: table.name.clone(),
            location: table.location.to_string(),
            before: TableSize::default(),
            after: None,
            actions: Vec::new(),
            kept: Vec::new(),
            failure: None,
        };
        let outcome = match self.request.dry_run {
            true => self.planned(table).await,
            false => self.maintained(table).await,
        };
        match outcome {
            Ok(done) => done,
            Err(error) => Some(TableMaintenance { failure: Some(error.to_failure()), ..empty() }),
        }
    }

    async fn planned(&mut self, table: &Maintained) -> Result<Option<TableMaintenance>, MaintainError> {
        let memory = self.bundles.table_memory(&table_key(&table.location)).await?;
        let Some(looked) = self.look(table, &memory).await? else { return Ok(None) };
        self.tell_planned(table, &looked.plan);
        Ok(Some(record_of(table, &looked)))
    }

    async fn maintained(&mut self, table: &Maintained) -> Result<Option<TableMaintenance>, MaintainError> {
        // A step ends when the lease is lost.
        let lost = self.cancel.child_token();
        let (turn, location) = (&self.request.plan.run, &table.location);
        let lease = TableLease::take(self.scheduler, location, turn, "windlass maintain", lost.clone()).await?;
        let lease = lease.map_err(|held| MaintainError::Held { table: table.name.clone(), held: Box::new(held) })?;
        let done = self.work(table, &lost).await;
        // As long as the lease is in force, so that a run sees one or the other.
        let marked = leave_mark(self.scheduler, turn).await;
        lease.release().await;
        marked?;
        done
    }

    /// Works on a table whose lease is taken.
    async fn work(
        &mut self,
        table: &Maintained,
        cancel: &CancellationToken,
    ) -> Result<Option<TableMaintenance>, MaintainError> {
        let key = table_key(&table.location);
        let mut memory = self.bundles.table_memory(&key).await?;
        let Some(mut looked) = self.look(table, &memory).await? else { return Ok(None) };
        self.tell_planned(table, &looked.plan);
        let mut record = record_of(table, &looked);
        let mut has_changed = false;
        for (place, step) in looked.plan.steps.clone().into_iter().enumerate() {
            let removes = step.action.kind.removes();
            if removes && has_changed {
                break;
            }
            let Some(work) = &step.work else { continue };
            let outcome = self.perform(table, &looked, cancel, &step, work, &mut memory).await;
            has_changed |= outcome.version.is_some();
            if let Some(action) = record.actions.get_mut(place) {
                action.outcome = Some(outcome);
            }
        }
        if has_changed {
            // The rewrites have made versions that the removals have to know.
            // What was done stands, whatever cannot be found out afterwards.
            looked = match self.look(table, &memory).await {
                Ok(Some(again)) => again,
                Ok(None) => return Ok(Some(record)),
                Err(error) => return Ok(Some(TableMaintenance { failure: Some(error.to_failure()), ..record })),
            };
            record.kept.clone_from(&looked.plan.kept);
            record.actions.retain(|action| !action.kind.removes());
            for step in looked.plan.steps.clone().into_iter().filter(|step| step.action.kind.removes()) {
                let outcome = match &step.work {
                    Some(work) => Some(self.perform(table, &looked, cancel, &step, work, &mut memory).await),
                    None => None,
                };
                record.actions.push(MaintenanceAction { outcome, ..step.action });
            }
        }
        if let Err(error) = self.bundles.write_table_memory(&key, &memory).await {
            tracing::warn!(%error, table = %table.name, "it is not remembered what was done; the next turn looks at more");
        }
        if record.actions.iter().any(|action| action.outcome.is_some()) {
            match self.look(table, &memory).await {
                Ok(looked) => record.after = looked.map(|looked| size(&looked.facts)),
                Err(error) => record.failure = Some(error.to_failure()),
            }
        }
        Ok(Some(record))
    }

    async fn perform(
        &mut self,
        table: &Maintained,
        looked: &Looked,
        cancel: &CancellationToken,
        step: &PlannedAction,
        work: &Work,
        memory: &mut TableMemory,
    ) -> ActionOutcome {
        let context = ActionContext {
            scheduler: self.scheduler,
            turn: &self.request.plan.run,
            table,
            pinned: &looked.pinned,
            watcher: &self.watcher,
            cancel,
        };
        let outcome = context.perform(&step.action, work, memory).await;
        if let (Some(budget), Work::Rewrite(_)) = (&mut self.budget, work) {
            *budget = budget.saturating_sub(outcome.bytes_removed);
        }
        outcome
    }

    /// Looks at a table and decides about it; `None` if there is none.
    async fn look(&mut self, table: &Maintained, memory: &TableMemory) -> Result<Option<Looked>, MaintainError> {
        let stores = self.scheduler.sessions.stores();
        let now = Utc::now();
        let Some((facts, pinned)) = table_facts(&table.location, &table.app_id, stores).await? else {
            return Ok(None);
        };
        let mut holds = match self.holds.take() {
            Some(holds) => holds,
            None => Holds::of_project(self.scheduler, &self.request.plan).await?,
        };
        holds.refresh(self.scheduler).await?;
        let mut held = holds.of(&table.location, &table.policy.keep, now);
        self.holds = Some(holds);
        if let Some(version) = facts.log.last_run.filter(|_| facts.log.changed_since) {
            held.push(KeptVersion { version, and_later: true, by: PinHolder::Cursor { stage: table.name.clone() } });
        }
        let mut plan = plan(&MaintenanceFacts {
            table: &facts,
            policy: &table.policy,
            held: &held,
            target_file_bytes: table
                .target_file_bytes
                .unwrap_or_else(|| pinned.write_spec(table.name.as_str()).target_file_bytes),
            last_full_vacuum: memory.last_full_vacuum,
            budget: self.budget,
            now,
        });
        let only = &self.request.only;
        plan.steps.retain(|step| only.is_empty() || only.iter().any(|kind| kind.includes(step.action.kind)));
        Ok(Some(Looked { facts, pinned, plan }))
    }

    fn tell_planned(&self, table: &Maintained, plan: &TablePlan) {
        let due = plan.steps.iter().filter(|step| step.work.is_some()).count() as u64;
        let _ = self.watcher.send(MaintenanceEvent::Planned { table: table.name.clone(), due });
    }
}

fn record_of(table: &Maintained, looked: &Looked) -> TableMaintenance {
    TableMaintenance {
        table: table.name.clone(),
        location: table.location.to_string(),
        before: size(&looked.facts),
        after: None,
        actions: looked.plan.steps.iter().map(|step| step.action.clone()).collect(),
        kept: looked.plan.kept.clone(),
        failure: None::<Failure>,
    }
}

fn size(facts: &TableFacts) -> TableSize {
    TableSize {
        version: facts.version,
        files: facts.files.len() as u64,
        bytes: facts.files.iter().map(|file| file.bytes).sum(),
        with_deletion_vector: facts.files.iter().filter(|file| file.deleted_rows.is_some()).count() as u64,
        commits: facts.log.commits.len() as u64,
        log_bytes: facts.log.bytes,
    }
}
