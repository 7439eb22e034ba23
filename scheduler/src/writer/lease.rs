//! A home in an object store: objects that are numbered without gaps, each put only if it is absent. The newest says who
//! writes, and until when; a process that finds it expired or given back puts the next.
//!
//! No more is asked of the store than of commits: a put that checks atomically whether the object is there. Who has put an
//! object looks once more whether it is the newest, since numbers before the newest are removed and could be put again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;
use windlass_storage::{Location, Stores};

use super::{Record, WriterError};
use crate::clock::Clock;
use crate::state::{LeaseHolder, ProcessIdentity};

/// The folder of the objects in the home.
const FOLDER: &str = "writer";
/// How long a lease lasts without being renewed: longer than clocks of machines differ, and a busy store lets one wait.
const TTL: TimeDelta = TimeDelta::seconds(60);
/// How often others may be faster.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What an object holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Grant {
    #[serde(flatten)]
    record: Record,
    /// Whether it was given back.
    released: bool,
    /// Tells one grant from all others.
    token: String,
}

impl Grant {
    /// Whether it keeps another process out.
    fn in_force(&self, now: DateTime<Utc>) -> bool {
        let Record { holder, expires_at, .. } = &self.record;
        let alive = !holder.who.is_gone() && holder.who != ProcessIdentity::current();
        !self.released && alive && expires_at.is_none_or(|at| now < at)
    }
}

/// A lease that this process has been granted.
#[derive(Debug)]
pub(super) struct ObjectLease {
    objects: Objects,
    number: u64,
    grant: Mutex<Grant>,
}

/// The objects of a home.
#[derive(Debug)]
struct Objects {
    home: String,
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

impl ObjectLease {
    /// Takes the home.
    pub(super) async fn take(
        home: &Location,
        holder: LeaseHolder,
        stores: &Stores,
        clock: &dyn Clock,
    ) -> Result<Self, WriterError> {
        let objects = Objects::of(home, stores)?;
        let now = clock.now();
        let record = Record { holder, since: now, expires_at: Some(now + TTL) };
        let grant = Grant { record, released: false, token: Uuid::new_v4().simple().to_string() };
        for _ in 0..ATTEMPTS {
            let newest = objects.newest().await?;
            if let Some(found) = match newest {
                Some(number) => objects.get(number).await?,
                None => None,
            } && found.in_force(clock.now())
            {
                let Record { holder, since, expires_at } = found.record;
                let (home, holder) = (objects.home, Box::new(holder));
                return Err(WriterError::Busy { home, holder, since, expires_at });
            }
            let number = newest.map_or(0, |number| number + 1);
            if objects.create(number, &grant).await? && objects.newest().await? == Some(number) {
                objects.remove_before(number).await;
                return Ok(Self { objects, number, grant: Mutex::new(grant) });
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(objects.unusable("another process was faster at each attempt"))
    }

    /// Prolongs the lease; whether it is still this process's.
    pub(super) async fn renew(&self, clock: &dyn Clock) -> Result<bool, WriterError> {
        if self.objects.newest().await? != Some(self.number) {
            return Ok(false);
        }
        let mut grant = self.grant.lock().clone();
        grant.record.expires_at = Some(clock.now() + TTL);
        self.objects.put(self.number, &grant).await?;
        *self.grant.lock() = grant;
        Ok(self.objects.newest().await? == Some(self.number))
    }

    /// Whether it has not expired.
    pub(super) fn is_in_force(&self, clock: &dyn Clock) -> bool {
        self.grant.lock().record.expires_at.is_none_or(|at| clock.now() < at)
    }

    /// Gives it back. The object stays, so that its number is not given twice.
    pub(super) async fn release(&self, clock: &dyn Clock) -> Result<(), WriterError> {
        let mut grant = self.grant.lock().clone();
        (grant.released, grant.record.expires_at) = (true, Some(clock.now()));
        self.objects.put(self.number, &grant).await
    }
}

impl Objects {
    fn of(home: &Location, stores: &Stores) -> Result<Self, WriterError> {
        let folder = home.join(FOLDER);
        let found = (|| Ok::<_, windlass_storage::StorageError>((stores.store(&folder)?, folder.path()?)))();
        let home = home.to_string();
        let (store, folder) = found.map_err(|source| WriterError::Closed { home: home.clone(), source })?;
        Ok(Self { home, store, folder })
    }

    fn unusable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WriterError {
        WriterError::Unusable { home: self.home.clone(), source: source.into() }
    }

    fn path(&self, number: u64) -> Path {
        self.folder.clone().join(format!("{number:020}.json"))
    }

    async fn numbers(&self) -> Result<Vec<u64>, WriterError> {
        let listed = self.store.list(Some(&self.folder)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|source| self.unusable(source))?;
        let number = |path: &Path| path.filename()?.strip_suffix(".json")?.parse().ok();
        Ok(listed.iter().filter_map(|meta| number(&meta.location)).collect())
    }

    async fn newest(&self) -> Result<Option<u64>, WriterError> {
        Ok(self.numbers().await?.into_iter().max())
    }

    /// A grant; `None` if it was removed meanwhile, or is none.
    async fn get(&self, number: u64) -> Result<Option<Grant>, WriterError> {
        let bytes = match self.store.get(&self.path(number)).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        Ok(serde_json::from_slice(&bytes.map_err(|source| self.unusable(source))?).ok())
    }

    /// Puts a grant if there is none of its number; whether it is there now. A put may have been made although it was
    /// answered with an error.
    async fn create(&self, number: u64, grant: &Grant) -> Result<bool, WriterError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.path(number), self.payload(grant)?, options).await {
            Ok(_) => Ok(true),
            Err(_) if self.get(number).await?.is_some_and(|found| found.token == grant.token) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(source) => Err(self.unusable(source)),
        }
    }

    async fn put(&self, number: u64, grant: &Grant) -> Result<(), WriterError> {
        let put = self.store.put(&self.path(number), self.payload(grant)?).await;
        put.map(drop).map_err(|source| self.unusable(source))
    }

    fn payload(&self, grant: &Grant) -> Result<PutPayload, WriterError> {
        Ok(serde_json::to_vec(grant).map_err(|source| self.unusable(source))?.into())
    }

    /// Removes older grants. What stays is removed by the next holder.
    async fn remove_before(&self, number: u64) {
        for old in self.numbers().await.unwrap_or_default().into_iter().filter(|old| *old < number) {
            if let Err(error) = self.store.delete(&self.path(old)).await {
                tracing::warn!(home = %self.home, %error, "an old note of who wrote to the home cannot be removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ProcessIdentity;
    use datafusion::execution::object_store::ObjectStoreRegistry;
    use object_store::memory::InMemory;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[derive(Debug, Default)]
    struct Ticks(AtomicI64);

    impl Clock for Ticks {
        fn now(&self) -> DateTime<Utc> {
            DateTime::from_timestamp(self.0.load(Ordering::SeqCst), 0).unwrap_or_default()
        }
    }

    fn stores() -> Stores {
        let stores = Stores::default();
        stores.register_store(&url::Url::parse("memory://lake/").unwrap(), Arc::new(InMemory::new()));
        stores
    }

    fn elsewhere(name: &str) -> LeaseHolder {
        let who = ProcessIdentity {
            host: name.to_owned(),
            machine: Some(format!("boot of {name}")),
            ..ProcessIdentity::current()
        };
        LeaseHolder { who, run_id: None, note: format!("runs on {name}") }
    }

    #[tokio::test]
    async fn a_lease_keeps_others_out_until_it_is_given_back_or_expires() {
        let (stores, clock) = (stores(), Ticks::default());
        let home = Location::parse("memory://lake/home", std::path::Path::new("/")).unwrap();
        let take = |name: &'static str| ObjectLease::take(&home, elsewhere(name), &stores, &clock);
        let first = take("one").await.unwrap();
        let refused = take("two").await.unwrap_err();
        assert!(
            matches!(&refused, WriterError::Busy { .. }) && refused.to_string().contains("runs on one"),
            "{refused}"
        );
        clock.0.store(40, Ordering::SeqCst);
        assert!(first.renew(&clock).await.unwrap());
        clock.0.store(80, Ordering::SeqCst);
        assert!(take("two").await.is_err(), "the renewal counts");
        first.release(&clock).await.unwrap();

        let second = take("two").await.unwrap();
        assert!(!first.renew(&clock).await.unwrap(), "it is another's now");
        clock.0.store(80 + TTL.num_seconds(), Ordering::SeqCst);
        let third = take("three").await.unwrap();
        assert!(!second.renew(&clock).await.unwrap());
        assert!(third.renew(&clock).await.unwrap());
        assert_eq!(third.objects.numbers().await.unwrap(), [2], "only the newest note stays");
    }

    #[tokio::test]
    async fn of_many_takers_one_gets_the_lease() {
        let (stores, clock) = (stores(), Ticks::default());
        let home = Location::parse("memory://lake/home", std::path::Path::new("/")).unwrap();
        for round in 0..20 {
            let names: Vec<String> = (0..6).map(|taker| format!("{round}-{taker}")).collect();
            let takers = names.iter().map(|name| ObjectLease::take(&home, elsewhere(name), &stores, &clock));
            let taken = futures::future::join_all(takers).await;
            assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1, "{taken:?}");
            clock.0.fetch_add(TTL.num_seconds(), Ordering::SeqCst);
        }
    }
}
