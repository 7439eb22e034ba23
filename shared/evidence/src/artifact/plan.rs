//! `plan.json`: what was decided for each stage, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_base::code_parts::CodeParts;
use windlass_base::ids::{NodeName, PipelineName};
use windlass_project::spec::table::WriteMode;
use windlass_project::strategy::Strategy;
use windlass_project::tag::Tags;

use super::incremental::{ReuseVerdict, SourceChange};
use super::pins::PinRecord;
use super::saved_plan::SavedCursor;

/// How a stage's rows come about in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanDecision {
    /// Computed from all rows of its inputs and committed.
    Full,
    /// Brought up to date from the changes of its inputs; the final strategy is settled when those are all known.
    Incremental,
    /// Used as it is: neither its definition nor its inputs have changed.
    Reuse,
    /// Inlined into its readers.
    View,
    /// Computed once, kept for this run and dropped at its end.
    Cache,
    /// Not computed: the reason says what stands against it. It fails, and its readers are skipped.
    Refused,
}

impl PlanDecision {
    /// The decision as JSON and the command write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::Reuse => "reuse",
            Self::View => "view",
            Self::Cache => "cache",
            Self::Refused => "refused",
        }
    }

    /// Whether the stage is one of those that the run executes.
    pub fn is_scheduled(self) -> bool {
        matches!(self, Self::Full | Self::Incremental | Self::Cache | Self::Refused)
    }
}

/// Why a stage is decided about as it is, in a word; [`StageDecision::reason`] says the same as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Neither its definition nor what it reads has changed.
    UpToDate,
    /// A run that was interrupted has committed its rows.
    DoneBefore,
    /// Its table has no rows of a run yet.
    NotBuilt,
    /// A full refresh was asked for.
    FullRefresh,
    /// Every run adds its rows.
    EveryRun,
    /// Another program has changed its table.
    ForeignChange,
    /// Its definition has changed.
    CodeChanged,
    /// Its query gives other rows each time.
    Volatile,
    /// What it reads has changed.
    DataChanged,
    /// An input is read for the first time, is another table than before, or has another history.
    InputReplaced,
    /// The cursor of an input was reset.
    CursorReset,
    /// Changes that its rows hold already are to be applied once more, and rows can only be added to it.
    AppliedAgain,
    /// What it reads has changed, and the changes cannot be followed to its rows.
    NotTraceable,
    /// It is a view, which its readers compute.
    View,
    /// It is a cache that a stage of the run reads, or that is selected.
    Cache,
    /// It may not be computed.
    Refused,
}

/// What was decided for each stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The stages, each after those it reads.
    pub stages: Vec<StageDecision>,
}

/// What was decided for one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StageDecision {
    /// The stage.
    pub stage: NodeName,
    /// How its rows come about.
    pub decision: PlanDecision,
    /// Why, as a sentence for the author of the project.
    pub reason: String,
    /// Why, in a word; none in plans of versions that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The materialised stages that it waits for.
    #[serde(default)]
    pub depends_on: Vec<NodeName>,
    /// The cost of the longest path from here to the end of the run.
    #[serde(default)]
    pub weight: u64,
    /// How its table is brought up to date; none for views, caches and reused tables.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// The changes of each input that it has to apply, for incremental stages.
    #[serde(default)]
    pub changes: Vec<SourceChange>,
    /// Whether its table can be used as it is, and if not why.
    #[serde(default)]
    pub reuse: Option<ReuseVerdict>,
    /// The exports of a table that is used as it is which the run writes, because they are missing or of another version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<String>,
    /// Rows that it has to read, about; none if that is not known: files do not tell, nor do tables that the same run
    /// writes.
    #[serde(default)]
    pub estimated_rows: Option<u64>,
    /// Bytes that it has to read, about; those of tables that the same run writes are not among them.
    #[serde(default)]
    pub estimated_bytes: u64,
    /// The hash of all that decides its rows but the data: its plan in canonical form, what it demands of rows, how files
    /// are read, the functions' versions and the session's settings.
    #[serde(default)]
    pub code_version: String,
    /// A hash of each part of that, by which it can be told what has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_parts: Option<CodeParts>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl StageDecision {
    /// A decision of which nothing more is known yet.
    pub fn new(stage: NodeName, decision: PlanDecision, cause: Cause, reason: String) -> Self {
        Self {
            stage,
            decision,
            reason,
            cause: Some(cause),
            depends_on: Vec::new(),
            weight: 0,
            strategy: None,
            changes: Vec::new(),
            reuse: None,
            exports: Vec::new(),
            estimated_rows: None,
            estimated_bytes: 0,
            code_version: String::new(),
            code_parts: None,
            tags: Tags::default(),
        }
    }

    /// Says which code it is about.
    pub fn set_code(&mut self, version: &str, parts: &CodeParts) {
        version.clone_into(&mut self.code_version);
        self.code_parts = Some(parts.clone());
    }
}

/// What a run would do: what `windlass plan` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlannedRun {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What it would read, at which state.
    pub pins: Vec<PinRecord>,
    /// What was decided for each stage.
    pub stages: Vec<StageDecision>,
    /// The tables that it would write.
    pub tables: Vec<PlannedTable>,
    /// The value of every parameter.
    pub params: serde_json::Value,
    /// The hash of everything about the session that can change a plan.
    #[serde(default)]
    pub session_identity: String,
    /// What the stages' tables have applied before the run.
    #[serde(default)]
    pub cursors: Vec<SavedCursor>,
}

/// A table that a run would write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlannedTable {
    /// The stage.
    pub stage: NodeName,
    /// Where the table is, as a URL.
    pub location: String,
    /// `overwrite` or `append`.
    pub mode: WriteMode,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// The columns that a reader will find.
    pub columns: Vec<PlannedColumn>,
}

/// A column of such a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlannedColumn {
    /// The name.
    pub name: String,
    /// The Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold null.
    pub nullable: bool,
}
