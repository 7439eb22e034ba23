//! One stage in two runs.

use windlass_base::ids::NodeName;

use super::document::{PlanDiff, StageDiff, ValueChange};
use super::evidence::{RunEvidence, StageEvidence};
use super::measure::MeasureGroup;
use super::measures::{self, Measures, changes, of_group};
use super::{operators, plan_align, sections};
use crate::artifact::{OperatorMetrics, StageDecision, StageSummary};

/// A stage in one run.
#[derive(Debug)]
pub(super) struct Side<'e> {
    run: &'e RunEvidence,
    /// How it ended; none if the run does not have it.
    pub(super) summary: Option<&'e StageSummary>,
    /// What was decided for it.
    pub(super) decision: Option<&'e StageDecision>,
    /// Its operators.
    pub(super) operators: &'e [OperatorMetrics],
    /// Its numbers.
    pub(super) measures: Measures,
}

/// A stage in both runs.
#[derive(Debug)]
pub(super) struct Pair<'e> {
    /// The stage.
    pub(super) stage: &'e NodeName,
    /// In the earlier run.
    pub(super) before: Side<'e>,
    /// In the later run.
    pub(super) after: Side<'e>,
}

impl<'e> Side<'e> {
    fn new(run: &'e RunEvidence, stage: &NodeName) -> Self {
        Self {
            run,
            summary: run.summary(stage),
            decision: run.decision(stage),
            operators: run.record(stage).map(|record| record.operators.as_slice()).unwrap_or_default(),
            measures: measures::of_stage(run, stage),
        }
    }

    /// How its rows came about and how it ended.
    fn how(&self) -> [Option<String>; 5] {
        let presence = if self.summary.is_some() { "in the run" } else { "not in the run" };
        let decision = self.decision.map(|decision| decision.decision.as_str().to_owned());
        let strategy = self.summary.and_then(|summary| summary.strategy).map(|strategy| strategy.as_str().to_owned());
        let status = self.summary.map(|summary| summary.status.as_str().to_owned());
        let fallback = self.summary.and_then(|summary| summary.fallback.clone());
        [Some(presence.to_owned()), decision, strategy, status, fallback]
    }
}

impl<'e> Pair<'e> {
    /// The stage `stage` of two runs.
    pub(super) fn new(before: &'e RunEvidence, after: &'e RunEvidence, stage: &'e NodeName) -> Self {
        Self { stage, before: Side::new(before, stage), after: Side::new(after, stage) }
    }

    /// What differs.
    pub(super) fn diff(&self) -> StageDiff {
        let changed = changes(&self.before.measures, &self.after.measures);
        StageDiff {
            stage: self.stage.clone(),
            how: self.how(),
            code: sections::code(self.before.decision, self.after.decision),
            inputs: sections::inputs(self.before.run, self.after.run, self.stage),
            plans: self.plans(),
            volumes: of_group(&changed, MeasureGroup::Volume),
            timings: of_group(&changed, MeasureGroup::Timing),
            environment: of_group(&changed, MeasureGroup::Environment),
            operators: operators::diffs(self.before.operators, self.after.operators),
        }
    }

    fn how(&self) -> Vec<ValueChange> {
        let names = ["presence", "decision", "strategy", "status", "fallback"];
        let both = self.before.how().into_iter().zip(self.after.how());
        let named = names.into_iter().zip(both).filter(|(_, (before, after))| before != after);
        named.map(|(name, (before, after))| ValueChange { name: name.to_owned(), before, after }).collect()
    }

    /// The plans that both runs have and that differ.
    fn plans(&self) -> Vec<PlanDiff> {
        let diff = |plan| {
            let before = self.before.run.plan_text(self.stage, plan)?;
            let after = self.after.run.plan_text(self.stage, plan)?;
            let changes = plan_align::changes(before, after);
            (!changes.is_empty()).then_some(PlanDiff { plan, changes })
        };
        StageEvidence::PLANS.into_iter().filter_map(diff).collect()
    }
}
