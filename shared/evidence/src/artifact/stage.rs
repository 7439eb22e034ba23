//! `stages/<stage>/stage.json`: a stage's attempts, tasks and operators.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_project::expect::Severity;
use windlass_project::tag::Tags;

use super::lineage::StageLineage;
use super::status::{AttemptStatus, StageReceipt, StageStatus};

/// Everything measured about one stage. Its operators' metrics are also in `metrics.arrow`, one row a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The stage.
    pub stage: NodeName,
    /// Where it stands.
    pub status: StageStatus,
    /// Every attempt, in order.
    pub attempts: Vec<AttemptRecord>,
    /// The outcome of its commit, if it committed.
    #[serde(default)]
    pub receipt: Option<StageReceipt>,
    /// The tasks of all attempts, by attempt, engine stage, partition and task attempt.
    #[serde(default)]
    pub tasks: Vec<TaskTiming>,
    /// The operators of the last attempt that measured any.
    #[serde(default)]
    pub operators: Vec<OperatorMetrics>,
    /// How the rows met each expectation, in the last attempt that checked it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectationRecord>,
    /// The quarantine of the rows that did not, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<QuarantineRecord>,
    /// What was saved: the table first, then each export.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputRecord>,
    /// What its version was made of: the stage's part of `lineage.json`, which is written when the run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<StageLineage>,
}

/// The outcome of a save.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// The dataset: the stage's name.
    pub dataset: NodeName,
    /// The export's name; `None` for the stage's table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// What it is there: `delta`, a format of files, or a saver's name.
    pub materialization: String,
    /// Where it is, as a URL.
    pub location: String,
    /// Rows that were written: of a table by this commit, of an export all.
    pub rows: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// The version of the stage's table that it is, or is of.
    pub version: TableVersion,
    /// A hash of the names, types and nullability of the columns.
    pub schema_hash: String,
}

/// How rows met an expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationRecord {
    /// The expectation's name.
    pub name: String,
    /// What is expected, in words.
    pub rule: String,
    /// What happens to rows that are not so.
    pub severity: Severity,
    /// Its tags, besides those of its stage.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Rows that were looked at: those that the run computed. 0 where the rule needs all rows and only some were computed.
    pub rows_checked: u64,
    /// Rows that were not as expected; 0 for rules about all rows together.
    pub rows_failed: u64,
    /// Whether it was broken.
    pub broken: bool,
    /// Some of the rows: their keys and what the rule looks at, values shortened. For a rule about all rows together
    /// what was found instead, if there is more to say than the number of rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<String>,
}

/// The table of rows that were not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineRecord {
    /// Where it is, as a URL.
    pub location: String,
    /// Its version with the rows of this run.
    pub version: TableVersion,
    /// The rows of this run.
    pub rows: u64,
}

/// One attempt at a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Counted from 1.
    pub number: u32,
    /// Whether it only committed what an earlier attempt had staged.
    #[serde(default)]
    pub commit_only: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When its execution had ended well and its commit began.
    #[serde(default)]
    pub staged_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub status: AttemptStatus,
    /// Why it failed, if it did.
    #[serde(default)]
    pub failure: Option<Failure>,
    /// The engine's name for its job.
    #[serde(default)]
    pub job_id: Option<String>,
}

/// One task that the engine ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTiming {
    /// The stage's attempt, counted from 1.
    pub attempt: u32,
    /// The engine's stage, counted from 1 within the job.
    pub engine_stage: u32,
    /// The partition that the task computed.
    pub partition: u32,
    /// The engine's attempt at it, counted from 0.
    pub task_attempt: u32,
    /// The executor that ran it.
    pub executor: String,
    /// When it started, in milliseconds since 1970.
    pub start_ms: i64,
    /// When it ended, in milliseconds since 1970.
    pub end_ms: i64,
    /// Rows that it put out.
    pub rows: u64,
    /// Bytes that it put out.
    pub bytes: u64,
    /// Bytes of its plan, as it was sent to the executor.
    #[serde(default)]
    pub plan_bytes: u64,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What one operator of a plan measured, summed over the tasks of its engine stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorMetrics {
    /// The engine's stage.
    pub engine_stage: u32,
    /// The operator's place in the plan of that stage, root first, counted from 0.
    pub position: u32,
    /// How deep it stands in the plan; the root is at 0.
    pub depth: u32,
    /// The operator, such as `HashJoinExec`.
    pub operator: String,
    /// The operator's line of the plan, normalised.
    pub detail: String,
    /// What it measured, by name.
    #[serde(default)]
    pub metrics: Vec<OperatorMetric>,
}

/// One number that an operator measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorMetric {
    /// The engine's name for it, such as `output_rows` or `elapsed_compute`.
    pub name: String,
    /// What it counts.
    pub unit: MetricUnit,
    /// The number.
    pub value: u64,
}

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricUnit {
    /// Things of any kind.
    Count,
    /// Rows.
    Rows,
    /// Bytes.
    Bytes,
    /// Nanoseconds, summed over all tasks.
    Nanoseconds,
}

impl MetricUnit {
    /// The unit as JSON and `metrics.arrow` write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Nanoseconds => "nanoseconds",
        }
    }
}
