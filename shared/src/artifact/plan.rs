//! `plan.json`: what was decided for each stage, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pins::PinRecord;
use crate::ids::{NodeName, PipelineName};
use crate::spec::table::WriteMode;

/// How a stage's rows come about in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanDecision {
    /// Computed from all rows of its inputs and committed.
    Full,
    /// Inlined into its readers.
    View,
    /// Computed once, kept for this run and dropped at its end.
    Cache,
}

impl PlanDecision {
    /// The decision as JSON and the command write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::View => "view",
            Self::Cache => "cache",
        }
    }
}

/// What was decided for each stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The stages, each after those it reads.
    pub stages: Vec<StageDecision>,
}

/// What was decided for one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageDecision {
    /// The stage.
    pub stage: NodeName,
    /// How its rows come about.
    pub decision: PlanDecision,
    /// Why, as a sentence for the author of the project.
    pub reason: String,
    /// The materialised stages that it waits for.
    #[serde(default)]
    pub depends_on: Vec<NodeName>,
    /// The cost of the longest path from here to the end of the run.
    #[serde(default)]
    pub weight: u64,
}

/// What a run would do: what `windlass plan` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// A table that a run would write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedColumn {
    /// The name.
    pub name: String,
    /// The Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold null.
    pub nullable: bool,
}
