//! Commit files: where they are, how they are read, and what is wrong with a damaged one.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use deltalake::logstore::LogStoreRef;
use object_store::ObjectStoreExt;
use object_store::path::Path as StorePath;
use serde::de::DeserializeOwned;
use windlass_storage::Location;

use super::action::{Action, CommitInfo, Line};
use super::put::COMMIT_TOKEN;
use super::store::store_error;
use crate::{DeltaError, ReadError};

/// The folder of the log, below the table's root.
pub(super) const LOG_FOLDER: &str = "_delta_log";

/// Where the commit file of `version` is, below the table's root.
pub(crate) fn commit_path(version: u64) -> StorePath {
    StorePath::from_iter([LOG_FOLDER.to_owned(), format!("{version:020}.json")])
}

/// The commit that made a version of a table, as its file has it.
#[derive(Debug)]
pub(crate) struct CommitFile {
    table: String,
    version: u64,
    written: DateTime<Utc>,
    bytes: Bytes,
}

impl CommitFile {
    /// Reads the commit that made `version`; `None` if its file is not there, or not any more. Costs one request.
    ///
    /// # Errors
    /// [`DeltaError::Log`] if the store fails.
    pub(crate) async fn read(location: &Location, log: &LogStoreRef, version: u64) -> Result<Option<Self>, DeltaError> {
        let found = match log.object_store(None).get(&commit_path(version)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(store_error(location, source)),
        };
        let written = found.meta.last_modified;
        let bytes = found.bytes().await.map_err(|source| store_error(location, source))?;
        Ok(Some(Self { table: location.to_string(), version, written, bytes }))
    }

    /// When the file was written, by the store's clock.
    pub(crate) fn written(&self) -> DateTime<Utc> {
        self.written
    }

    /// The actions, in the order of the file, up to the first line that is damaged.
    ///
    /// # Errors
    /// [`ReadError::InvalidLog`] that names the file, if it is empty or does not hold JSON to its end, or if an action is
    /// not what the protocol says it is.
    pub(crate) fn actions(&self) -> impl Iterator<Item = Result<Action, ReadError>> + '_ {
        let empty = self.bytes.trim_ascii().is_empty().then(|| Err(empty_commit(&self.table, self.version)));
        let lines = serde_json::Deserializer::from_slice(&self.bytes).into_iter::<Line>();
        let actions = lines.flat_map(move |line| {
            let (actions, damage) = match line {
                Ok(line) => (Some(line.actions()), None),
                Err(error) => (None, Some(Err(self.damaged(&error)))),
            };
            let actions = actions.into_iter().flatten();
            actions.map(move |action| action.map_err(|_| self.bad_protocol())).chain(damage)
        });
        empty.into_iter().chain(actions)
    }

    /// What the commit says about itself in the fields that `T` has.
    ///
    /// # Errors
    /// [`ReadError::InvalidLog`] that names the file, if one of them is not of its type.
    pub(crate) fn info<T: DeserializeOwned>(&self, info: CommitInfo) -> Result<T, ReadError> {
        info.fields().map_err(|error| self.damaged(&error))
    }

    /// `commitInfo.inCommitTimestamp`, which stands on the first line of a commit that carries its time.
    pub(crate) fn in_commit_time(&self) -> Option<DateTime<Utc>> {
        match self.actions().next()?.ok()? {
            Action::CommitInfo(info) => DateTime::from_timestamp_millis(info.number("inCommitTimestamp")?),
            _ => None,
        }
    }

    /// The token by which the call that put the commit recognises it; `None` if it has none, or cannot be read.
    pub(crate) fn token(&self) -> Option<String> {
        self.actions().map_while(Result::ok).find_map(|action| match action {
            Action::CommitInfo(info) => info.text(COMMIT_TOKEN).map(str::to_owned),
            _ => None,
        })
    }

    fn damaged(&self, error: &serde_json::Error) -> ReadError {
        self.invalid(format!("the commit file `{}` is damaged or cut off ({error})", commit_path(self.version)))
    }

    fn bad_protocol(&self) -> ReadError {
        self.invalid(format!("the protocol action of version {} is malformed", self.version))
    }

    fn invalid(&self, reason: String) -> ReadError {
        ReadError::InvalidLog { location: self.table.clone(), reason }
    }
}

/// The commit file of `version` holds nothing. A disk that lost power may leave such files.
pub(super) fn empty_commit(table: &str, version: u64) -> ReadError {
    let reason = format!("the commit file `{}` is empty", commit_path(version));
    ReadError::InvalidLog { location: table.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::log::VectorDescriptor;

    fn file(text: &str) -> CommitFile {
        CommitFile {
            table: "/t".to_owned(),
            version: 7,
            written: DateTime::UNIX_EPOCH,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    fn actions(text: &str) -> Result<Vec<Action>, String> {
        file(text).actions().collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_action_is_read_and_others_are_left_out() {
        let text = r#"{"commitInfo":{"timestamp":5,"commitToken":"t","inCommitTimestamp":1000}}
            {"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"]}}
            {"metaData":{"id":"i","format":{"provider":"parquet"},"schemaString":"{}","partitionColumns":["p"],"configuration":{}}}
            {"domainMetadata":{"domain":"d","configuration":"","removed":false}}
            {"txn":{"appId":"a","version":4,"lastUpdated":9}}
            {"add":{"path":"f","partitionValues":{"p":null},"size":3,"modificationTime":1,"dataChange":true,"stats":"{}",
                "deletionVector":{"storageType":"i","pathOrInlineDv":"x","sizeInBytes":1,"cardinality":2}}}
            {"remove":{"path":"g","dataChange":false}}
            {"cdc":{"path":"h","partitionValues":{},"size":1,"dataChange":false}}"#;
        let read = actions(text).unwrap();
        let [
            Action::CommitInfo(_),
            Action::Protocol(protocol),
            Action::Metadata(metadata),
            Action::Transaction(transaction),
            Action::Add(added),
            Action::Remove(removed),
            Action::ChangeData(changes),
        ] = read.as_slice()
        else {
            panic!("{read:?}")
        };
        assert_eq!(protocol.min_reader_version, 3);
        assert_eq!((metadata.id.as_str(), metadata.partition_columns.as_slice()), ("i", ["p".to_owned()].as_slice()));
        assert_eq!((transaction.app_id.as_str(), transaction.version), ("a", 4));
        assert_eq!((added.path.as_str(), added.size, added.stats.as_deref()), ("f", Some(3), Some("{}")));
        assert!(added.data_change && added.deletion_vector.as_ref().is_some_and(VectorDescriptor::is_inline));
        assert!(!removed.data_change && removed.partition_values.is_none());
        assert_eq!(changes.path, "h");
        assert_eq!(file(text).token().as_deref(), Some("t"));
        assert_eq!(file(text).in_commit_time(), DateTime::from_timestamp_millis(1000));
    }

    #[test]
    fn an_action_that_says_nothing_of_it_changes_rows() {
        let read = actions(r#"{"remove":{"path":"g"}}"#).unwrap();
        assert!(matches!(read.as_slice(), [Action::Remove(removed)] if removed.data_change));
    }

    #[test]
    fn a_damaged_file_is_named() {
        for (text, says) in [
            ("", "00000000000000000007.json` is empty"),
            (" \n", "00000000000000000007.json` is empty"),
            ("{\"txn\":{\"appId\":\"a\",\"version\":4}}\n{\"add\"", "00000000000000000007.json` is damaged or cut off"),
            ("\0\0\0", "00000000000000000007.json` is damaged or cut off"),
            ("{\"txn\":{\"appId\":\"a\"}}", "00000000000000000007.json` is damaged or cut off"),
            ("{\"protocol\":{}}", "the protocol action of version 7 is malformed"),
        ] {
            let told = actions(text).unwrap_err();
            assert!(told.contains(says), "{text:?}: {told}");
        }
        // What came before the damage is read, and nothing after it.
        let damaged = file("{\"txn\":{\"appId\":\"a\",\"version\":4}}\noops\n{\"remove\":{\"path\":\"g\"}}");
        let read: Vec<_> = damaged.actions().map(|action| action.is_ok()).collect();
        assert_eq!(read, [true, false]);
    }

    #[test]
    fn a_reader_parses_the_fields_of_the_commit_info_that_it_needs() {
        #[derive(Debug, Deserialize)]
        struct Numbers {
            count: Option<u64>,
        }
        let commit = file(r#"{"commitInfo":{"count":3,"commitToken":{"of":"another program"}}}"#);
        let Some(Ok(Action::CommitInfo(info))) = commit.actions().next() else { panic!() };
        assert_eq!(commit.info::<Numbers>(info).unwrap().count, Some(3));
        assert_eq!(commit.token(), None);
        let commit = file(r#"{"commitInfo":{"count":"three"}}"#);
        let Some(Ok(Action::CommitInfo(info))) = commit.actions().next() else { panic!() };
        let told = commit.info::<Numbers>(info).unwrap_err().to_string();
        assert!(told.contains("is damaged or cut off (invalid type"), "{told}");
    }

    #[test]
    fn the_token_of_a_file_that_cannot_be_read_is_nobodys() {
        assert_eq!(file("").token(), None);
        assert_eq!(file("oops\n{\"commitInfo\":{\"commitToken\":\"t\"}}").token(), None);
        assert_eq!(file("{\"commitInfo\":{\"commitToken\":\"t\"}}\noops").token().as_deref(), Some("t"));
    }
}
