//! One process: it takes up the run with the real driver, until the run ends or it does.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass_base::ids::{NodeName, RunId};
use windlass_scheduler::clock::Clock;
use windlass_scheduler::run::RunError;
use windlass_scheduler::run::drive::event_log::EventLogError;
use windlass_scheduler::run::drive::{LoggedRun, Signals, drive};
use windlass_scheduler::run::machine::{RunSchedule, RunState};

use super::faulty_store::{Connection, FaultyStore};
use super::ledger::{Ended, Ledger, Notes, Signalled};
use super::seen::Sight;
use super::troubles::{Death, Fate};
use super::virtual_clock::VirtualClock;
use super::work::SimulatedWork;
use super::world::{SharedWorld, World};

/// A store that fails for less than this must not end a driver.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run_id() -> RunId {
    RunId::from("r")
}

/// What a process needs; each has a number of its own.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) number: u32,
    pub(super) schedule: RunSchedule,
    pub(super) clock: VirtualClock,
    pub(super) store: FaultyStore,
    pub(super) world: SharedWorld,
}

impl Process {
    fn writer(&self) -> String {
        format!("process {}", self.number)
    }

    /// Lives as long as its fate allows.
    pub(super) async fn live(self, fate: Fate) -> Ended {
        let signalled = Signalled::new(self.clock.now(), &fate);
        self.world.lock().ledgers.insert(self.number, Ledger::new(self.writer(), signalled));
        let (death, signals) = (CancellationToken::new(), Signals::default());
        let (mut dies_after, mut last_poll, mut last_moment) = (None, None, None);
        match fate.death {
            Some(Death::After(time)) => dies_after = Some(time),
            Some(Death::AtPoll(poll)) => last_poll = Some(poll),
            Some(Death::AtStoreMoment(moment)) => last_moment = Some(moment),
            None => {}
        }
        let mut timers = JoinSet::new();
        let fires = [(dies_after, &death), (fate.cancel, &signals.cancel), (fate.lease_lost, &signals.lease_lost)];
        for (after, signal) in fires {
            let Some(after) = after else { continue };
            let (clock, signal) = (self.clock.clone(), signal.clone());
            timers.spawn(async move {
                clock.sleep(after).await;
                signal.cancel();
            });
        }
        let connection = Arc::new(self.store.connect(death.clone(), last_moment));
        let driver = polled_until(last_poll, death.clone(), self.drive_run(connection, signals));
        tokio::select! {
            biased;
            () = death.cancelled() => {}
            ended = driver => return ended,
        }
        let mut world = self.world.lock();
        world.note(self.number, || "! crash".to_owned());
        world.ledger(self.number).crash();
        world.seen.insert(match fate.death {
            Some(Death::AtPoll(_)) => Sight::CrashedAtPoll,
            Some(Death::AtStoreMoment(_)) => Sight::CrashedAtStore,
            _ => Sight::CrashedInTime,
        });
        Ended::Crashed
    }

    async fn drive_run(&self, connection: Arc<Connection>, signals: Signals) -> Ended {
        let taken = LoggedRun::resume_or_create(connection.clone(), run_id(), self.writer(), self.schedule.clone());
        let run = match taken.await {
            Ok(run) => run,
            Err(RunError::EventLog(EventLogError::Store(_))) => return self.end(Ended::NotBegun),
            Err(error) => panic!("{} cannot take up the run: {error}", self.writer()),
        };
        assert_eq!(run.state().schedule(), &self.schedule);
        let (number, clock) = (self.number, self.clock.clone());
        let work = SimulatedWork { process: number, clock, store: self.store.clone(), world: self.world.clone() };
        match drive(run, Arc::new(work), Arc::new(self.clock.clone()), signals).await {
            Ok((state, notes)) => self.finish(&state, &notes),
            Err(RunError::EventLog(EventLogError::Fenced { .. })) => self.fenced(),
            Err(RunError::EventLog(EventLogError::Store(_))) => {
                assert!(connection.failing_for() >= PATIENCE, "{} loses patience with the store", self.writer());
                self.world.lock().seen.insert(Sight::StoreGivenUp);
                self.end(Ended::StoreFailed)
            }
            Err(RunError::TaskLost(error)) => std::panic::resume_unwind(error.into_panic()),
            Err(error) => panic!("{} ends: {error}", self.writer()),
        }
    }

    fn finish(&self, state: &RunState, notes: &BTreeMap<NodeName, Notes>) -> Ended {
        {
            let world = self.world.lock();
            world.ledgers[&self.number].check_finish(&world.history, state, notes);
        }
        self.end(Ended::Finished)
    }

    fn fenced(&self) -> Ended {
        {
            let world = &mut *self.world.lock();
            world.catch_up(&self.store);
            let World { ledgers, history, seen, .. } = world;
            let place = ledgers[&self.number].fenced_at(history).expect("nobody else has gone on with the run");
            let by = &history.steps()[place].writer;
            let is_newer = ledgers.range(self.number + 1..).any(|(number, _)| *by == format!("process {number}"));
            seen.insert(if is_newer { Sight::StaleFenced } else { Sight::Overtaken });
        }
        self.end(Ended::Fenced)
    }

    fn end(&self, ended: Ended) -> Ended {
        let mut world = self.world.lock();
        world.note(self.number, || format!("! {ended:?}"));
        world.ledger(self.number).end(ended);
        ended
    }
}

/// Polls a future so often at most; at the poll after that `death` fires instead.
async fn polled_until<T>(last: Option<u32>, death: CancellationToken, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(move |context| {
        if last == Some(polls) {
            death.cancel();
            return Poll::Pending;
        }
        polls += 1;
        future.as_mut().poll(context)
    })
    .await
}
