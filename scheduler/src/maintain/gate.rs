//! One at a time works on what a table has of the past: a turn of maintenance, or somebody who sets a pin.
//!
//! A turn takes the table's lease before it asks what keeps versions. A run writes down what it has pinned and then looks at
//! the leases: so either the turn sees the pins, or the run sees the turn and waits for its end before it reads a row.

use std::collections::BTreeSet;
use std::time::Duration;

use windlass_base::ids::RunId;
use windlass_storage::Location;

use crate::Scheduler;
use crate::home::folder_name;
use crate::state::{Lease, LeaseHeld, LeaseHolder, ProcessIdentity, StateError};

/// What the names of the leases begin with.
const PREFIX: &str = "maintenance/";
/// How long a lease lasts without being renewed. Its holder renews it between two steps.
pub(super) const TTL: Duration = Duration::from_secs(120);
/// How often a run looks whether a turn has ended.
const PERIOD: Duration = Duration::from_millis(200);

/// The name by which a table goes in leases and records: readable, and different for different locations.
pub(super) fn table_key(location: &Location) -> String {
    folder_name(&location.real())
}

/// Takes the lease of a table.
///
/// # Errors
/// [`StateError`] if the state store fails; who has it, if somebody has.
pub(super) async fn take(
    scheduler: &Scheduler,
    location: &Location,
    turn: &RunId,
    note: &str,
) -> Result<Result<Lease, LeaseHeld>, StateError> {
    let holder = LeaseHolder { who: ProcessIdentity::current(), run_id: Some(turn.clone()), note: note.to_owned() };
    let name = format!("{PREFIX}{}", table_key(location));
    Ok(scheduler.state.acquire_lease(&name, &holder, TTL).await?.granted())
}

/// Waits until none of the tables at `locations` is being maintained; whether one was.
///
/// # Errors
/// [`StateError`] if the state store fails.
pub(crate) async fn wait(scheduler: &Scheduler, locations: &[Location]) -> Result<bool, StateError> {
    let names: BTreeSet<String> = locations.iter().map(|location| format!("{PREFIX}{}", table_key(location))).collect();
    let mut waited = false;
    loop {
        let leases = scheduler.state.leases(PREFIX).await?;
        if !leases.iter().any(|lease| lease.in_force && names.contains(&lease.name)) {
            return Ok(waited);
        }
        waited = true;
        tokio::time::sleep(PERIOD).await;
    }
}
