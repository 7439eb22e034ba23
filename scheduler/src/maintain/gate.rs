//! One at a time works on what a table has of the past: a turn of maintenance, or somebody who sets a pin.
//!
//! A turn takes the table's lease before it asks what keeps versions. A run writes down what it has pinned and then looks at
//! the leases: so either the turn sees the pins, or the run sees the turn and waits for its end before it reads a row. A turn
//! that begins and ends while a run is planned is seen by a mark that every turn leaves: the run is planned again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_base::failpoint;
use windlass_base::ids::RunId;
use windlass_storage::Location;

use crate::Scheduler;
use crate::home::folder_name;
use crate::state::{
    Lease, LeaseHeld, LeaseHolder, ProcessIdentity, PutOutcome, RenewOutcome, Revision, StateError, StateStore,
};

/// What the names of the leases begin with.
const PREFIX: &str = "maintenance/";
/// The key of the mark that the last turn has left.
const ENDED: &str = "maintained";
/// How long a lease lasts without being renewed.
const TTL: Duration = Duration::from_secs(120);
/// How often a run looks whether a turn has ended.
const PERIOD: Duration = Duration::from_millis(200);

/// The name by which a table goes in leases and records: readable, and different for different locations.
pub(super) fn table_key(location: &Location) -> String {
    folder_name(&location.real())
}

/// The lease of a table, renewed until it is released.
pub(super) struct TableLease {
    state: Arc<dyn StateStore>,
    lease: Arc<Mutex<Lease>>,
    keeper: JoinHandle<()>,
}

impl TableLease {
    /// Takes the lease of the table at `location`; who has it, if somebody has. `lost` fires if it is lost before it is
    /// released.
    ///
    /// # Errors
    /// [`StateError`] if the state store fails.
    pub(super) async fn take(
        scheduler: &Scheduler,
        location: &Location,
        turn: &RunId,
        note: &str,
        lost: CancellationToken,
    ) -> Result<Result<Self, LeaseHeld>, StateError> {
        let holder = LeaseHolder { who: ProcessIdentity::current(), run_id: Some(turn.clone()), note: note.to_owned() };
        let name = format!("{PREFIX}{}", table_key(location));
        let state = Arc::clone(&scheduler.state);
        failpoint!("maintain.table_lease_taken.before");
        let acquired = state.acquire_lease(&name, &holder, TTL).await?;
        failpoint!("maintain.table_lease_taken.after");
        let lease = match acquired.granted() {
            Ok(lease) => Arc::new(Mutex::new(lease)),
            Err(held) => return Ok(Err(held)),
        };
        let keeper = tokio::spawn(keep(Arc::clone(&state), Arc::clone(&lease), lost));
        Ok(Ok(Self { state, lease, keeper }))
    }

    /// Gives it back. If that fails, it ends by itself.
    pub(super) async fn release(self) {
        self.keeper.abort();
        // The grant that is given back must be the newest.
        let _ = self.keeper.await;
        let lease = self.lease.lock().clone();
        failpoint!("maintain.table_lease_released.before");
        let released = self.state.release_lease(&lease).await;
        failpoint!("maintain.table_lease_released.after");
        if let Err(error) = released {
            tracing::warn!(%error, "the lease of a table cannot be released; it ends by itself");
        }
    }
}

/// Renews a lease until it is lost.
async fn keep(state: Arc<dyn StateStore>, lease: Arc<Mutex<Lease>>, lost: CancellationToken) {
    loop {
        tokio::time::sleep(TTL / 4).await;
        let held = lease.lock().clone();
        match state.renew_lease(&held, TTL).await {
            Ok(RenewOutcome::Renewed(renewed)) => *lease.lock() = renewed,
            Ok(RenewOutcome::Lost) => return lost.cancel(),
            // The store may be back in time.
            Err(_) if Utc::now() < held.expires_at => {}
            Err(_) => return lost.cancel(),
        }
    }
}

/// The last turn that has ended in a home, as a run that is about to be planned sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastTurn(Option<Revision>);

/// Looks which turn was the last to end.
///
/// # Errors
/// [`StateError`] if the state store fails.
pub(crate) async fn last_turn(scheduler: &Scheduler) -> Result<LastTurn, StateError> {
    Ok(LastTurn(scheduler.state.get(ENDED).await?.map(|mark| mark.revision)))
}

/// Leaves the mark of a turn that has worked on a table.
///
/// # Errors
/// [`StateError`] if the state store fails.
pub(super) async fn leave_mark(scheduler: &Scheduler, turn: &RunId) -> Result<(), StateError> {
    failpoint!("maintain.mark.before");
    loop {
        let last = scheduler.state.get(ENDED).await?.map(|mark| mark.revision);
        let mark = turn.as_str().to_owned().into();
        if let PutOutcome::Put(_) = scheduler.state.compare_and_put(ENDED, last, mark).await? {
            failpoint!("maintain.mark.after");
            return Ok(());
        }
    }
}

/// Waits until none of the tables at `locations` is being maintained; whether one was, or has been since `planned`.
///
/// # Errors
/// [`StateError`] if the state store fails.
pub(crate) async fn wait(scheduler: &Scheduler, locations: &[Location], planned: LastTurn) -> Result<bool, StateError> {
    let names: BTreeSet<String> = locations.iter().map(|location| format!("{PREFIX}{}", table_key(location))).collect();
    let mut waited = false;
    loop {
        let leases = scheduler.state.leases(PREFIX).await?;
        if !leases.iter().any(|lease| lease.in_force && names.contains(&lease.name)) {
            return Ok(waited || last_turn(scheduler).await? != planned);
        }
        waited = true;
        tokio::time::sleep(PERIOD).await;
    }
}
