//! Snapshots: the state of a table at one version, as the library loads it from the log.

use deltalake::kernel::Snapshot;
use deltalake::logstore::LogStoreRef;
use windlass_storage::Location;

use super::check::{check_commits, explain};
use super::protocol::ReaderProtocol;
use crate::{DeltaError, ReadError};

/// The table property that moves commit times into the log ("In-Commit Timestamps").
pub(crate) const IN_COMMIT_TIMESTAMPS: &str = "delta.enableInCommitTimestamps";

/// The snapshot of `version`, or of the newest, of a table whose reader features are all read.
///
/// # Errors
/// As [`pin`](crate::pin::pin).
pub(crate) async fn load(location: &Location, log: &LogStoreRef, version: Option<u64>) -> Result<Snapshot, DeltaError> {
    check_commits(location, log, version).await?;
    let snapshot = match Snapshot::try_new(log.as_ref(), version).await {
        Ok(snapshot) => snapshot,
        Err(cause) => return Err(explain(location, log, version, cause).await),
    };
    protocol_of(location, &snapshot)?.check(location)?;
    Ok(snapshot)
}

/// What `snapshot` asks of its readers.
///
/// # Errors
/// [`ReadError::InvalidLog`] if its protocol is malformed.
pub(crate) fn protocol_of(location: &Location, snapshot: &Snapshot) -> Result<ReaderProtocol, ReadError> {
    serde_json::to_value(snapshot.protocol()).and_then(serde_json::from_value).map_err(|error| ReadError::InvalidLog {
        location: location.to_string(),
        reason: format!("its protocol action is malformed ({error})"),
    })
}

/// Whether the table's commits carry their own time.
pub(crate) fn commits_carry_time(snapshot: &Snapshot) -> bool {
    snapshot.metadata().configuration().get(IN_COMMIT_TIMESTAMPS).is_some_and(|value| value == "true")
}
