//! The event log as it is in the store, followed by the rules: what the run has really been through.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use windlass_scheduler::run::machine::{RunAction, RunEvent, RunEventKind, RunSchedule, RunState, step};

use super::rules::Rules;
use super::seen::{Seen, Sight};
use super::tables::Tables;

/// A run has at most 12 stages with 4 tries each; with more events than this it loops.
const MAX_EVENTS: usize = 5_000;

/// An event of the log, and what the machine makes of it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) writer: String,
    pub(super) event: RunEvent,
    pub(super) actions: Vec<RunAction>,
    pub(super) state: RunState,
}

#[derive(Deserialize)]
struct Line {
    writer: String,
    event: RunEvent,
}

pub(super) struct History {
    rules: Rules,
    steps: Vec<Step>,
    places: BTreeMap<String, Vec<usize>>,
}

impl History {
    pub(super) fn new(schedule: RunSchedule) -> Self {
        Self { rules: Rules::new(schedule), steps: Vec::new(), places: BTreeMap::new() }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn state(&self) -> &RunState {
        self.rules.state()
    }

    /// Takes what has been appended since, by any process.
    pub(super) fn catch_up(&mut self, appended: Vec<Bytes>, tables: &Tables, seen: &mut Seen) {
        for value in appended {
            let Line { writer, event } = serde_json::from_slice(&value).unwrap();
            let (state, actions) = step(self.rules.state().clone(), &event).expect("every event in the log fits");
            self.rules.check_step(&event, state.clone(), &actions, tables);
            seen.extend(match event.kind {
                RunEventKind::LeaseLost => Some(Sight::LeaseLost),
                RunEventKind::Resumed => Some(Sight::Resumed),
                RunEventKind::RetryDue { .. } => Some(Sight::Retried),
                _ => None,
            });
            self.places.entry(writer.clone()).or_default().push(self.steps.len());
            self.steps.push(Step { writer, event, actions, state });
            assert!(self.steps.len() < MAX_EVENTS, "the run does not end");
        }
    }

    /// The places of the events that a process has appended.
    pub(super) fn places_of(&self, writer: &str) -> &[usize] {
        self.places.get(writer).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn check_end(&self, tables: &Tables) {
        self.rules.check_end(tables);
    }
}
