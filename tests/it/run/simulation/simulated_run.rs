//! A run from its beginning to its end, by as many processes as it takes.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use windlass_evidence::artifact::RunStatus;
use windlass_scheduler::clock::Clock;
use windlass_scheduler::run::drive::event_log::EventLog;
use windlass_scheduler::run::machine::{RunEvent, replay};

use super::faulty_store::FaultyStore;
use super::ledger::Ended;
use super::process::{Process, run_id};
use super::seen::{Seen, Sight};
use super::troubles::{Fate, Troubles, random_schedule};
use super::virtual_clock::VirtualClock;
use super::world::{SharedWorld, World};

/// Enough for any run: the store fails at times, but not for ever.
const MAX_PROCESSES: u32 = 1_000;

/// After this, nothing that dead processes have sent is still on its way.
const LONG: Duration = Duration::from_secs(60);

pub(super) struct SimulatedRun {
    clock: VirtualClock,
    /// The process that begins the run.
    first: Process,
    world: SharedWorld,
}

impl SimulatedRun {
    pub(super) fn new(seed: u64, is_traced: bool) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let troubles = Troubles::random(&mut random);
        let schedule = random_schedule(&mut random);
        let clock = VirtualClock::default();
        let store = FaultyStore::new(random.random(), &troubles, clock.clone());
        let world = SharedWorld::new(World::new(random, troubles, &schedule, is_traced));
        let first = Process { number: 1, schedule, clock: clock.clone(), store, world: world.clone() };
        Self { clock, first, world }
    }

    pub(super) fn trace(&self) -> String {
        self.world.trace()
    }

    pub(super) fn seen(&self) -> Seen {
        self.world.lock().seen.clone()
    }

    /// Processes drive the run until it has ended.
    pub(super) fn simulate(&self) {
        self.clock.run(async {
            tokio::select! {
                biased;
                () = self.clock.stuck() => panic!("the run does not end: {:?}", self.world.lock().history.state()),
                () = self.drive_to_end() => {}
            }
            self.check_end().await;
        });
    }

    async fn drive_to_end(&self) {
        let mut alive = JoinSet::new();
        let mut is_finished = false;
        for number in 1..MAX_PROCESSES {
            let fate = {
                let World { troubles, random, .. } = &mut *self.world.lock();
                Fate::random(number, troubles, random)
            };
            let taken_for_dead = fate.taken_for_dead;
            alive.spawn(Process { number, ..self.first.clone() }.live(fate));
            // The next process begins when none is left, or when this one seems dead.
            let seems_dead = async {
                match taken_for_dead {
                    Some(time) => self.clock.sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            let none_is_left = async {
                while let Some(ended) = alive.join_next().await {
                    is_finished |=
                        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) == Ended::Finished;
                }
            };
            tokio::select! {
                biased;
                () = none_is_left => if is_finished { return },
                () = seems_dead => {}
            }
        }
        panic!("no process brings the run to its end");
    }

    /// When nothing is on its way any more, the log, the tables and what the processes have reported agree.
    async fn check_end(&self) {
        self.clock.sleep(LONG).await;
        let store = &self.first.store;
        let logged = EventLog::open(store.sound(), run_id(), "a reader".to_owned()).await.unwrap();
        let (_, schedule, events) = logged.expect("the run is in the store");
        let world = &mut *self.world.lock();
        world.catch_up(store);
        let World { history, ledgers, tables, seen, .. } = world;
        let followed: Vec<RunEvent> = history.steps().iter().map(|step| step.event.clone()).collect();
        assert_eq!(events, followed);
        assert_eq!(&replay(schedule, &events).unwrap(), history.state());
        history.check_end(tables);
        for ledger in ledgers.values() {
            if ledger.check_log(history) {
                seen.insert(Sight::EventNotActedOn);
            }
        }
        if store.failures() > 0 {
            seen.insert(Sight::StoreFailed);
        }
        seen.insert(match history.state().status() {
            RunStatus::Succeeded => Sight::Succeeded,
            RunStatus::Failed => Sight::Failed,
            RunStatus::Cancelled => Sight::Cancelled,
            status => panic!("{status:?} is not a final status"),
        });
    }
}
