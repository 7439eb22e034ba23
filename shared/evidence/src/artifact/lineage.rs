//! `lineage.json`: what each new version was made of.

use serde::{Deserialize, Serialize};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_project::strategy::Strategy;

use super::columns::ColumnLineage;
use super::incremental::{ReuseVerdict, SourceChange, TouchedRows};

/// The lineage of everything that a run committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageRecord {
    /// One entry a stage, in the order of the plan.
    pub stages: Vec<StageLineage>,
}

/// What one stage's version was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageLineage {
    /// The stage.
    pub stage: NodeName,
    /// What its query read, views seen through.
    pub inputs: Vec<LineageInput>,
    /// The hash of the stage's query and settings, comments and white space aside.
    pub code_fingerprint: String,
    /// The hash of its plan in canonical form.
    pub plan_fingerprint: String,
    /// Where its table lies, without credentials.
    pub location: String,
    /// The part of the reuse key that stands for the code: the hash of all that decides the rows but the data.
    #[serde(default)]
    pub code_version: String,
    /// Whether the table was used as it was, and if not what had changed.
    #[serde(default)]
    pub reuse: ReuseVerdict,
    /// How the table was brought up to date, if it was.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// How much of the table the changes touched, if that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<TouchedRows>,
    /// Whether affected keys got their new rows from the changes and the table alone, without a look at the inputs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_changes: bool,
    /// Why all rows were computed although changes were to be applied, if that showed only in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// The changes of each input that were applied.
    #[serde(default)]
    pub changes: Vec<SourceChange>,
    /// The version that it committed, if it did.
    #[serde(default)]
    pub output_version: Option<TableVersion>,
    /// What its columns depend on, views seen through. None of a table that was used as it was: the run that computed it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnLineage>,
}

/// One input of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageInput {
    /// The source or stage.
    pub name: NodeName,
    /// The pinned version of a source, or the version that a stage of this run committed before.
    #[serde(default)]
    pub version: Option<TableVersion>,
    /// The identity of the scan, or of the content where there is no version.
    #[serde(default)]
    pub identity: Option<String>,
}
