//! The work on stages that takes random times and has random outcomes.

use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use tokio_util::sync::CancellationToken;
use windlass_base::error::Failure;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::StageReceipt;
use windlass_scheduler::clock::Clock;
use windlass_scheduler::run::drive::StageWork;
use windlass_scheduler::run::machine::{RunAction, RunEvent, RunState};
use windlass_scheduler::run::staged::Staged;

use super::faulty_store::FaultyStore;
use super::ledger::Notes;
use super::seen::Sight;
use super::tables::failure;
use super::troubles::duration;
use super::virtual_clock::VirtualClock;
use super::world::{SharedWorld, World};

/// The work of one process.
pub(super) struct SimulatedWork {
    pub(super) process: u32,
    pub(super) clock: VirtualClock,
    pub(super) store: FaultyStore,
    pub(super) world: SharedWorld,
}

impl SimulatedWork {
    /// How long something takes; now and then no time at all.
    fn lasting(&self, most_ms: u64) -> Duration {
        let random = &mut self.world.lock().random;
        if random.random_bool(0.1) { Duration::ZERO } else { duration(random, most_ms) }
    }
}

#[async_trait]
impl StageWork for SimulatedWork {
    type Notes = Notes;

    async fn execute(
        &self,
        stage: &NodeName,
        attempt: u32,
        notes: Option<Notes>,
        stop: CancellationToken,
    ) -> (Result<Staged, Failure>, Option<Notes>) {
        let notes = self.world.lock().ledger(self.process).begin_execution(stage, attempt, notes, &stop);
        let (lasting, stopping) = (self.lasting(300), self.lasting(50));
        tokio::select! {
            biased;
            () = stop.cancelled() => self.clock.sleep(stopping).await,
            () = self.clock.sleep(lasting) => {}
        }
        let mut world = self.world.lock();
        let outcome = world.end_execution(stage, attempt, self.process);
        (outcome, world.ledger(self.process).end_step(stage, notes))
    }

    async fn commit(
        &self,
        stage: &NodeName,
        staged: &Staged,
        notes: Option<Notes>,
    ) -> (Result<StageReceipt, Failure>, Option<Notes>) {
        let notes = self.world.lock().ledger(self.process).begin_commit(stage, staged, notes);
        let mut request = CommitRequest { work: self, stage, staged, is_answered: false };
        self.clock.sleep(self.lasting(100)).await;
        request.is_answered = true;
        drop(request);
        let mut world = self.world.lock();
        let outcome = world.end_commit(stage, staged);
        (outcome, world.ledger(self.process).end_step(stage, notes))
    }

    async fn observe(&self, event: &RunEvent, actions: &[RunAction], state: &RunState) {
        self.world.lock().observe(self.process, &self.store, (event, actions, state));
        self.clock.sleep(self.lasting(5)).await;
    }

    async fn record(&self, stage: &NodeName, state: &RunState, notes: Option<&Notes>) {
        {
            let World { ledgers, history, .. } = &mut *self.world.lock();
            ledgers.get_mut(&self.process).unwrap().record(history, stage, state, notes);
        }
        self.clock.sleep(self.lasting(5)).await;
    }
}

impl World {
    fn end_execution(&mut self, stage: &NodeName, attempt: u32, process: u32) -> Result<Staged, Failure> {
        if self.random.random_bool(self.troubles.execution_fails) {
            return Err(failure(self.random.random_bool(self.troubles.retryable)));
        }
        Ok(self.tables.stage(stage, attempt, process))
    }

    fn end_commit(&mut self, stage: &NodeName, staged: &Staged) -> Result<StageReceipt, Failure> {
        let fails = self.random.random_bool(self.troubles.commit_fails);
        if fails && self.random.random_bool(0.5) {
            return Err(failure(self.random.random_bool(self.troubles.retryable)));
        }
        let receipt = self.tables.commit(stage, staged);
        if fails {
            self.seen.insert(Sight::CommitReportedAsFailed);
            return Err(failure(true));
        }
        Ok(receipt)
    }
}

/// A commit that was sent. If its process dies before the answer comes, it may be made all the same, then or later.
struct CommitRequest<'a> {
    work: &'a SimulatedWork,
    stage: &'a NodeName,
    staged: &'a Staged,
    is_answered: bool,
}

impl Drop for CommitRequest<'_> {
    fn drop(&mut self) {
        if self.is_answered || std::thread::panicking() || self.work.world.lock().random.random_bool(0.5) {
            return;
        }
        let (stage, staged) = (self.stage.clone(), self.staged.clone());
        let (clock, world) = (self.work.clock.clone(), self.work.world.clone());
        let (process, later) = (self.work.process, self.work.lasting(1_000));
        tokio::spawn(async move {
            clock.sleep(later).await;
            let mut world = world.lock();
            world.note(process, || format!("! commits {stage} after its death"));
            world.tables.commit(&stage, &staged);
            world.seen.insert(Sight::CommitAfterDeath);
        });
    }
}
