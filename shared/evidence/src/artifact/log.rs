//! `log.jsonl`: what happened in a run, one JSON object a line.

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, PipelineName, RunId, RunSequence, TableVersion};
use windlass_project::strategy::Strategy;
use windlass_project::tag::Tags;

use super::plan::PlanDecision;
use super::status::{RunStatus, StageReceipt};

/// The version of the log's schema. It grows when a reader of the old one could misread a line; a new kind of event or
/// a new optional field does not change it.
pub const LOG_VERSION: u32 = 1;

/// How much attention a line wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Detail.
    Debug,
    /// The run goes its way.
    Info,
    /// Something is unusual; the run goes on.
    Warn,
    /// Something failed.
    Error,
}

/// One line of the run log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogEvent {
    /// The version of the schema, 1.
    pub v: u32,
    /// When it happened, in UTC.
    pub ts: DateTime<Utc>,
    /// The run.
    #[schemars(with = "String")]
    pub run_id: RunId,
    /// The line's number in the run's log, from 0, without gaps.
    pub seq: u64,
    /// How much attention it wants.
    pub level: LogLevel,
    /// What happened.
    #[serde(flatten)]
    pub kind: LogKind,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LogKind {
    /// The run begins.
    RunStarted {
        /// The pipeline.
        #[schemars(with = "String")]
        pipeline: PipelineName,
        /// The pipeline's how-manieth run it is.
        sequence: RunSequence,
        /// How many stages it is to commit.
        stages: u64,
        /// How many other stages have tables that are used as they are.
        #[serde(default)]
        reused: u64,
        /// The target of the project that was chosen, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// What was selected (`--select`), if not everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        select: Option<String>,
        /// What was taken out of it (`--exclude`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exclude: Option<String>,
        /// How many of them may run at the same time.
        max_parallel: u64,
        /// The version of Windlass.
        windlass: String,
        /// The machine that drives it.
        host: String,
    },
    /// A process has taken up a run whose process had ended.
    RunResumed {
        /// The machine that drives it now.
        host: String,
        /// How many stages had committed before.
        committed: u64,
    },
    /// A source is pinned to one state for the whole run.
    SourcePinned {
        /// The source.
        #[schemars(with = "String")]
        source: NodeName,
        /// Where it lies, without credentials.
        location: String,
        /// The Delta version, for sources that have versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<TableVersion>,
        /// Data files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A table is known to the session; `registrations.json` has the details.
    TableRegistered {
        /// The table's name in SQL.
        #[schemars(with = "String")]
        table: NodeName,
        /// `delta`, `listing`, `text_files`, `view` or `cache`.
        kind: String,
        /// The hash of what can change its rows or its plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scan_identity: Option<String>,
    },
    /// It is decided how a stage's rows come about.
    StagePlanned {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// How.
        decision: PlanDecision,
        /// Why.
        reason: String,
        /// How its table is brought up to date, as far as that is settled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strategy: Option<Strategy>,
        /// The stage's tags.
        #[serde(default, skip_serializing_if = "Tags::is_empty")]
        #[schemars(with = "std::collections::BTreeMap<String, String>")]
        tags: Tags,
    },
    /// An attempt begins.
    StageStarted {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// How far an execution has come.
    StageProgress {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// The attempt, from 1.
        attempt: u32,
        /// Tasks that have ended well.
        tasks_done: u64,
        /// Tasks known so far.
        tasks_total: u64,
    },
    /// An execution has ended well; its files wait for the commit.
    StageStaged {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// The attempt, from 1.
        attempt: u32,
        /// Rows written.
        rows: u64,
        /// Bytes written.
        bytes: u64,
        /// Files written.
        files: u64,
        /// How long the execution took, in milliseconds.
        duration_ms: u64,
    },
    /// A stage's table has the new version.
    StageCommitted {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// The attempt, from 1.
        attempt: u32,
        /// The outcome of the commit.
        #[serde(flatten)]
        receipt: StageReceipt,
        /// How long the attempt took, in milliseconds.
        duration_ms: u64,
    },
    /// An attempt has failed. If the stage is tried again, `stage_retry` follows.
    StageFailed {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// The attempt, from 1.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// A stage will be tried again.
    StageRetry {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// The attempt that is to come.
        attempt: u32,
        /// The wait before it, in milliseconds.
        delay_ms: u64,
    },
    /// A stage does not run, because another failed.
    StageSkipped {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
        /// The stage that failed.
        #[schemars(with = "String")]
        cause: NodeName,
    },
    /// A stage was stopped, or does not run, because the run is wound up.
    StageCancelled {
        /// The stage.
        #[schemars(with = "String")]
        stage: NodeName,
    },
    /// Someone wants the run to stop.
    CancelRequested {
        /// Who or why.
        reason: String,
    },
    /// The process does not hold the run's lease any more, and stops.
    LeaseLost,
    /// Something that its reader should know and that does not stop the run.
    Warning {
        /// What.
        message: String,
        /// The stage that it is about, if it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        stage: Option<NodeName>,
    },
    /// The run has ended.
    RunFinished {
        /// How.
        status: RunStatus,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// How many stages ended how.
        #[serde(flatten)]
        totals: RunTotals,
    },
}

/// How many stages of a run ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunTotals {
    /// Committed, those whose table was used as it is included.
    pub committed: u64,
    /// Of these, those whose table was used as it is.
    #[serde(default)]
    pub reused: u64,
    /// Failed for good.
    pub failed: u64,
    /// Not started because another failed.
    pub skipped: u64,
    /// Stopped or not started because the run was wound up.
    pub cancelled: u64,
}

impl LogKind {
    /// How much attention an event of this kind wants.
    pub fn level(&self) -> LogLevel {
        match self {
            Self::StageProgress { .. } | Self::TableRegistered { .. } => LogLevel::Debug,
            Self::RunFinished { status: RunStatus::Failed, .. } | Self::StageFailed { .. } | Self::LeaseLost => {
                LogLevel::Error
            }
            Self::RunResumed { .. }
            | Self::StageRetry { .. }
            | Self::StageSkipped { .. }
            | Self::StageCancelled { .. }
            | Self::CancelRequested { .. }
            | Self::Warning { .. }
            | Self::RunFinished { status: RunStatus::Cancelled, .. } => LogLevel::Warn,
            Self::RunStarted { .. }
            | Self::SourcePinned { .. }
            | Self::StagePlanned { .. }
            | Self::StageStarted { .. }
            | Self::StageStaged { .. }
            | Self::StageCommitted { .. }
            | Self::RunFinished { .. } => LogLevel::Info,
        }
    }
}

/// The JSON Schema of a line of the log; docs/schema/run-log.schema.json is this.
pub fn log_schema() -> Schema {
    schemars::schema_for!(LogEvent)
}
