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
use windlass_base::failpoint;

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
    failpoint!("delta.put.before");
    let put = log.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await;
    failpoint!("delta.put.after");
    put
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use windlass_base::error::Coded;
    use windlass_storage::{Location, Stores};

    use super::*;
    use crate::log::{CommitFile, log_store};

    /// A commit of version 0 with a token, which looks for the token once it was tried.
    struct First {
        location: Location,
        log: LogStoreRef,
        table: String,
        token: &'static str,
    }

    impl First {
        fn new(stores: &Stores, token: &'static str) -> Self {
            let location = Location::parse("memory:///t", Path::new("/")).unwrap();
            let (log, table) = (log_store(&location, stores).unwrap(), location.to_string());
            Self { location, log, table, token }
        }

        fn bytes(&self) -> Bytes {
            format!("{{\"commitInfo\":{{\"{COMMIT_TOKEN}\":\"{}\"}}}}", self.token).into()
        }
    }

    impl ConditionalCommit for First {
        /// Who made version 0, and whether that was known without another look.
        type Outcome = (Option<String>, bool);
        type Base = ();

        const ATTEMPTS: usize = 2;

        fn log(&self) -> &LogStoreRef {
            &self.log
        }

        fn table(&self) -> &str {
            &self.table
        }

        async fn look(&self, tried: bool) -> Result<LogState<Self::Outcome, ()>, DeltaError> {
            if self.token == "blind" || !tried {
                return Ok(LogState::Open(()));
            }
            let commit = CommitFile::read(&self.location, &self.log, 0).await?;
            Ok(commit.map_or(LogState::Open(()), |commit| LogState::Decided((commit.token(), false))))
        }

        async fn prepare(&self, (): ()) -> Result<Option<PreparedCommit<Self::Outcome>>, DeltaError> {
            let outcome = (Some(self.token.to_owned()), true);
            Ok(Some(PreparedCommit { version: 0, bytes: self.bytes(), outcome }))
        }
    }

    #[tokio::test]
    async fn a_version_is_put_once_and_the_log_says_by_whom() {
        let stores = Stores::default();
        let ours = First::new(&stores, "ours");
        assert_eq!(put_once(&ours).await.unwrap(), (Some("ours".to_owned()), true));
        // The answer was lost, say: the call finds its own commit.
        assert_eq!(put_once(&ours).await.unwrap(), (Some("ours".to_owned()), false));
        let late = First::new(&stores, "late");
        assert_eq!(put_once(&late).await.unwrap(), (Some("ours".to_owned()), false));
    }

    #[tokio::test]
    async fn who_is_always_late_is_told_so() {
        let stores = Stores::default();
        put_once(&First::new(&stores, "ours")).await.unwrap();
        let error = put_once(&First::new(&stores, "blind")).await.unwrap_err();
        assert_eq!(error.code().0, "WL0434", "{error}");
    }
}
