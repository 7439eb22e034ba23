//! What an attempt leaves for the commit: one type, from the attempt over the run's events to the commit, and one serialised
//! form, that of the event log.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_base::ids::{AppId, TableVersion};
use windlass_delta::commit::{BaseExpectation, CommitMode};
use windlass_delta::table::TableChange;
use windlass_delta::write::StagedFiles;
use windlass_storage::Location;

/// What an execution left to be committed. The state machine keeps it and hands it on, unread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Staged(pub Arc<StagedWrite>);

/// What an execution leaves for the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "staged", rename_all = "snake_case")]
pub enum StagedWrite {
    /// There is nothing to commit: the table is used as it is.
    Nothing {
        /// The table's version.
        version: TableVersion,
    },
    /// A commit.
    Commit(Box<StagedCommit>),
}

impl StagedWrite {
    /// The rows, bytes and files that are staged.
    pub(in crate::run) fn sizes(&self) -> (u64, u64, u64) {
        match self {
            Self::Commit(write) => (write.files.rows(), write.files.bytes(), write.files.files() as u64),
            Self::Nothing { .. } => (0, 0, 0),
        }
    }
}

/// What a commit is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedCommit {
    pub(in crate::run) files: StagedFiles,
    pub(in crate::run) mode: CommitMode,
    pub(in crate::run) base: BaseExpectation,
    pub(in crate::run) change: Option<TableChange>,
    pub(in crate::run) plan_fingerprint: String,
    /// How far the inputs are applied with it, and which definition made the rows.
    pub(in crate::run) marks: BTreeMap<AppId, i64>,
    /// The version that holds the stage's rows already, if the commit is to say no more than that. It is the one that the
    /// stages behind it read.
    #[serde(default)]
    pub(in crate::run) done_in: Option<TableVersion>,
    /// Rows that were not as expected.
    #[serde(default)]
    pub(in crate::run) quarantine: Option<Box<StagedQuarantine>>,
}

/// Rows that were not as expected, and where they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedQuarantine {
    pub(in crate::run) location: Location,
    pub(in crate::run) files: StagedFiles,
    pub(in crate::run) base: BaseExpectation,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As event logs hold it.
    fn stored() -> Value {
        let add = json!({
            "path": "day=1/part-0.parquet", "partitionValues": {"day": "1"}, "size": 7, "modificationTime": 5,
            "dataChange": true, "stats": "{\"numRecords\":2}", "tags": null, "deletionVector": null, "baseRowId": null,
            "defaultRowCommitVersion": null, "clusteringProvider": null,
        });
        json!({
            "staged": "commit",
            "files": {"actions": [{"add": add}], "rows": 2, "bytes": 7, "tasks": 1},
            "mode": {"merge": {"counts": {"inserted": 2, "updated": 0, "deleted": 0}, "files": [], "changes": []}},
            "base": {"fingerprint": "f", "version": 3},
            "change": null,
            "plan_fingerprint": "p",
            "marks": {"pipeline/stage#code": 9},
        })
    }

    #[test]
    fn what_event_logs_hold_is_read() {
        let staged: Staged = serde_json::from_value(stored()).unwrap();
        assert_eq!(staged.0.sizes(), (2, 7, 1));
        let StagedWrite::Commit(commit) = &*staged.0 else { panic!("{staged:?}") };
        assert_eq!(commit.files.paths().collect::<Vec<_>>(), ["day=1/part-0.parquet"]);
        assert!(commit.done_in.is_none() && commit.quarantine.is_none());
        let text = serde_json::to_string(&staged).unwrap();
        assert_eq!(serde_json::from_str::<Staged>(&text).unwrap(), staged);
        let nothing: Staged = serde_json::from_value(json!({"staged": "nothing", "version": 4})).unwrap();
        assert_eq!(*nothing.0, StagedWrite::Nothing { version: TableVersion(4) });
    }

    #[test]
    fn what_is_written_has_the_names_of_event_logs() {
        let staged: Staged = serde_json::from_value(stored()).unwrap();
        let Value::Object(written) = serde_json::to_value(&staged).unwrap() else { panic!() };
        let Value::Object(stored) = stored() else { panic!() };
        for (name, value) in &stored {
            match name.as_str() {
                "files" => assert_eq!(written[name]["actions"][0]["add"]["path"], value["actions"][0]["add"]["path"]),
                _ => assert_eq!(&written[name], value, "{name}"),
            }
        }
    }
}
