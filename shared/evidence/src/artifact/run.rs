//! `run.json`: one run, from who started it to how each stage ended.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, PipelineName, RunId, RunSequence};
use windlass_project::strategy::Strategy;

use super::incremental::TouchedRows;
use super::refresh::Refresh;
use super::stage::StageRecord;
use super::status::{RunStatus, StageReceipt, StageStatus};

/// The version of the bundle's layout and types that this Windlass writes. A reader refuses greater ones.
pub const BUNDLE_FORMAT: u32 = 1;

/// The versions of what ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EngineVersions {
    /// Windlass.
    pub windlass: String,
    /// Apache Ballista.
    pub ballista: String,
    /// Apache DataFusion.
    pub datafusion: String,
    /// The `deltalake` crate.
    pub deltalake: String,
}

/// One run. Written when the run starts, and again, sealed, when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunRecord {
    /// [`BUNDLE_FORMAT`] of the writer.
    pub format: u32,
    /// The run.
    pub run_id: RunId,
    /// The pipeline's how-manieth run it is: the version of its Delta transactions.
    pub sequence: RunSequence,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The hash of the project's files.
    pub project_fingerprint: String,
    /// What ran it.
    pub versions: EngineVersions,
    /// The hash of everything about the session that can change a plan.
    pub session_identity: String,
    /// The parameters of the project, by name. Projects hold no secrets, and neither does this.
    #[serde(default)]
    pub params: BTreeMap<String, serde_json::Value>,
    /// The target of the project that was chosen, if any.
    #[serde(default)]
    pub target: Option<String>,
    /// What was selected (`--select`), if not everything.
    #[serde(default)]
    pub select: Option<String>,
    /// What was taken out of it (`--exclude`).
    #[serde(default)]
    pub exclude: Option<String>,
    /// What was to be computed from scratch, if anything.
    #[serde(default, skip_serializing_if = "Refresh::is_empty")]
    pub refresh: Refresh,
    /// The name of the machine that drove the run.
    pub host: String,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// When it ended; none while it runs.
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// Where it stands.
    pub status: RunStatus,
    /// How each stage ended, in the order of the plan. Complete once the run has ended.
    #[serde(default)]
    pub stages: Vec<StageSummary>,
    /// What went wrong besides the stages, and changes nothing about how they ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// When other processes took up the run, after the one that began it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumptions: Vec<Resumption>,
    /// The run whose failed stages this one tries again, over what that one had pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
}

/// A process took up the run, whose process had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Resumption {
    /// When.
    pub at: DateTime<Utc>,
    /// The machine of the new process.
    pub host: String,
    /// How many stages had ended before, which are not executed again.
    pub ended: u64,
}

/// How a stage of a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StageSummary {
    /// The stage.
    pub stage: NodeName,
    /// Where it stands.
    pub status: StageStatus,
    /// How many attempts it had.
    pub attempts: u32,
    /// The version, rows, bytes and files of its commit, if it committed.
    #[serde(default)]
    pub receipt: Option<StageReceipt>,
    /// How its table was brought up to date, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How much of its table the changes touched, if that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<TouchedRows>,
    /// Whether affected keys got their new rows from the changes and the table alone, without a look at the inputs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_changes: bool,
    /// Why all rows were computed although changes were to be applied, if that showed only in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// From the start of its first attempt to the end of its last, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// Why it failed, if it did.
    #[serde(default)]
    pub failure: Option<Failure>,
    /// The stage whose failure made this one be skipped.
    #[serde(default)]
    pub skipped_because_of: Option<NodeName>,
}

impl StageSummary {
    /// How a stage ended, by its own record.
    pub fn of(record: &StageRecord) -> Self {
        let begun = record.attempts.first().map(|attempt| attempt.started_at);
        let ended = record.attempts.last().and_then(|attempt| attempt.ended_at);
        let duration = begun.zip(ended).map_or(0, |(begun, ended)| (ended - begun).num_milliseconds());
        let lineage = record.lineage.as_ref();
        let last_failure = record.attempts.iter().rev().find_map(|attempt| attempt.failure.clone());
        Self {
            stage: record.stage.clone(),
            status: record.status,
            attempts: u32::try_from(record.attempts.len()).unwrap_or(u32::MAX),
            receipt: record.receipt.clone(),
            strategy: lineage.and_then(|lineage| lineage.strategy),
            touched: lineage.and_then(|lineage| lineage.touched),
            from_changes: lineage.is_some_and(|lineage| lineage.from_changes),
            fallback: lineage.and_then(|lineage| lineage.fallback.clone()),
            duration_ms: u64::try_from(duration).unwrap_or_default(),
            failure: last_failure.filter(|_| record.receipt.is_none()),
            skipped_because_of: None,
        }
    }
}
