//! How a commit comes into a log: the version after the one that was looked at is put only if it is absent, and after
//! anything but a clear answer the log decides whether it is there.
//!
//! ```text
//! log ─look→ ┬─ decided: the commit is there, or must not be made any more → its outcome
//!     ↑      └─ open ─prepare→ bytes ─put the next version if absent→ ┬─ done → its outcome
//!     └───────────────────────── look again ──────────────────────────┘
//! ```

use std::time::Duration;

use bytes::Bytes;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use uuid::Uuid;

use crate::DeltaError;
use crate::error::WriteError;

/// The `commitInfo` key of the token by which a call recognises its own commit.
pub(crate) const COMMIT_TOKEN: &str = "commitToken";

/// A commit that is to be made once, whatever the store answers.
pub(crate) trait ConditionalCommit: Sync {
    /// How it ends.
    type Outcome: Send;
    /// What the log says while it is open.
    type Base: Send;

    /// How often it is tried before the table counts as too busy, or its store as out of reach.
    const ATTEMPTS: usize;

    /// The log that it goes to.
    fn log(&self) -> &LogStoreRef;

    /// The table's root, for messages.
    fn table(&self) -> &str;

    /// Reads what the log says about the commit. Once it was `tried` the log may hold it.
    fn look(&self, tried: bool)
    -> impl Future<Output = Result<LogState<Self::Outcome, Self::Base>, DeltaError>> + Send;

    /// The commit on what the log says; `None` if the log has to be looked at again.
    fn prepare(
        &self,
        base: Self::Base,
    ) -> impl Future<Output = Result<Option<PreparedCommit<Self::Outcome>>, DeltaError>> + Send;
}

/// What a log says about a commit that is to be made.
#[derive(Debug)]
pub(crate) enum LogState<O, B> {
    /// It is there, or must not be made any more.
    Decided(O),
    /// It can be made.
    Open(B),
    /// The log has moved on while it was read.
    Unclear,
}

/// A commit that can be put.
#[derive(Debug)]
pub(crate) struct PreparedCommit<O> {
    /// The version that it makes.
    pub(crate) version: u64,
    /// Its lines.
    pub(crate) bytes: Bytes,
    /// How it has ended if it is put.
    pub(crate) outcome: O,
}

/// Makes a commit once.
///
/// # Errors
/// [`WriteError::Contended`] if others were always faster, or if the store never answered clearly, and the errors of the
/// commit's own steps.
pub(crate) async fn put_once<C: ConditionalCommit>(commit: &C) -> Result<C::Outcome, DeltaError> {
    for attempt in 0..=C::ATTEMPTS {
        match commit.look(attempt > 0).await? {
            LogState::Decided(outcome) => return Ok(outcome),
            LogState::Open(_) if attempt == C::ATTEMPTS => break,
            LogState::Open(base) => {
                if let Some(PreparedCommit { version, bytes, outcome }) = commit.prepare(base).await?
                    && is_put(commit.log(), commit.table(), version, bytes).await
                {
                    return Ok(outcome);
                }
            }
            LogState::Unclear => {}
        }
        tokio::time::sleep(pause(attempt)).await;
    }
    Err(WriteError::Contended { table: commit.table().to_owned(), attempts: C::ATTEMPTS }.into())
}

/// Puts a version; whether it is known to be there. If not, it may be there all the same.
async fn is_put(log: &LogStoreRef, table: &str, version: u64, bytes: Bytes) -> bool {
    match put_version(log, version, bytes).await {
        Ok(()) => true,
        Err(TransactionError::VersionAlreadyExists(_)) => false,
        Err(error) => {
            tracing::warn!(table, version, %error, "a commit failed; the log decides whether it is there");
            false
        }
    }
}

/// Puts a version if it is absent.
///
/// # Errors
/// [`TransactionError::VersionAlreadyExists`] if it is there, possibly by an earlier put whose answer was lost. After any
/// other error it is unknown whether it is.
pub(crate) async fn put_version(log: &LogStoreRef, version: u64, bytes: Bytes) -> Result<(), TransactionError> {
    log.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await
}

/// Why the log of `table` could not be read. Once a commit was `tried`, its outcome is unknown.
pub(crate) fn unread(table: &str, error: DeltaError, tried: bool) -> DeltaError {
    match error {
        DeltaError::Log { source, .. } if tried => WriteError::Unknown { table: table.to_owned(), source }.into(),
        error => error,
    }
}

/// How long to wait after the given number of failures: none at first, then a random part of a growing time.
pub(crate) fn pause(failures: usize) -> Duration {
    let longest = 1u64 << failures.min(8);
    let random = u64::from(Uuid::new_v4().as_bytes()[0]);
    Duration::from_micros(if failures == 0 { 0 } else { longest * 1000 * random / 255 })
}
