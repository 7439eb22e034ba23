//! What killed runs and processes have left in the state store.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use windlass_base::ids::RunId;
use windlass_evidence::artifact::CleanKind;

use super::folder::Size;
use super::item::{Found, Remove};
use crate::state::{LeaseView, StateError, StateStore};

/// The keys of runs: their schedules and events.
const RUNS: &str = "runs/";
/// The keys of leases.
const LEASES: &str = "lease/";
/// How long the lease of a process of which nothing is known stays after its end.
const LEASE_REST: TimeDelta = TimeDelta::hours(1);

/// The runs that hold a lease, also one that has expired if its process may still live: it may hold it again.
pub(super) fn holders(leases: &[LeaseView]) -> BTreeSet<RunId> {
    let holds = |lease: &&LeaseView| lease.in_force || !lease.holder.who.is_gone();
    leases.iter().filter(holds).filter_map(|lease| lease.holder.run_id.clone()).collect()
}

/// Schedules and events of runs that nobody drives any more, and leases of processes that are gone. `spared` are runs that
/// are active besides those that hold a lease, or can be taken up.
///
/// # Errors
/// [`StateError`] if the store fails.
pub(super) async fn leftovers(
    state: &dyn StateStore,
    spared: &BTreeSet<RunId>,
    now: DateTime<Utc>,
) -> Result<Vec<Found>, StateError> {
    let mut runs: BTreeMap<RunId, Size> = BTreeMap::new();
    for entry in state.list(RUNS).await? {
        let Some((run, _)) = entry.key.strip_prefix(RUNS).and_then(|key| key.split_once('/')) else { continue };
        let size = runs.entry(RunId::from(run)).or_default();
        size.files += 1;
        size.bytes += (entry.key.len() + entry.value.len()) as u64;
    }
    // Asked after the listing: a run takes its lease before its first event.
    let leases = state.leases("").await?;
    let holders = holders(&leases);
    let ended = runs.into_iter().filter(|(run, _)| !holders.contains(run) && !spared.contains(run));
    let events = ended.map(|(run, size)| Found {
        kind: CleanKind::RunEvents,
        name: run.to_string(),
        location: format!("{RUNS}{run}/"),
        size,
        reason: "no process drives the run any more, and a later one has begun".to_owned(),
        remove: Some(Remove::Events(run)),
    });
    let stale = leases.into_iter().filter(|lease| is_stale(lease, now)).map(|lease| Found {
        kind: CleanKind::Lease,
        name: lease.name.clone(),
        location: format!("{LEASES}{}", lease.name),
        size: Size { files: 1, bytes: (LEASES.len() + lease.name.len()) as u64 },
        reason: format!("{} ended without giving it back", lease.holder.who),
        remove: Some(Remove::Lease(lease)),
    });
    Ok(events.chain(stale).collect())
}

fn is_stale(lease: &LeaseView, now: DateTime<Utc>) -> bool {
    !lease.in_force && (lease.holder.who.is_gone() || lease.expires_at + LEASE_REST < now)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::state::{LeaseHolder, MemoryStore, ProcessIdentity};

    fn holder(who: ProcessIdentity, run: &str) -> LeaseHolder {
        LeaseHolder { who, run_id: Some(run.into()), note: "test".to_owned() }
    }

    #[tokio::test]
    async fn what_nobody_drives_any_more_is_left_over() {
        let state = MemoryStore::new(Arc::new(SystemClock));
        for key in
            ["runs/1/schedule", "runs/1/events/0000000000", "runs/2/schedule", "runs/3/events/0000000000", "other/4"]
        {
            state.compare_and_put(key, None, "value".into()).await.unwrap();
        }
        // A process number that no process has.
        let gone = ProcessIdentity { pid: u32::MAX, start_ticks: None, ..ProcessIdentity::current() };
        let take = async |name: &str, holder: LeaseHolder| {
            state.acquire_lease(name, &holder, Duration::from_secs(60)).await.unwrap()
        };
        take("pipelines/a", holder(ProcessIdentity::current(), "2")).await;
        take("pipelines/b", holder(gone, "1")).await;

        let found = leftovers(&state, &BTreeSet::new(), Utc::now()).await.unwrap();
        let names: Vec<(CleanKind, &str, u64)> =
            found.iter().map(|found| (found.kind, found.name.as_str(), found.size.files)).collect();
        let expected =
            [(CleanKind::RunEvents, "1", 2), (CleanKind::RunEvents, "3", 1), (CleanKind::Lease, "pipelines/b", 1)];
        assert_eq!(names, expected);
        let spared = leftovers(&state, &BTreeSet::from(["3".into()]), Utc::now()).await.unwrap();
        assert_eq!(spared.len(), 2);
    }
}
