//! A run's events in the state store: what a run is resumed from.
//!
//! Each event is a key of its own, numbered without gaps, put there only if nothing is there yet. So of two processes
//! that both believe to drive the run, the one that is behind is told so by its next append, lease or no lease.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_base::coded;
use windlass_base::failpoint;
use windlass_base::ids::RunId;

use crate::run::machine::{RunEvent, RunSchedule};
use crate::state::{PutOutcome, StateError, StateStore};

/// The log of one run, as one process appends to it.
#[derive(Debug)]
pub struct EventLog {
    store: Arc<dyn StateStore>,
    run_id: RunId,
    writer: String,
    next: u64,
}

/// What a key of the log holds.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Who appended it: tells an append that was made though it was answered with an error from another's.
    writer: String,
    event: RunEvent,
}

impl EventLog {
    /// Begins the log of a new run with what the run is to do. `writer` must differ between processes and between
    /// drivers of one process. After an error it may be called again.
    pub async fn create(
        store: Arc<dyn StateStore>,
        run_id: RunId,
        writer: String,
        schedule: &RunSchedule,
    ) -> Result<Self, EventLogError> {
        let key = schedule_key(&run_id);
        let value = encode(&key, schedule)?;
        failpoint!("run.schedule.before");
        let put = store.compare_and_put(&key, None, value.clone()).await?;
        failpoint!("run.schedule.after");
        match put {
            PutOutcome::Moved(current) if current.as_ref().is_none_or(|c| c.value != value) => {
                Err(EventLogError::Fenced { run_id })
            }
            PutOutcome::Put(_) | PutOutcome::Moved(_) => Ok(Self { store, run_id, writer, next: 0 }),
        }
    }

    /// Opens the log of a run to go on with it: what the run is to do, and what has happened. `None` if the store does
    /// not know the run.
    pub async fn open(
        store: Arc<dyn StateStore>,
        run_id: RunId,
        writer: String,
    ) -> Result<Option<(Self, RunSchedule, Vec<RunEvent>)>, EventLogError> {
        let key = schedule_key(&run_id);
        let Some(schedule) = store.get(&key).await? else { return Ok(None) };
        let schedule = decode(&key, &schedule.value)?;
        let mut events = Vec::new();
        for (position, entry) in (0u64..).zip(store.list(&events_prefix(&run_id)).await?) {
            if entry.key != event_key(&run_id, position) {
                return Err(EventLogError::Gap { run_id, position });
            }
            let line: Line = decode(&entry.key, &entry.value)?;
            events.push(line.event);
        }
        let next = events.len() as u64;
        Ok(Some((Self { store, run_id, writer, next }, schedule, events)))
    }

    /// Appends an event. It is durable when this returns; act on it only then.
    ///
    /// After an error other than `Fenced` it is unknown whether the event was appended: call again with the same event
    /// until it is, or stop.
    pub async fn append(&mut self, event: &RunEvent) -> Result<(), EventLogError> {
        let key = event_key(&self.run_id, self.next);
        let value = encode(&key, &Line { writer: self.writer.clone(), event: event.clone() })?;
        failpoint!(&format!("run.event.{}.before", event.kind.name()));
        let put = self.store.compare_and_put(&key, None, value.clone()).await?;
        failpoint!(&format!("run.event.{}.after", event.kind.name()));
        match put {
            PutOutcome::Moved(current) if current.as_ref().is_none_or(|c| c.value != value) => {
                Err(EventLogError::Fenced { run_id: self.run_id.clone() })
            }
            PutOutcome::Put(_) | PutOutcome::Moved(_) => {
                self.next += 1;
                Ok(())
            }
        }
    }
}

/// Removes a run's schedule and events, once its bundle is sealed and nobody needs to resume it. The schedule goes
/// first: a run without one is not known any more, so half a log is never replayed.
pub async fn remove(store: &dyn StateStore, run_id: &RunId) -> Result<(), EventLogError> {
    let key = schedule_key(run_id);
    if let Some(schedule) = store.get(&key).await? {
        failpoint!("run.schedule_removed.before");
        store.compare_and_delete(&key, schedule.revision).await?;
        failpoint!("run.schedule_removed.after");
    }
    failpoint!("run.events_removed.before");
    store.delete_prefix(&events_prefix(run_id)).await?;
    failpoint!("run.events_removed.after");
    Ok(())
}

fn schedule_key(run_id: &RunId) -> String {
    format!("runs/{run_id}/schedule")
}

fn events_prefix(run_id: &RunId) -> String {
    format!("runs/{run_id}/events/")
}

/// Numbers are padded so that the order of the keys is that of the events.
fn event_key(run_id: &RunId, position: u64) -> String {
    format!("{}{position:010}", events_prefix(run_id))
}

fn encode(key: &str, value: &impl Serialize) -> Result<Bytes, StateError> {
    let bytes = serde_json::to_vec(value).map_err(|source| StateError::Record { key: key.to_owned(), source })?;
    Ok(bytes.into())
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(value).map_err(|source| StateError::Record { key: key.to_owned(), source })
}

/// What goes wrong with a run's event log.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    /// The state store failed; an append may have been made or not.
    #[error("the events of the run cannot be kept")]
    Store(#[from] StateError),
    /// Another process has gone on with the run.
    #[error("run {run_id} has been taken over by another process")]
    Fenced {
        /// The run.
        run_id: RunId,
    },
    /// An event is missing.
    #[error("event {position} of run {run_id} is missing from the state store")]
    Gap {
        /// The run.
        run_id: RunId,
        /// The missing one, counted from 0.
        position: u64,
    },
}

coded! {
    EventLogError {
        Store => inner;
        Fenced { run_id } => "WL0613", format!("follow it with `windlass runs show {run_id}`");
        Gap => "WL0614", "the run cannot be resumed; start a new one";
    }
}
