//! Setting cursors by hand: a commit of its own that changes no row and says who did it and why.
//!
//! As in every commit, the version after the one that was looked at is put only if it is absent, and after anything but a
//! clear answer the log decides whether it is there: the commit carries a token by which it is known again.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use deltalake::DeltaTableError;
use deltalake::kernel::Snapshot;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::{CommitOrBytes, LogStoreRef};
use serde_json::{Value, json};
use uuid::Uuid;
use windlass_base::ids::{AppId, TableVersion};
use windlass_storage::{Location, Stores};

use super::DeltaError;
use super::log_store::log_store;
use super::table::unsupported;
use super::write::WriteError;

/// The operation's name in the table's history.
const OPERATION: &str = "CURSOR RESET";
/// How often the commit is tried before the table counts as too busy, or its store as out of reach.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(25);

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
    let log = log_store(location, stores)?;
    let table = location.to_string();
    let token = Uuid::new_v4().simple().to_string();
    for attempt in 0..ATTEMPTS {
        let failed = |source| match attempt {
            0 => DeltaError::Log { location: table.clone(), source },
            _ => WriteError::Unknown { table: table.clone(), source }.into(),
        };
        let snapshot = Snapshot::try_new(log.as_ref(), None).await.map_err(failed)?;
        let features = unsupported(&snapshot);
        if !features.is_empty() {
            return Err(WriteError::Unsupported { table, features }.into());
        }
        let late = attempt > 0 && token_of(&log, base.0 + 1).await.map_err(failed)?.is_some_and(|found| found == token);
        if late {
            return Ok(TableVersion(base.0 + 1));
        }
        if snapshot.version() != base.0 {
            return Err(WriteError::Moved { table, base, found: TableVersion(snapshot.version()) }.into());
        }
        let version = base.0 + 1;
        let bytes = commit_of(cursors, info, &token, snapshot.version()).into();
        match log.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), Uuid::new_v4()).await {
            Ok(()) => return Ok(TableVersion(version)),
            // This may also be an earlier try of this call, whose answer was lost.
            Err(TransactionError::VersionAlreadyExists(_)) => {}
            Err(error) => {
                tracing::warn!(table, version, %error, "a commit failed; the log decides whether it is there");
            }
        }
        match token_of(&log, version).await {
            Ok(Some(found)) if found == token => return Ok(TableVersion(version)),
            Ok(Some(_)) => return Err(WriteError::Moved { table, base, found: TableVersion(version) }.into()),
            Ok(None) => tokio::time::sleep(PAUSE).await,
            Err(source) => return Err(WriteError::Unknown { table, source }.into()),
        }
    }
    Err(WriteError::Contended { table, attempts: ATTEMPTS }.into())
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
        "commitToken": token,
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

/// The token of the commit that made a version, empty if it has none; `None` if there is no such version.
async fn token_of(log: &LogStoreRef, version: u64) -> Result<Option<String>, DeltaTableError> {
    let Some(bytes) = log.read_commit_entry(version).await? else { return Ok(None) };
    let mut lines = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
    // A commit that cannot be read as JSON is not ours.
    let token = lines.find_map(|line| Some(line.ok()?.get("commitInfo")?.get("commitToken")?.as_str()?.to_owned()));
    Ok(Some(token.unwrap_or_default()))
}
