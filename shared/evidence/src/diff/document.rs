//! What is told of two runs, as `windlass runs diff --output json` prints it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use windlass_base::ids::{NodeName, PipelineName, RunId};

use super::measure::{Measure, MeasureUnit};
use crate::artifact::{PinRecord, PlanText, RunRecord, RunStatus};

/// What differs between two runs. Everything that is the same in both is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunDiff {
    /// The run that is compared with, usually the older one.
    pub before: DiffedRun,
    /// The run that is compared.
    pub after: DiffedRun,
    /// The stages that got slower or bigger, those that lost most time first, with the likeliest cause.
    pub verdicts: Vec<StageVerdict>,
    /// Parameters, by name.
    pub params: Vec<ValueChange>,
    /// What the runs were asked to do and ran on: target, selection, session, versions, machine.
    pub settings: Vec<ValueChange>,
    /// The sources that were read at another state.
    pub pins: Vec<PinChange>,
    /// The stages that differ, in the order of the plan.
    pub stages: Vec<StageDiff>,
}

/// One of two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DiffedRun {
    /// The run.
    pub run_id: RunId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// Where it stands.
    pub status: RunStatus,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds; none if it has no end.
    pub duration_ms: Option<u64>,
}

/// A stage that got slower or bigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StageVerdict {
    /// The stage.
    pub stage: NodeName,
    /// How long it took before, in milliseconds; none if it was not in that run.
    pub before_ms: Option<u64>,
    /// How long it took, in milliseconds.
    pub after_ms: u64,
    /// Whether it took longer: at least a fifth and 100 ms.
    pub slower: bool,
    /// Whether it read or wrote more: at least a fifth.
    pub bigger: bool,
    /// The likeliest cause; none if nothing in the bundles explains it.
    pub cause: Option<CauseClass>,
    /// Why, as a sentence with numbers.
    pub evidence: String,
    /// What also speaks for a cause, the likeliest first.
    pub others: Vec<Finding>,
}

/// A cause, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The cause.
    pub cause: CauseClass,
    /// What speaks for it, as a sentence with numbers.
    pub evidence: String,
}

/// Why a stage got slower or bigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseClass {
    /// Its definition is another one.
    Code,
    /// There is more to read, less can be skipped, or it is distributed unevenly.
    Data,
    /// It was run with other settings, or by other versions.
    Settings,
    /// The same query was planned differently.
    Plan,
    /// There were fewer executors, less memory or a slower store.
    Environment,
    /// Something else used the same processors.
    Contention,
}

impl CauseClass {
    /// The cause as JSON and the command write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Data => "data",
            Self::Settings => "settings",
            Self::Plan => "plan",
            Self::Environment => "environment",
            Self::Contention => "contention",
        }
    }
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ValueChange {
    /// What it is the value of.
    pub name: String,
    /// The value before; none if there was none.
    pub before: Option<String>,
    /// The value now; none if there is none.
    pub after: Option<String>,
}

/// A source that was read at another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PinChange {
    /// The source.
    pub source: NodeName,
    /// Its pin before; none if it was not read.
    pub before: Option<PinRecord>,
    /// Its pin now; none if it is not read.
    pub after: Option<PinRecord>,
}

/// What differs in one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StageDiff {
    /// The stage.
    pub stage: NodeName,
    /// How its rows came about and how it ended: `presence`, `decision`, `strategy`, `status`, `fallback`.
    pub how: Vec<ValueChange>,
    /// Its code, if that differs.
    pub code: Option<CodeDiff>,
    /// Its inputs that were read at another state, views seen through.
    pub inputs: Vec<InputChange>,
    /// Its plans that differ.
    pub plans: Vec<PlanDiff>,
    /// How much there was to do.
    pub volumes: Vec<MeasureChange>,
    /// How long it took.
    pub timings: Vec<MeasureChange>,
    /// With what it was done.
    pub environment: Vec<MeasureChange>,
    /// Its operators that measured something else, those with the greatest difference of time first.
    pub operators: Vec<OperatorDiff>,
}

impl StageDiff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.how.is_empty()
            && self.code.is_none()
            && self.inputs.is_empty()
            && self.plans.is_empty()
            && self.volumes.is_empty()
            && self.timings.is_empty()
            && self.environment.is_empty()
            && self.operators.is_empty()
    }
}

/// The code of a stage that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CodeDiff {
    /// The code version before.
    pub before: String,
    /// The code version now.
    pub after: String,
    /// What has changed, in words such as `its SQL`.
    pub parts: Vec<String>,
    /// Whether only the session's settings or the engine's version have changed, and nothing in the project.
    pub only_settings: bool,
}

/// An input of a stage that was read at another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InputChange {
    /// The source or stage.
    pub name: NodeName,
    /// Its version or identity before; none if it was not read.
    pub before: Option<String>,
    /// Its version or identity now; none if it is not read.
    pub after: Option<String>,
}

/// A plan that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanDiff {
    /// Which plan.
    pub plan: PlanText,
    /// What differs, from the root down.
    pub changes: Vec<PlanChange>,
}

/// What differs at one place of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanChange {
    /// How it differs.
    pub kind: PlanChangeKind,
    /// The query of the stage that it belongs to, if the stage has several, such as `rows` or `duplicates`.
    pub section: Option<String>,
    /// The operator, as it is now, or as it was if it is gone.
    pub operator: String,
    /// Its line of the plan before.
    pub before: Option<String>,
    /// Its line of the plan now.
    pub after: Option<String>,
    /// The parts of the line that differ.
    pub parts: Vec<DetailChange>,
}

/// How a plan differs at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanChangeKind {
    /// The operator was not there before.
    Added,
    /// The operator is gone.
    Removed,
    /// Another operator is in its place.
    Replaced,
    /// The operator has another detail.
    Detail,
    /// The same tables are joined in another order.
    JoinOrder,
    /// The two sides of the join have changed places.
    SidesSwapped,
    /// The join distributes its rows in another way.
    JoinMode,
    /// A filter is no longer part of the scan.
    PushDownLost,
    /// A filter has become part of the scan.
    PushDownGained,
}

impl PlanChangeKind {
    /// The kind as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Detail => "detail",
            Self::JoinOrder => "join order",
            Self::SidesSwapped => "sides swapped",
            Self::JoinMode => "join mode",
            Self::PushDownLost => "push-down lost",
            Self::PushDownGained => "push-down gained",
        }
    }
}

/// A part of an operator's line that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DetailChange {
    /// Its name, such as `mode` or `predicate`; empty for what has none.
    pub name: String,
    /// Its value before.
    pub before: Option<String>,
    /// Its value now.
    pub after: Option<String>,
}

/// A number that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MeasureChange {
    /// What was measured.
    pub measure: Measure,
    /// The unit of both values.
    pub unit: MeasureUnit,
    /// The value before; none if it was not measured.
    pub before: Option<u64>,
    /// The value now; none if it was not measured.
    pub after: Option<u64>,
}

/// An operator that measured something else, or that only one run has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OperatorDiff {
    /// The operator, such as `HashJoinExec`.
    pub operator: String,
    /// Its line of the plan now, or as it was if it is gone.
    pub detail: String,
    /// Whether the earlier run has it.
    pub in_before: bool,
    /// Whether the later run has it.
    pub in_after: bool,
    /// What it measured.
    pub measures: Vec<MeasureChange>,
}

impl DiffedRun {
    /// Describes a run.
    pub(super) fn of(run: &RunRecord) -> Self {
        let took = run.ended_at.map(|ended| (ended - run.started_at).num_milliseconds());
        Self {
            run_id: run.run_id.clone(),
            pipeline: run.pipeline.clone(),
            status: run.status,
            started_at: run.started_at,
            duration_ms: took.and_then(|ms| u64::try_from(ms).ok()),
        }
    }
}

impl RunDiff {
    /// Whether the runs do not differ in anything but their ids and times.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
            && self.params.is_empty()
            && self.settings.is_empty()
            && self.pins.is_empty()
            && self.stages.is_empty()
    }

    /// The same about one stage; what is about the runs as a whole stays.
    pub fn of_stage(mut self, stage: &NodeName) -> Self {
        self.verdicts.retain(|verdict| verdict.stage == *stage);
        self.stages.retain(|diff| diff.stage == *stage);
        self
    }
}
