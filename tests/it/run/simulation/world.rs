//! What the processes of a simulation share besides the store: what is really there and what has really happened.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use windlass_scheduler::run::machine::{RunAction, RunEvent, RunSchedule, RunState};

use super::faulty_store::FaultyStore;
use super::history::History;
use super::ledger::Ledger;
use super::seen::Seen;
use super::tables::Tables;
use super::troubles::Troubles;

/// The world, as all parts of a simulation share it. A check that fails poisons it, so that none goes unnoticed because it
/// was made in a task whose process died.
#[derive(Clone)]
pub(super) struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no check has failed")
    }

    /// What has happened, also if a check has failed.
    pub(super) fn trace(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).trace.clone().unwrap_or_default()
    }
}

pub(super) struct World {
    pub(super) random: StdRng,
    pub(super) troubles: Troubles,
    pub(super) tables: Tables,
    pub(super) history: History,
    /// One for each process, by its number.
    pub(super) ledgers: BTreeMap<u32, Ledger>,
    pub(super) seen: Seen,
    /// What has happened, if somebody looks at it.
    trace: Option<String>,
}

impl World {
    pub(super) fn new(random: StdRng, troubles: Troubles, schedule: &RunSchedule, is_traced: bool) -> Self {
        let trace = is_traced.then(|| serde_json::to_string(schedule).unwrap() + "\n");
        Self {
            random,
            troubles,
            tables: Tables::default(),
            history: History::new(schedule.clone()),
            ledgers: BTreeMap::new(),
            seen: Seen::default(),
            trace,
        }
    }

    pub(super) fn ledger(&mut self, process: u32) -> &mut Ledger {
        self.ledgers.get_mut(&process).expect("every process has a ledger")
    }

    /// Takes what has been appended to the log since.
    pub(super) fn catch_up(&mut self, store: &FaultyStore) {
        let appended = store.events_from(self.history.steps().len());
        self.history.catch_up(appended, &self.tables, &mut self.seen);
    }

    /// A driver reports an event.
    pub(super) fn observe(
        &mut self,
        process: u32,
        store: &FaultyStore,
        (event, actions, state): (&RunEvent, &[RunAction], &RunState),
    ) {
        self.note(process, || format!("> {}", serde_json::to_string(event).unwrap()));
        for action in actions {
            self.note(process, || format!("< {}", serde_json::to_string(action).unwrap()));
        }
        self.catch_up(store);
        let ledger = self.ledgers.get_mut(&process).expect("every process has a ledger");
        ledger.observe(&self.history, event, actions, state);
    }

    /// Writes a line of the trace.
    pub(super) fn note(&mut self, process: u32, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            writeln!(trace, "{process} {}", text()).unwrap();
        }
    }
}
