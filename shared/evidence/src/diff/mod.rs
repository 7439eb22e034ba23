//! What differs between two runs, from their bundles alone, and what has most likely made a stage slower or bigger.
//!
//! ```text
//! two RunEvidence ─measures→ numbers of each stage ─┐
//!                 ─plan_tree→ changes of its plans ─┼─stage→ StageDiff ─rules→ StageVerdict
//!                 ─sections→ code, settings, pins ──┘                             └─ ranked → RunDiff
//! ```
//!
//! Pure: the same two bundles always give the same document.

mod document;
mod evidence;
mod measure;
mod measures;
mod operators;
mod plan_align;
mod plan_detail;
mod plan_tree;
mod rules;
mod sections;
mod stage;
#[cfg(test)]
mod tests;
mod verdict;
mod words;

use std::collections::BTreeSet;

use windlass_base::ids::NodeName;

pub use document::{
    CauseClass, CodeDiff, DetailChange, DiffedRun, Finding, InputChange, MeasureChange, OperatorDiff, PinChange,
    PlanChange, PlanChangeKind, PlanDiff, RunDiff, StageDiff, StageVerdict, ValueChange,
};
pub use evidence::{RunEvidence, StageEvidence};
pub use measure::{Measure, MeasureGroup, MeasureUnit};

/// Compares two runs, usually an older one with a newer one.
pub fn diff(before: &RunEvidence, after: &RunEvidence) -> RunDiff {
    let settings = sections::settings(&before.run, &after.run);
    let mut stages = Vec::new();
    let mut verdicts = Vec::new();
    for name in names(before, after) {
        let pair = stage::Pair::new(before, after, &name);
        let diff = pair.diff();
        verdicts.extend(verdict::of(&pair, &diff, &settings));
        if !diff.is_empty() {
            stages.push(diff);
        }
    }
    verdict::rank(&mut verdicts);
    RunDiff {
        before: DiffedRun::of(&before.run),
        after: DiffedRun::of(&after.run),
        verdicts,
        params: sections::params(&before.run, &after.run),
        settings,
        pins: sections::pins(before, after),
        stages,
    }
}

/// The stages of both runs: those of the later one in the order of its plan, then those that only the earlier one has.
fn names(before: &RunEvidence, after: &RunEvidence) -> Vec<NodeName> {
    let mut seen = BTreeSet::new();
    let stages = after.run.stages.iter().chain(&before.run.stages).map(|summary| &summary.stage);
    stages.filter(|name| seen.insert((*name).clone())).cloned().collect()
}
