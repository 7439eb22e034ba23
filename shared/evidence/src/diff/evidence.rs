//! What the bundle of a run holds for a comparison.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;

use crate::artifact::{
    LineageInput, LineageRecord, PinRecord, PinsRecord, PlanRecord, PlanText, Registration, RegistrationsRecord,
    RunRecord, StageDecision, StageRecord, StageSummary,
};

/// What the bundle of a run holds for a comparison. A part that the run has not written is none.
#[derive(Debug, Clone)]
pub struct RunEvidence {
    /// The run.
    pub run: RunRecord,
    /// The versions that it read.
    pub pins: Option<PinsRecord>,
    /// What was decided for each stage.
    pub plan: Option<PlanRecord>,
    /// What each version was made of.
    pub lineage: Option<LineageRecord>,
    /// The tables as they were registered.
    pub registrations: Option<RegistrationsRecord>,
    /// What its stages left behind, by stage.
    pub stages: BTreeMap<NodeName, StageEvidence>,
}

/// What a stage left behind.
#[derive(Debug, Clone, Default)]
pub struct StageEvidence {
    /// Its attempts, tasks and operators.
    pub record: Option<StageRecord>,
    /// Its plan texts; of [`StageEvidence::PLANS`] those that it has.
    pub plans: BTreeMap<PlanText, String>,
}

impl StageEvidence {
    /// The plans that are compared. The others repeat the physical plan.
    pub const PLANS: [PlanText; 3] = [PlanText::Logical, PlanText::Optimized, PlanText::Physical];
}

impl RunEvidence {
    pub(super) fn summary(&self, stage: &NodeName) -> Option<&StageSummary> {
        self.run.stages.iter().find(|summary| summary.stage == *stage)
    }

    pub(super) fn decision(&self, stage: &NodeName) -> Option<&StageDecision> {
        self.plan.as_ref()?.stages.iter().find(|decision| decision.stage == *stage)
    }

    pub(super) fn record(&self, stage: &NodeName) -> Option<&StageRecord> {
        self.stages.get(stage)?.record.as_ref()
    }

    pub(super) fn plan_text(&self, stage: &NodeName, which: PlanText) -> Option<&str> {
        self.stages.get(stage)?.plans.get(&which).map(String::as_str)
    }

    pub(super) fn inputs(&self, stage: &NodeName) -> &[LineageInput] {
        let lineage = self.lineage.as_ref().and_then(|lineage| lineage.stages.iter().find(|of| of.stage == *stage));
        lineage.map(|lineage| lineage.inputs.as_slice()).unwrap_or_default()
    }

    pub(super) fn pin(&self, source: &NodeName) -> Option<&PinRecord> {
        self.pins.as_ref()?.pins.iter().find(|pin| pin.source == *source)
    }

    pub(super) fn registration(&self, table: &NodeName) -> Option<&Registration> {
        self.registrations.as_ref()?.tables.iter().find(|registration| registration.name == *table)
    }
}
