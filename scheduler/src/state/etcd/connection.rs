//! Requests to an etcd: how long they may take, when they are made again, and what their errors mean.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Error, KvClient, WatchClient, WatchOptions, WatchStream};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, ConnectError, Status};

use super::EtcdConfig;
use crate::state::error::StateError;

/// How long is waited before a request is made again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// How often a connection in use is tested, and how long the answer may take. The servers take more than a test every
/// five seconds for an attack.
const TEST_PERIOD: Duration = Duration::from_secs(10);
const TEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer: what a server may send at once has no limit of its own.
const LARGEST_ANSWER: usize = i32::MAX as usize;

/// When a request that failed is made again within its time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Again {
    /// Whenever that may help: twice is as good as once.
    Always,
    /// Only if it was not sent: its outcome is unknown otherwise.
    IfUnsent,
}

/// The connections to the servers, one of which gets each request.
#[derive(Clone)]
pub(super) struct Connection {
    kv: KvClient,
    watch: WatchClient,
    /// The address, for messages.
    store: Arc<str>,
    limit: Duration,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Connection {
    /// Prepares the connections, which the first requests make, and signs the user in.
    pub(super) async fn open(config: &EtcdConfig) -> Result<Self, StateError> {
        let mut options = ConnectOptions::new()
            .with_require_leader(true)
            .with_connect_timeout(config.limit)
            .with_keep_alive(TEST_PERIOD, TEST_TIMEOUT)
            .with_keep_alive_while_idle(false);
        if let Some(user) = &config.user {
            options = options.with_user(&user.name, &user.password).with_auto_token_refresh(true);
        }
        let store: Arc<str> = config.address.to_string().into();
        let urls = config.address.urls();
        let connect = || Client::connect::<String, &[String]>(&urls, Some(options.clone()));
        let client = repeated(&store, config.limit, Again::Always, connect).await?;
        let kv = client.kv_client().max_decoding_message_size(LARGEST_ANSWER);
        let watch = client.watch_client().max_decoding_message_size(LARGEST_ANSWER);
        Ok(Self { kv, watch, store, limit: config.limit })
    }

    /// The address, for messages.
    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// Makes a request.
    pub(super) async fn call<T, F>(&self, again: Again, request: impl Fn(KvClient) -> F) -> Result<T, StateError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        repeated(&self.store, self.limit, again, || request(self.kv.clone())).await
    }

    /// Watches the keys from `from` to before `end`, for changes from the revision `first` on.
    pub(super) async fn watch(&self, from: &str, end: &[u8], first: i64) -> Result<WatchStream, StateError> {
        let options = WatchOptions::new().with_range(end).with_start_revision(first);
        let open = || {
            let (mut watch, options) = (self.watch.clone(), options.clone());
            async move { watch.watch(from, Some(options)).await }
        };
        repeated(&self.store, self.limit, Again::Always, open).await
    }

    /// What an error of a request means.
    pub(super) fn failed(&self, error: Error) -> StateError {
        failed(&self.store, error)
    }
}

/// Makes a request until it succeeds, its time is over, or it is of no use to make it again.
async fn repeated<T, F>(store: &str, limit: Duration, again: Again, request: impl Fn() -> F) -> Result<T, StateError>
where
    F: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let error = match timeout_at(deadline, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                let source = format!("no answer within {} ms", limit.as_millis()).into();
                return Err(StateError::Unreachable { store: store.to_owned(), source });
            }
        };
        let useful = match again {
            Again::Always => is_passing(&error),
            Again::IfUnsent => was_not_sent(&error),
        };
        if !useful || Instant::now() + PAUSE >= deadline {
            return Err(failed(store, error));
        }
        sleep(PAUSE).await;
    }
}

fn failed(store: &str, error: Error) -> StateError {
    let store = store.to_owned();
    let (passing, refused) = (is_passing(&error), is_refused(&error));
    let source: Box<dyn std::error::Error + Send + Sync> = match error {
        Error::GRpcStatus(status) => status.message().to_owned().into(),
        other => other.into(),
    };
    match (passing, refused) {
        (true, _) => StateError::Unreachable { store, source },
        (_, true) => StateError::Refused { store, source },
        _ => StateError::Failed { store, source },
    }
}

/// Whether the same request may succeed later.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::TransportError(_) | Error::IoError(_) => true,
        Error::GRpcStatus(status) => {
            // With a source it comes from the connection, not from a server.
            status.source().is_some()
                || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted)
                || status.message().contains("too many requests")
        }
        _ => false,
    }
}

/// Whether no connection could be made for the request.
fn was_not_sent(error: &Error) -> bool {
    let Error::GRpcStatus(status) = error else { return false };
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the user may not do that, or is none.
fn is_refused(error: &Error) -> bool {
    // Some of these have the code of an invalid argument.
    const MESSAGES: [&str; 3] = ["authentication failed", "authentication is not enabled", "user name is empty"];
    let refuses = |status: &Status| {
        matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied)
            || MESSAGES.iter().any(|message| status.message().contains(message))
    };
    matches!(error, Error::GRpcStatus(status) if refuses(status))
}

/// Whether the revision that was asked for has been compacted away.
pub(super) fn is_compacted(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status) if status.message().contains("required revision has been compacted"))
}
