//! What an attempt leaves for the commit, as the run's events hold it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_base::ids::{AppId, TableVersion};
use windlass_delta::commit::{BaseExpectation, CommitMode};
use windlass_delta::table::TableChange;
use windlass_delta::write::StagedFiles;
use windlass_storage::Location;

/// What an execution leaves for the commit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "staged", rename_all = "snake_case")]
pub(in crate::run) enum StagedWrite {
    /// There is nothing to commit: the table is used as it is.
    Nothing {
        /// The table's version.
        version: TableVersion,
    },
    /// A commit.
    Commit(Box<StagedCommit>),
}

/// What a commit is made of.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::run) struct StagedCommit {
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
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::run) struct StagedQuarantine {
    pub(in crate::run) location: Location,
    pub(in crate::run) files: StagedFiles,
    pub(in crate::run) base: BaseExpectation,
}
