//! Setting cursors by hand: a commit of its own that changes no row and says who did it and why.
//!
//! The commit carries a token by which it is known again where the store's answer was lost.

use std::collections::BTreeMap;

use chrono::Utc;
use deltalake::kernel::Snapshot;
use deltalake::logstore::LogStoreRef;
use serde_json::{Value, json};
use uuid::Uuid;
use windlass_base::ids::{AppId, TableVersion};
use windlass_storage::{Location, Stores};

use crate::DeltaError;
use crate::error::WriteError;
use crate::log::{COMMIT_TOKEN, CommitFile, ConditionalCommit, LogState, PreparedCommit, log_store, put_once, unread};
use crate::table::unsupported;

/// The operation's name in the table's history.
const OPERATION: &str = "CURSOR RESET";

/// Sets the cursors of a stage's table, which was looked at in version `base`, to the given versions, in one commit that
/// holds nothing else. `info` goes into its `commitInfo`. Gives the version that it made.
///
/// # Errors
/// [`DeltaError::Log`] if there is no table or its log cannot be read, [`WriteError::Unsupported`] for a table that this
/// writer must not write, [`WriteError::Moved`] if others have committed since `base`, [`WriteError::Contended`] if the
/// store did not answer clearly, [`WriteError::Unknown`] if it failed and the log could not be read afterwards: then the
/// commit may be there.
pub async fn reset_cursors(
    location: &Location,
    base: TableVersion,
    cursors: &BTreeMap<AppId, i64>,
    info: &BTreeMap<String, Value>,
    stores: &Stores,
) -> Result<TableVersion, DeltaError> {
    let reset = Reset {
        log: log_store(location, stores)?,
        location,
        table: location.to_string(),
        base,
        cursors,
        info,
        token: Uuid::new_v4().simple().to_string(),
    };
    put_once(&reset).await
}

/// One call of [`reset_cursors`].
struct Reset<'a> {
    log: LogStoreRef,
    location: &'a Location,
    table: String,
    base: TableVersion,
    cursors: &'a BTreeMap<AppId, i64>,
    info: &'a BTreeMap<String, Value>,
    token: String,
}

impl ConditionalCommit for Reset<'_> {
    type Outcome = TableVersion;
    type Base = ();

    const ATTEMPTS: usize = 20;

    fn log(&self) -> &LogStoreRef {
        &self.log
    }

    fn table(&self) -> &str {
        &self.table
    }

    async fn look(&self, tried: bool) -> Result<LogState<TableVersion, ()>, DeltaError> {
        let unread = |error| unread(&self.table, error, tried);
        let next = self.next();
        if tried && let Some(commit) = CommitFile::read(self.location, &self.log, next.0).await.map_err(unread)? {
            // This may be an earlier try of this call, whose answer was lost.
            return match commit.token() {
                Some(token) if token == self.token => Ok(LogState::Decided(next)),
                _ => Err(self.moved(next).into()),
            };
        }
        let snapshot = Snapshot::try_new(self.log.as_ref(), None).await;
        let snapshot = snapshot.map_err(|source| unread(DeltaError::Log { location: self.table.clone(), source }))?;
        let features = unsupported(&snapshot);
        if !features.is_empty() {
            return Err(WriteError::Unsupported { table: self.table.clone(), features }.into());
        }
        match snapshot.version() == self.base.0 {
            true => Ok(LogState::Open(())),
            false if tried => Ok(LogState::Unclear),
            false => Err(self.moved(TableVersion(snapshot.version())).into()),
        }
    }

    async fn prepare(&self, (): ()) -> Result<Option<PreparedCommit<TableVersion>>, DeltaError> {
        let bytes = commit_of(self.cursors, self.info, &self.token, self.base.0).into();
        Ok(Some(PreparedCommit { version: self.next().0, bytes, outcome: self.next() }))
    }
}

impl Reset<'_> {
    /// The version that the commit makes.
    fn next(&self) -> TableVersion {
        TableVersion(self.base.0 + 1)
    }

    fn moved(&self, found: TableVersion) -> WriteError {
        WriteError::Moved { table: self.table.clone(), base: self.base, found }
    }
}

/// The lines of the commit.
fn commit_of(
    cursors: &BTreeMap<AppId, i64>,
    info: &BTreeMap<String, Value>,
    token: &str,
    read_version: u64,
) -> Vec<u8> {
    let now = Utc::now().timestamp_millis();
    let parameters: serde_json::Map<String, Value> =
        cursors.iter().map(|(key, version)| (key.to_string(), json!(version.to_string()))).collect();
    let mut commit_info = json!({
        "timestamp": now,
        "operation": OPERATION,
        "operationParameters": parameters,
        "readVersion": read_version,
        "isBlindAppend": true,
        "engineInfo": format!("windlass:{}", env!("CARGO_PKG_VERSION")),
        COMMIT_TOKEN: token,
    });
    for (key, value) in info {
        commit_info[key] = value.clone();
    }
    let mut lines = format!("{}\n", json!({ "commitInfo": commit_info }));
    for (key, version) in cursors {
        let txn = json!({ "txn": { "appId": key, "version": version, "lastUpdated": now } });
        lines.push_str(&format!("{txn}\n"));
    }
    lines.into_bytes()
}
