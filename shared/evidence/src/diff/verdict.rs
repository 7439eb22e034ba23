//! Which stages got slower or bigger, and in which order they are told.
//!
//! A stage is slower if it took at least a fifth and 100 ms longer, and bigger if it read or wrote at least a fifth more rows or
//! bytes. The stages come in the order of the time that they took longer, whatever share of the former time that is; those that
//! only got bigger follow by the same number. The cause is that of the first of the `rules` that holds.

use std::cmp::Reverse;

use super::document::{StageDiff, StageVerdict, ValueChange};
use super::measure::Measure;
use super::measures::Measures;
use super::rules::{self, Facts};
use super::stage::Pair;

/// A shorter delay is no finding: the next run may be faster by as much.
const LEAST_DELAY_MS: u64 = 100;

/// What a stage reads and writes.
const SIZES: [Measure; 4] = [Measure::RowsRead, Measure::BytesRead, Measure::RowsWritten, Measure::BytesWritten];

/// The verdict about a stage, if it got slower or bigger.
pub(super) fn of(pair: &Pair<'_>, diff: &StageDiff, settings: &[ValueChange]) -> Option<StageVerdict> {
    let after_ms = pair.after.summary?.duration_ms;
    let before_ms = pair.before.summary.map(|summary| summary.duration_ms);
    let before = before_ms.unwrap_or_default();
    let slower = rules::is_more(before, after_ms) && after_ms - before >= LEAST_DELAY_MS;
    let (was, is) = (&pair.before.measures, &pair.after.measures);
    let size = |of: &Measures, measure: Measure| of.get(&measure).copied().unwrap_or_default();
    let bigger = SIZES.into_iter().any(|measure| rules::is_more(size(was, measure), size(is, measure)));
    if !slower && !bigger {
        return None;
    }
    let mut others = rules::findings(&Facts { pair, diff, settings, slower });
    let (cause, evidence) = match others.is_empty() {
        true => (None, "nothing in the bundles explains it".to_owned()),
        false => {
            let first = others.remove(0);
            (Some(first.cause), first.evidence)
        }
    };
    Some(StageVerdict { stage: pair.stage.clone(), before_ms, after_ms, slower, bigger, cause, evidence, others })
}

/// Puts verdicts in the order in which they are told. Stages that lost the same time stay in the order of the plan.
pub(super) fn rank(verdicts: &mut [StageVerdict]) {
    verdicts.sort_by_key(|verdict| Reverse(i128::from(verdict.after_ms) - i128::from(verdict.before_ms.unwrap_or(0))));
}
