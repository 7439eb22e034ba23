//! The rules by which a cause is found: all that hold are told, and the first is the likeliest.
//!
//! What changed in the project comes first, then how much there was to read, then what it was run with, and last what only shows
//! in times. So a stage with more data that also spills got slower because of the data, and one whose SQL has changed because of
//! that. A number has changed if it is at least a fifth greater or less.

use windlass_project::strategy::Strategy;

use super::document::{CauseClass, Finding, PlanChange, PlanChangeKind, StageDiff, ValueChange};
use super::measure::Measure;
use super::sections::{HOST, SESSION};
use super::stage::{Pair, Side};
use super::words::{list, milliseconds, short, times};
use super::{operators, plan_align};
use crate::artifact::{Cause, OperatorMetrics, PlanDecision};

/// What rules look at.
pub(super) struct Facts<'f> {
    /// The stage in both runs.
    pub(super) pair: &'f Pair<'f>,
    /// What differs in it.
    pub(super) diff: &'f StageDiff,
    /// What differs in what the runs were asked and ran on.
    pub(super) settings: &'f [ValueChange],
    /// Whether it took longer.
    pub(super) slower: bool,
}

/// A rule: what speaks for its cause, if it holds.
type Rule = fn(&Facts<'_>) -> Option<Finding>;

/// The rules, the likeliest first.
const RULES: [Rule; 17] = [
    new_stage,
    other_code,
    more_work,
    more_input,
    other_settings,
    other_plan,
    less_pruning,
    skew,
    more_rows,
    more_attempts,
    spills,
    fewer_executors,
    slower_store,
    slower_commit,
    other_host,
    slower_operators,
    waiting,
];

/// The longest of the tasks of a stage is this much longer than the median, in percent, if its rows are distributed unevenly.
const SKEWED: u64 = 200;

/// Operators with less than this share of the time are not compared with the others, in percent.
const NOTABLE: u64 = 5;

/// All causes that something speaks for, the likeliest first.
pub(super) fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    RULES.iter().filter_map(|rule| rule(facts)).collect()
}

/// Whether a number is at least a fifth greater than another.
pub(super) fn is_more(before: u64, after: u64) -> bool {
    after > before && u128::from(after) * 5 >= u128::from(before) * 6
}

fn finding(cause: CauseClass, evidence: String) -> Option<Finding> {
    Some(Finding { cause, evidence })
}

impl Facts<'_> {
    fn both(&self, measure: Measure) -> Option<(u64, u64)> {
        let of = |side: &Side<'_>| side.measures.get(&measure).copied();
        Some((of(&self.pair.before)?, of(&self.pair.after)?))
    }

    /// The values of a measure that got greater.
    fn more(&self, measure: Measure) -> Option<(u64, u64)> {
        self.both(measure).filter(|(before, after)| is_more(*before, *after))
    }

    /// Whether a measure is known and got neither greater nor less.
    fn is_same(&self, measure: Measure) -> bool {
        self.both(measure).is_some_and(|(before, after)| !is_more(before, after) && !is_more(after, before))
    }

    /// Whether there was not more to do, as far as is known.
    fn same_volume(&self) -> bool {
        let volumes = [Measure::RowsRead, Measure::BytesRead, Measure::OperatorRows];
        volumes.into_iter().all(|measure| self.more(measure).is_none())
    }

    /// `rows read: 200, before 100`; empty if it is not known.
    fn told(&self, measure: Measure) -> String {
        let told = self.both(measure).map(|(before, after)| {
            format!("{}: {}, before {}", measure.as_str(), measure.text(after), measure.text(before))
        });
        told.unwrap_or_default()
    }

    /// The first of some measures that got greater, as the end of a sentence.
    fn told_more(&self, measures: &[Measure]) -> String {
        let found = measures.iter().find(|measure| self.more(**measure).is_some());
        found.map(|measure| format!("; {}", self.told(*measure))).unwrap_or_default()
    }

    fn took(&self) -> String {
        let after = self.pair.after.summary.map_or(0, |summary| summary.duration_ms);
        match self.pair.before.summary {
            Some(before) => format!("it took {}, before {}", milliseconds(after), milliseconds(before.duration_ms)),
            None => format!("it took {}", milliseconds(after)),
        }
    }

    fn setting(&self, name: &str) -> Option<&ValueChange> {
        self.settings.iter().find(|change| change.name == name)
    }
}

/// The other run does not have the stage.
fn new_stage(facts: &Facts<'_>) -> Option<Finding> {
    if facts.pair.before.summary.is_some() {
        return None;
    }
    match facts.setting("select").or_else(|| facts.setting("exclude")) {
        Some(change) => finding(
            CauseClass::Settings,
            format!("the run before did not select it ({}); {}", told_setting(change), facts.took()),
        ),
        None => finding(CauseClass::Code, format!("the run before did not have it; {}", facts.took())),
    }
}

/// Its definition has changed.
fn other_code(facts: &Facts<'_>) -> Option<Finding> {
    let code = facts.diff.code.as_ref().filter(|code| !code.only_settings)?;
    let have = if code.parts.len() == 1 { "has" } else { "have" };
    let volume =
        facts.told_more(&[Measure::FilesPlanned, Measure::RowsRead, Measure::BytesRead, Measure::OperatorRows]);
    finding(CauseClass::Code, format!("{} {have} changed; {}{volume}", list(&code.parts), facts.took()))
}

/// More of its rows were computed: all instead of some, or some instead of none.
fn more_work(facts: &Facts<'_>) -> Option<Finding> {
    let decision = facts.pair.after.decision?;
    let before = facts.pair.before.decision?;
    let (was, is) = (work(&facts.pair.before)?, work(&facts.pair.after)?);
    if is <= was {
        return None;
    }
    let cause = match decision.cause {
        Some(Cause::FullRefresh | Cause::CursorReset | Cause::AppliedAgain) => CauseClass::Settings,
        Some(Cause::CodeChanged | Cause::Volatile | Cause::EveryRun | Cause::View | Cause::Cache | Cause::Refused) => {
            CauseClass::Code
        }
        Some(
            Cause::UpToDate
            | Cause::DoneBefore
            | Cause::NotBuilt
            | Cause::ForeignChange
            | Cause::DataChanged
            | Cause::InputReplaced
            | Cause::NotTraceable,
        )
        | None => CauseClass::Data,
    };
    let fallback = facts.pair.after.summary.and_then(|summary| summary.fallback.as_deref());
    let reason = fallback.unwrap_or(&decision.reason);
    let (was, is) = (before.decision.as_str(), decision.decision.as_str());
    let how = match was == is {
        true => "all rows were computed".to_owned(),
        false => format!("the decision was `{is}`, before `{was}`"),
    };
    finding(cause, format!("{how}: {reason}; {}", facts.took()))
}

/// How much of a stage's rows were computed: none, some or all.
fn work(side: &Side<'_>) -> Option<u8> {
    let strategy = side.summary.and_then(|summary| summary.strategy);
    Some(match side.decision?.decision {
        PlanDecision::Reuse | PlanDecision::View | PlanDecision::Refused => 0,
        PlanDecision::Incremental if strategy != Some(Strategy::Full) => 1,
        PlanDecision::Incremental | PlanDecision::Full | PlanDecision::Cache => 2,
    })
}

/// There is more in its inputs, or more of them has changed.
fn more_input(facts: &Facts<'_>) -> Option<Finding> {
    let is_incremental = |side: &Side<'_>| work(side) == Some(1);
    let (inputs, what) = match is_incremental(&facts.pair.before) && is_incremental(&facts.pair.after) {
        true => ([Measure::ChangeRows, Measure::ChangeBytes], "the changes of its inputs"),
        false => ([Measure::InputBytes, Measure::InputFiles], "its inputs"),
    };
    let is_known = inputs.iter().any(|measure| facts.both(*measure).is_some());
    let measures: &[Measure] = if is_known { &inputs } else { &[Measure::RowsRead] };
    let measure = *measures.iter().find(|measure| facts.more(**measure).is_some())?;
    let (before, after) = facts.more(measure)?;
    let rows = match measure {
        Measure::RowsRead => String::new(),
        _ => facts.told_more(&[Measure::RowsRead, Measure::BytesRead, Measure::RowsWritten]),
    };
    finding(CauseClass::Data, format!("{what} grew to {}, {}{rows}", times(before, after), facts.told(measure)))
}

/// It was run with other settings, or by other versions.
fn other_settings(facts: &Facts<'_>) -> Option<Finding> {
    let names = ["refresh", "target", SESSION, "windlass", "ballista", "datafusion", "deltalake"];
    let mut told: Vec<String> = names.iter().filter_map(|name| facts.setting(name)).map(told_setting).collect();
    let only_settings = facts.diff.code.as_ref().filter(|code| code.only_settings);
    told.extend(only_settings.into_iter().flat_map(|code| code.parts.iter().map(|part| format!("{part} has changed"))));
    if told.is_empty() {
        return None;
    }
    finding(CauseClass::Settings, format!("{}; {}", list(&told), facts.took()))
}

fn told_setting(change: &ValueChange) -> String {
    let value = |value: &Option<String>| value.as_deref().map_or("none".to_owned(), short);
    format!("`{}` is {}, before {}", change.name, value(&change.after), value(&change.before))
}

/// The same query was planned differently: a filter is not part of the scan any more, or tables are joined otherwise.
fn other_plan(facts: &Facts<'_>) -> Option<Finding> {
    let changes = || facts.diff.plans.iter().flat_map(|plan| &plan.changes);
    let lost = changes().find(|change| change.kind == PlanChangeKind::PushDownLost);
    let joined = |change: &&PlanChange| match change.kind {
        PlanChangeKind::JoinOrder | PlanChangeKind::SidesSwapped | PlanChangeKind::JoinMode => true,
        PlanChangeKind::Replaced => change.operator.contains("Join"),
        _ => false,
    };
    let change = lost.or_else(|| changes().find(joined))?;
    let volume = facts.told_more(&[
        Measure::FilesPlanned,
        Measure::RowGroupsRead,
        Measure::BytesRead,
        Measure::RowsRead,
        Measure::OperatorRows,
    ]);
    finding(CauseClass::Plan, format!("{}; {}{volume}", plan_align::told(change), facts.took()))
}

/// The inputs are as large as before, and less of them could be skipped.
fn less_pruning(facts: &Facts<'_>) -> Option<Finding> {
    let inputs = facts.is_same(Measure::InputFiles) || facts.is_same(Measure::InputBytes);
    if inputs && facts.more(Measure::FilesPlanned).is_some() {
        let (planned, inputs) = (facts.told(Measure::FilesPlanned), facts.told(Measure::InputFiles));
        return finding(CauseClass::Data, format!("fewer files could be skipped ({planned}), of {inputs}"));
    }
    let (was_pruned, is_pruned) = facts.both(Measure::RowGroupsPruned)?;
    facts.more(Measure::RowGroupsRead).filter(|_| is_pruned < was_pruned)?;
    let (read, pruned) = (facts.told(Measure::RowGroupsRead), facts.told(Measure::RowGroupsPruned));
    finding(CauseClass::Data, format!("fewer row groups could be skipped: {read}; {pruned}"))
}

/// One task has much more to do than the others.
fn skew(facts: &Facts<'_>) -> Option<Finding> {
    let after = *facts.pair.after.measures.get(&Measure::TaskSkew)?;
    let before = facts.pair.before.measures.get(&Measure::TaskSkew).copied().unwrap_or(100);
    if after < SKEWED || after < before.saturating_mul(3) / 2 {
        return None;
    }
    let of = |measure| facts.pair.after.measures.get(&measure).copied().unwrap_or_default();
    finding(
        CauseClass::Data,
        format!(
            "one task has much more to do than the others: the longest took {}, {} the median of {}, before {}",
            milliseconds(of(Measure::LongestTask)),
            times(100, after),
            milliseconds(of(Measure::MedianTask)),
            times(100, before),
        ),
    )
}

/// As much is read as before, and more rows come of it.
fn more_rows(facts: &Facts<'_>) -> Option<Finding> {
    let measure = [Measure::OperatorRows, Measure::RowsWritten].into_iter().find(|it| facts.more(*it).is_some())?;
    let inputs = [Measure::RowsRead, Measure::BytesRead].into_iter().any(|it| facts.more(it).is_some());
    if inputs || facts.both(Measure::RowsRead).is_none() {
        return None;
    }
    let (read, more) = (facts.told(Measure::RowsRead), facts.told(measure));
    finding(CauseClass::Data, format!("more rows come of as many that are read ({more}; {read})"))
}

/// It failed before it succeeded.
fn more_attempts(facts: &Facts<'_>) -> Option<Finding> {
    let (before, after) = facts.both(Measure::Attempts).filter(|(before, _)| *before > 0)?;
    (after > before && facts.slower).then_some(())?;
    finding(CauseClass::Environment, format!("it needed {after} attempts, before {before}; {}", facts.took()))
}

/// Operators had less memory for as many rows.
fn spills(facts: &Facts<'_>) -> Option<Finding> {
    let measure = [Measure::SpilledBytes, Measure::Spills].into_iter().find(|it| facts.more(*it).is_some())?;
    facts.same_volume().then_some(())?;
    let (spilled, rows) = (facts.told(measure), facts.told(Measure::RowsRead));
    finding(CauseClass::Environment, format!("operators had less memory for as many rows: {spilled}; {rows}"))
}

/// Fewer executors worked on it, or fewer tasks at once.
fn fewer_executors(facts: &Facts<'_>) -> Option<Finding> {
    let fewer = |measure: Measure| facts.both(measure).is_some_and(|(before, after)| after < before);
    let measures = [Measure::Executors, Measure::ParallelTasks].into_iter();
    let told: Vec<String> = measures.filter(|it| fewer(*it)).map(|it| facts.told(it)).collect();
    if told.is_empty() || !facts.slower {
        return None;
    }
    finding(CauseClass::Environment, format!("less worked on it: {}; {}", told.join("; "), facts.took()))
}

/// The same bytes took longer to read, and the processors had no more to do.
fn slower_store(facts: &Facts<'_>) -> Option<Finding> {
    let (before, after) = facts.more(Measure::ScanTime)?;
    let is_half_more = |before: u64, after: u64| u128::from(after) * 2 >= u128::from(before) * 3;
    let in_proportion = facts.more(Measure::Compute).is_some_and(|(was, is)| {
        // Scans got slower hardly more than the operators did.
        let (own, all) = (u128::from(after) * u128::from(was), u128::from(is) * u128::from(before));
        own.saturating_mul(2) < all.saturating_mul(3)
    });
    if !is_half_more(before, after) || in_proportion || !facts.same_volume() || !facts.is_same(Measure::BytesRead) {
        return None;
    }
    let (scans, bytes) = (facts.told(Measure::ScanTime), facts.told(Measure::BytesRead));
    finding(CauseClass::Environment, format!("the store was slower: {scans}, for as much ({bytes})"))
}

/// Most of the delay is in the commit.
fn slower_commit(facts: &Facts<'_>) -> Option<Finding> {
    let (before, after) = facts.more(Measure::Commit)?;
    let (was, is) = facts.more(Measure::Duration)?;
    if !facts.slower || (after - before).saturating_mul(2) < is - was {
        return None;
    }
    finding(CauseClass::Environment, format!("the store was slower: {}; {}", facts.told(Measure::Commit), facts.took()))
}

/// Another machine took longer for as many rows.
fn other_host(facts: &Facts<'_>) -> Option<Finding> {
    let host = facts.setting(HOST)?;
    facts.more(Measure::Compute).filter(|_| facts.slower && facts.same_volume())?;
    finding(CauseClass::Environment, format!("{}; {}", told_setting(host), facts.told(Measure::Compute)))
}

/// All operators took longer in proportion, with as many rows: something else used the processors.
fn slower_operators(facts: &Facts<'_>) -> Option<Finding> {
    let (before, after) = facts.more(Measure::Compute).filter(|_| facts.slower && facts.same_volume())?;
    let compute = |operator: &OperatorMetrics| {
        operator.metrics.iter().find(|metric| metric.name == "elapsed_compute").map(|metric| u128::from(metric.value))
    };
    let pairs = operators::pairs(facts.pair.before.operators, facts.pair.after.operators);
    let notable = u128::from(before) * u128::from(NOTABLE) / 100;
    let timed: Vec<(u128, u128)> = pairs
        .into_iter()
        .filter_map(|(was, is)| Some((compute(was?)?, compute(is?)?)))
        .filter(|(was, _)| *was > 0 && *was >= notable)
        .collect();
    // As many times as all together, give or take a quarter.
    let (before_all, after_all) = (u128::from(before), u128::from(after));
    let in_proportion = |(was, is): &(u128, u128)| {
        let (own, all) = (is.saturating_mul(before_all).saturating_mul(4), was.saturating_mul(after_all));
        own >= all.saturating_mul(3) && own <= all.saturating_mul(5)
    };
    if timed.len() < 2 || !timed.iter().all(in_proportion) {
        return None;
    }
    let compute = facts.told(Measure::Compute);
    finding(
        CauseClass::Contention,
        format!("all operators took about {} as long for as many rows ({compute})", times(before, after)),
    )
}

/// The processors had no more to do, and it took longer.
fn waiting(facts: &Facts<'_>) -> Option<Finding> {
    let is_more = facts.more(Measure::Compute).is_some();
    if !facts.slower || is_more || facts.both(Measure::Compute).is_none() || !facts.same_volume() {
        return None;
    }
    finding(CauseClass::Contention, format!("it waited longer: {}; {}", facts.took(), facts.told(Measure::Compute)))
}
