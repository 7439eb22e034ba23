//! A state store in etcd, for the processes of several machines.
//!
//! ```text
//! /<prefix>/format        the layout of what is below the prefix: 1
//! /<prefix>/state/<key>   what a key of the store holds
//! ```
//!
//! The revision of a key is etcd's own, `mod_revision`. Every operation has a time limit. Within it a request is made again
//! where that changes nothing: a read after any passing failure, a change only if it was not sent. So a member that is down
//! is not noticed, while a change whose answer was lost is an error, as the port says.

mod address;
mod changes;
mod connection;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, KvClient, ResponseHeader, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};
use futures::stream::BoxStream;

pub use self::address::{EtcdAddress, EtcdUser};
use self::connection::{Again, Connection, is_compacted};
use super::error::StateError;
use super::lease::{self, Lease, LeaseHolder, LeaseOutcome, LeaseView, RenewOutcome};
use super::store::{Change, DeleteOutcome, Entry, PutOutcome, Revision, StateStore, Versioned};
use super::watch::Seen;
use crate::clock::{Clock, SystemClock};

/// The layout of what is below the prefix.
const FORMAT: &str = "1";
/// How many keys a listing asks for at a time.
const PAGE: i64 = 500;

/// Which etcd is used, and how.
#[derive(Debug, Clone)]
pub struct EtcdConfig {
    /// Its servers, and the prefix of the keys.
    pub address: EtcdAddress,
    /// The user; none where etcd has no users.
    pub user: Option<EtcdUser>,
    /// How long an operation may take.
    pub limit: Duration,
}

impl EtcdConfig {
    /// The etcd at `address`, without a user; an operation may take 5 s.
    pub fn new(address: EtcdAddress) -> Self {
        Self { address, user: None, limit: Duration::from_secs(5) }
    }
}

/// A state store in etcd. Any number of handles, in any number of processes, may use the same prefix.
#[derive(Debug, Clone)]
pub struct EtcdStore {
    clock: Arc<dyn Clock>,
    connection: Connection,
    /// What the names of all its keys in etcd begin with.
    prefix: String,
}

impl EtcdStore {
    /// The store below the prefix of `config`, which is marked with its format if it is new.
    ///
    /// # Errors
    /// [`StateError`] if no server answers, the user is refused, or the prefix has another format.
    pub async fn connect(config: &EtcdConfig) -> Result<Self, StateError> {
        Self::connect_with(config, Arc::new(SystemClock)).await
    }

    /// As [`EtcdStore::connect`], with leases that expire by `clock`.
    ///
    /// # Errors
    /// As [`EtcdStore::connect`].
    pub async fn connect_with(config: &EtcdConfig, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let connection = Connection::open(config).await?;
        let store = Self { clock, connection, prefix: config.address.key_prefix() };
        store.check_format().await?;
        Ok(store)
    }

    async fn check_format(&self) -> Result<(), StateError> {
        let key = format!("{}format", self.prefix);
        let txn = Txn::new()
            .when([Compare::mod_revision(key.as_str(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.as_str(), FORMAT, None)])
            .or_else([TxnOp::get(key.as_str(), None)]);
        let answer = self.transact(Again::Always, txn).await?;
        if answer.succeeded() {
            return Ok(());
        }
        let found = found(&answer).map(|versioned| String::from_utf8_lossy(&versioned.value).into_owned());
        match found {
            Some(found) if found != FORMAT => {
                let store = self.connection.store().to_owned();
                Err(StateError::Format { store, found, supported: FORMAT.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// The name in etcd of a key, or what the names begin with of the keys that begin with it.
    fn key(&self, key: &str) -> String {
        format!("{}state/{key}", self.prefix)
    }

    fn entry(&self, kv: &KeyValue) -> Entry {
        let name = String::from_utf8_lossy(kv.key());
        let start = self.key("");
        let key = name.strip_prefix(&start).unwrap_or(&name).to_owned();
        let Versioned { value, revision } = versioned(kv);
        Entry { key, value, revision }
    }

    async fn transact(&self, again: Again, txn: Txn) -> Result<TxnResponse, StateError> {
        let request = |mut kv: KvClient| {
            let txn = txn.clone();
            async move { kv.txn(txn).await }
        };
        self.connection.call(again, request).await
    }

    /// Makes the change `op` of a key if it has the `expected` revision. Answers with the revision of the change, or with
    /// what the key holds.
    async fn compare_and_change(
        &self,
        key: String,
        expected: Option<Revision>,
        op: TxnOp,
    ) -> Result<Result<Revision, Option<Versioned>>, StateError> {
        // A key that does not exist has the revision 0.
        let expected = expected.map_or(0, |revision| i64::try_from(revision.0).unwrap_or(i64::MAX));
        let txn = Txn::new()
            .when([Compare::mod_revision(key.as_str(), CompareOp::Equal, expected)])
            .and_then([op])
            .or_else([TxnOp::get(key, None)]);
        let answer = self.transact(Again::IfUnsent, txn).await?;
        match answer.succeeded() {
            true => Ok(Ok(Revision(revision_of(answer.header()).unsigned_abs()))),
            false => Ok(Err(found(&answer))),
        }
    }

    /// Every key that begins with `prefix`, all as of one revision of etcd, and that revision.
    async fn listing(&self, prefix: &str) -> Result<(Vec<Entry>, i64), StateError> {
        loop {
            if let Some(listing) = self.pages(prefix).await? {
                return Ok(listing);
            }
        }
    }

    /// As [`EtcdStore::listing`]; `None` if the revision was compacted away before the last page.
    async fn pages(&self, prefix: &str) -> Result<Option<(Vec<Entry>, i64)>, StateError> {
        let start = self.key(prefix);
        let end = key_end(&start);
        let mut from = start.into_bytes();
        let mut entries = Vec::new();
        // The newest, and then that of the first page.
        let mut revision = 0;
        loop {
            let options = GetOptions::new().with_range(end.as_slice()).with_limit(PAGE).with_revision(revision);
            let request = |mut kv: KvClient| {
                let (from, options) = (from.clone(), options.clone());
                async move {
                    match kv.get(from, Some(options)).await {
                        Err(error) if is_compacted(&error) => Ok(None),
                        other => other.map(Some),
                    }
                }
            };
            let Some(page) = self.connection.call(Again::Always, request).await? else { return Ok(None) };
            if revision == 0 {
                revision = revision_of(page.header());
            }
            entries.extend(page.kvs().iter().map(|kv| self.entry(kv)));
            match page.kvs().last() {
                Some(last) if page.more() => {
                    from = last.key().to_vec();
                    from.push(0);
                }
                _ => return Ok(Some((entries, revision))),
            }
        }
    }
}

fn versioned(kv: &KeyValue) -> Versioned {
    let revision = Revision(kv.mod_revision().unsigned_abs());
    Versioned { value: Bytes::copy_from_slice(kv.value()), revision }
}

/// What the key of a transaction held that did not find it as expected.
fn found(answer: &TxnResponse) -> Option<Versioned> {
    answer.op_responses().iter().find_map(|op| match op {
        TxnOpResponse::Get(get) => get.kvs().first().map(versioned),
        _ => None,
    })
}

fn revision_of(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, ResponseHeader::revision)
}

/// The end of the names that begin with `start`, which is not empty: the least one after all of them.
fn key_end(start: &str) -> Vec<u8> {
    let mut end = start.as_bytes().to_vec();
    // No byte of a text is 255.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

#[async_trait]
impl StateStore for EtcdStore {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StateError> {
        let key = self.key(key);
        let request = |mut kv: KvClient| {
            let key = key.clone();
            async move { kv.get(key, None).await }
        };
        let answer = self.connection.call(Again::Always, request).await?;
        Ok(answer.kvs().first().map(versioned))
    }

    async fn compare_and_put(
        &self,
        key: &str,
        expected: Option<Revision>,
        value: Bytes,
    ) -> Result<PutOutcome, StateError> {
        let key = self.key(key);
        let put = TxnOp::put(key.as_str(), value, None);
        let outcome = self.compare_and_change(key, expected, put).await?;
        Ok(outcome.map_or_else(PutOutcome::Moved, PutOutcome::Put))
    }

    async fn compare_and_delete(&self, key: &str, expected: Revision) -> Result<DeleteOutcome, StateError> {
        let key = self.key(key);
        let delete = TxnOp::delete(key.as_str(), None);
        let outcome = self.compare_and_change(key, Some(expected), delete).await?;
        Ok(outcome.map_or_else(DeleteOutcome::Moved, |_| DeleteOutcome::Deleted))
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), StateError> {
        let start = self.key(prefix);
        let options = DeleteOptions::new().with_range(key_end(&start));
        let request = |mut kv: KvClient| {
            let (start, options) = (start.clone(), options.clone());
            async move { kv.delete(start, Some(options)).await }
        };
        self.connection.call(Again::IfUnsent, request).await.map(drop)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StateError> {
        Ok(self.listing(prefix).await?.0)
    }

    async fn watch(&self, prefix: &str) -> Result<BoxStream<'static, Result<Change, StateError>>, StateError> {
        let (entries, revision) = self.listing(prefix).await?;
        Ok(changes::changes(self.clone(), prefix.to_owned(), Seen::new(&entries), revision + 1))
    }

    async fn acquire_lease(&self, name: &str, holder: &LeaseHolder, ttl: Duration) -> Result<LeaseOutcome, StateError> {
        lease::acquire(self, &*self.clock, name, holder, ttl).await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<RenewOutcome, StateError> {
        lease::renew(self, &*self.clock, lease, ttl).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), StateError> {
        lease::release(self, lease).await
    }

    async fn leases(&self, prefix: &str) -> Result<Vec<LeaseView>, StateError> {
        lease::views(self, &*self.clock, prefix).await
    }
}
