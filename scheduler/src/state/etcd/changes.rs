//! A watch that goes on: after a lost connection where it ended, after a compaction with what is different.

use etcd_client::{EventType, WatchResponse, WatchStream};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::time::sleep;

use super::connection::PAUSE;
use super::{EtcdStore, key_end};
use crate::state::error::StateError;
use crate::state::store::Change;
use crate::state::watch::Seen;

/// A watch of the keys that begin with `prefix`.
struct Watching {
    store: EtcdStore,
    prefix: String,
    seen: Seen,
    /// The first revision that has not been seen.
    next: i64,
    stream: Option<WatchStream>,
}

/// What changes under `prefix` from the revision `next` on, before which the keys were as `seen`. An error is not the
/// end of the stream: it is tried again.
pub(super) fn changes(
    store: EtcdStore,
    prefix: String,
    seen: Seen,
    next: i64,
) -> BoxStream<'static, Result<Change, StateError>> {
    let watching = Watching { store, prefix, seen, next, stream: None };
    let batches = stream::unfold(watching, |mut watching| async move {
        let batch = match watching.batch().await {
            Ok(changes) => changes.into_iter().map(Ok).collect(),
            Err(error) => {
                sleep(PAUSE).await;
                vec![Err(error)]
            }
        };
        Some((stream::iter(batch), watching))
    });
    batches.flatten().boxed()
}

/// Begins to watch from the revision `next` on.
async fn begin(store: &EtcdStore, prefix: &str, next: i64) -> Result<WatchStream, StateError> {
    // A token that has expired is renewed by this, and not by a watch.
    store.check_format().await?;
    let from = store.key(prefix);
    store.connection.watch(&from, &key_end(&from), next).await
}

impl Watching {
    /// The next changes; none if the watch had to be begun again. After an error it is begun again.
    async fn batch(&mut self) -> Result<Vec<Change>, StateError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => begin(&self.store, &self.prefix, self.next).await?,
        };
        let response = match stream.message().await.map_err(|error| self.store.connection.failed(error)) {
            Ok(Some(response)) => response,
            // The connection was lost, or its server has lost the others.
            Ok(None) | Err(StateError::Unreachable { .. }) => {
                sleep(PAUSE).await;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        if response.compact_revision() > 0 {
            return self.differences().await;
        }
        if response.canceled() {
            let error = etcd_client::Error::WatchError(response.cancel_reason().to_owned());
            return Err(self.store.connection.failed(error));
        }
        let changes = self.read(&response);
        self.stream = Some(stream);
        Ok(changes)
    }

    /// What is different from what was seen, where the changes themselves are not kept any more.
    async fn differences(&mut self) -> Result<Vec<Change>, StateError> {
        let (entries, revision) = self.store.listing(&self.prefix).await?;
        self.next = revision + 1;
        Ok(self.seen.changes(entries))
    }

    fn read(&mut self, response: &WatchResponse) -> Vec<Change> {
        let mut changes = Vec::new();
        for event in response.events() {
            let Some(kv) = event.kv() else { continue };
            let change = match event.event_type() {
                EventType::Put => Change::Put(self.store.entry(kv)),
                EventType::Delete => Change::Deleted { key: self.store.entry(kv).key },
            };
            self.seen.note(&change);
            self.next = self.next.max(kv.mod_revision() + 1);
            changes.push(change);
        }
        changes
    }
}
