//! A run whose events are in the state store: one that is to begin, or one that another process has begun.

use std::sync::Arc;

use windlass_base::ids::RunId;

use super::event_log::EventLog;
use crate::run::error::RunError;
use crate::run::machine::{RunSchedule, RunState, replay};
use crate::state::StateStore;

/// A run to be driven: where it stands, and the log to which its next event is appended.
#[derive(Debug)]
pub struct LoggedRun {
    pub(super) state: RunState,
    pub(super) log: EventLog,
}

impl LoggedRun {
    /// Begins the log of a new run. `writer` must differ between processes and between drivers of one process.
    ///
    /// # Errors
    /// [`RunError::Schedule`] if the schedule could never finish, [`RunError::EventLog`] if the store fails or holds a
    /// run of this id with another schedule.
    pub async fn create(
        store: Arc<dyn StateStore>,
        run_id: RunId,
        writer: String,
        schedule: RunSchedule,
    ) -> Result<Self, RunError> {
        let state = RunState::new(schedule)?;
        let log = EventLog::create(store, run_id, writer, state.schedule()).await?;
        Ok(Self { state, log })
    }

    /// Replays the log of a run that another process has begun, to go on with it. `None` if the store does not know the
    /// run. The other process, if it still lives, is shut out with the first event that is appended here.
    ///
    /// # Errors
    /// [`RunError::EventLog`] if the log cannot be read, [`RunError::Replay`] if its events do not add up.
    pub async fn resume(store: Arc<dyn StateStore>, run_id: RunId, writer: String) -> Result<Option<Self>, RunError> {
        let Some((log, schedule, events)) = EventLog::open(store, run_id, writer).await? else { return Ok(None) };
        let state = replay(schedule, &events)?;
        Ok(Some(Self { state, log }))
    }

    /// Goes on with a run that the store knows, and begins it otherwise. Once it has begun, the schedule in the store
    /// counts, not `schedule`.
    ///
    /// # Errors
    /// Those of [`Self::resume`] and [`Self::create`].
    pub async fn resume_or_create(
        store: Arc<dyn StateStore>,
        run_id: RunId,
        writer: String,
        schedule: RunSchedule,
    ) -> Result<Self, RunError> {
        match Self::resume(Arc::clone(&store), run_id.clone(), writer.clone()).await? {
            Some(resumed) => Ok(resumed),
            None => Self::create(store, run_id, writer, schedule).await,
        }
    }

    /// Where the run stands.
    pub fn state(&self) -> &RunState {
        &self.state
    }
}
