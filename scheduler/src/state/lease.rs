//! Leases: at most one holder at a time, and a dead one does not block for long.
//!
//! A lease is a key whose value names its holder and when it expires; taking, prolonging and giving it back are
//! compare-and-puts of that key. This serves every store that has no leases of its own.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::coded;
use windlass_base::ids::RunId;

use super::error::StateError;
use super::process::ProcessIdentity;
use super::store::{PutOutcome, Revision, StateStore, Versioned};
use crate::clock::Clock;

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHolder {
    /// The process.
    pub who: ProcessIdentity,
    /// The run that it holds the lease for.
    pub run_id: Option<RunId>,
    /// What it does, for the person who finds the lease taken.
    pub note: String,
}

impl LeaseHolder {
    /// Whether it is the same process for the same run; the note does not matter.
    fn is(&self, other: &Self) -> bool {
        self.who == other.who && self.run_id == other.run_id
    }
}

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Its holder.
    pub holder: LeaseHolder,
    /// When it was first granted to this holder.
    pub since: DateTime<Utc>,
    /// When it expires unless it is renewed.
    pub expires_at: DateTime<Utc>,
    /// The revision of its latest grant or renewal.
    pub revision: Revision,
}

/// What became of taking a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// It is ours.
    Granted(Lease),
    /// Another has it.
    HeldBy(LeaseHeld),
}

impl LeaseOutcome {
    /// The lease, or the refusal as an error.
    pub fn granted(self) -> Result<Lease, LeaseHeld> {
        match self {
            Self::Granted(lease) => Ok(lease),
            Self::HeldBy(held) => Err(held),
        }
    }
}

/// What became of renewing a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewOutcome {
    /// It is still ours; use this one from now on.
    Renewed(Lease),
    /// Another has taken it, or it was released.
    Lost,
}

/// A lease as a bystander sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// Its name.
    pub name: String,
    /// Its holder.
    pub holder: LeaseHolder,
    /// When it was first granted to this holder.
    pub since: DateTime<Utc>,
    /// When it expires unless it is renewed.
    pub expires_at: DateTime<Utc>,
    /// Whether it keeps others out: not expired, and its holder not known to be dead.
    pub in_force: bool,
}

/// A lease that another holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is in use by {} since {}{}: {}", .holder.who, .since.format("%F %T UTC"), for_run(.holder), .holder.note)]
pub struct LeaseHeld {
    /// The lease.
    pub name: String,
    /// Who has it.
    pub holder: Box<LeaseHolder>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when, unless it is renewed.
    pub expires_at: DateTime<Utc>,
}

fn for_run(holder: &LeaseHolder) -> String {
    holder.run_id.as_ref().map(|run| format!(", for run {run}")).unwrap_or_default()
}

coded! {
    struct LeaseHeld { expires_at } => "WL0606",
        format!(
            "wait until it has finished, or stop it; if it is gone already, the lease ends by itself at {}",
            expires_at.format("%F %T UTC")
        );
}

/// The keys of the leases.
const KEY_PREFIX: &str = "lease/";

/// What the key of a lease holds.
#[derive(Debug, Serialize, Deserialize)]
struct LeaseRecord {
    holder: LeaseHolder,
    since: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl LeaseRecord {
    fn read(key: &str, value: &[u8]) -> Result<Self, StateError> {
        serde_json::from_slice(value).map_err(|source| StateError::Record { key: key.to_owned(), source })
    }

    fn write(&self, key: &str) -> Result<Bytes, StateError> {
        let value = serde_json::to_vec(self).map_err(|source| StateError::Record { key: key.to_owned(), source })?;
        Ok(value.into())
    }

    fn in_force(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at && !self.holder.who.is_gone()
    }

    fn granted(self, name: &str, revision: Revision) -> Lease {
        let Self { holder, since, expires_at } = self;
        Lease { name: name.to_owned(), holder, since, expires_at, revision }
    }
}

/// [`StateStore::acquire_lease`] by compare-and-put.
pub(super) async fn acquire(
    store: &dyn StateStore,
    clock: &dyn Clock,
    name: &str,
    holder: &LeaseHolder,
    ttl: Duration,
) -> Result<LeaseOutcome, StateError> {
    let key = key_of(name);
    let mut current = store.get(&key).await?;
    loop {
        let now = clock.now();
        let mut since = now;
        if let Some(Versioned { value, .. }) = &current {
            let record = LeaseRecord::read(&key, value)?;
            if record.holder.is(holder) {
                since = record.since;
            } else if record.in_force(now) {
                let LeaseRecord { holder, since, expires_at } = record;
                let holder = Box::new(holder);
                let held = LeaseHeld { name: name.to_owned(), holder, since, expires_at };
                return Ok(LeaseOutcome::HeldBy(held));
            }
        }
        let record = LeaseRecord { holder: holder.clone(), since, expires_at: after(now, ttl) };
        let expected = current.as_ref().map(|c| c.revision);
        match store.compare_and_put(&key, expected, record.write(&key)?).await? {
            PutOutcome::Put(revision) => return Ok(LeaseOutcome::Granted(record.granted(name, revision))),
            PutOutcome::Moved(moved) => current = moved,
        }
    }
}

/// [`StateStore::renew_lease`] by compare-and-put.
pub(super) async fn renew(
    store: &dyn StateStore,
    clock: &dyn Clock,
    lease: &Lease,
    ttl: Duration,
) -> Result<RenewOutcome, StateError> {
    let key = key_of(&lease.name);
    let mut expected = lease.revision;
    loop {
        let record =
            LeaseRecord { holder: lease.holder.clone(), since: lease.since, expires_at: after(clock.now(), ttl) };
        match store.compare_and_put(&key, Some(expected), record.write(&key)?).await? {
            PutOutcome::Put(revision) => return Ok(RenewOutcome::Renewed(record.granted(&lease.name, revision))),
            PutOutcome::Moved(None) => return Ok(RenewOutcome::Lost),
            // An earlier renewal may have been made although it was answered with an error: then it is still ours.
            PutOutcome::Moved(Some(current)) => {
                if !LeaseRecord::read(&key, &current.value)?.holder.is(&lease.holder) {
                    return Ok(RenewOutcome::Lost);
                }
                expected = current.revision;
            }
        }
    }
}

/// [`StateStore::release_lease`] by compare-and-delete.
pub(super) async fn release(store: &dyn StateStore, lease: &Lease) -> Result<(), StateError> {
    let key = key_of(&lease.name);
    while let Some(current) = store.get(&key).await? {
        if !LeaseRecord::read(&key, &current.value)?.holder.is(&lease.holder) {
            break;
        }
        store.compare_and_delete(&key, current.revision).await?;
    }
    Ok(())
}

/// [`StateStore::leases`] by listing the keys.
pub(super) async fn views(
    store: &dyn StateStore,
    clock: &dyn Clock,
    prefix: &str,
) -> Result<Vec<LeaseView>, StateError> {
    let now = clock.now();
    let mut views = Vec::new();
    for entry in store.list(&key_of(prefix)).await? {
        let record = LeaseRecord::read(&entry.key, &entry.value)?;
        let in_force = record.in_force(now);
        let LeaseRecord { holder, since, expires_at } = record;
        let name = entry.key.strip_prefix(KEY_PREFIX).unwrap_or(&entry.key).to_owned();
        views.push(LeaseView { name, holder, since, expires_at, in_force });
    }
    Ok(views)
}

fn key_of(name: &str) -> String {
    format!("{KEY_PREFIX}{name}")
}

fn after(now: DateTime<Utc>, ttl: Duration) -> DateTime<Utc> {
    let ttl = TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
