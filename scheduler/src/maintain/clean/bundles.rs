//! Which run bundles are not needed any more. Pure: no store, no clock.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use windlass_base::ids::{NodeName, PipelineName, RunId};
use windlass_evidence::artifact::{ReceiptOutcome, RunRecord, RunStatus};
use windlass_project::maintenance::KeepPolicy;

/// A folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BundleFacts {
    /// The run.
    pub(super) run: RunId,
    /// What is known of it.
    pub(super) content: BundleContent,
}

/// What a folder of a run holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BundleContent {
    /// A run.
    Run(RunFacts),
    /// Parts of a bundle without the run itself, which is the first to be written and the first to be removed.
    Remains,
    /// A run that this version cannot read.
    Unreadable,
}

/// What matters of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunFacts {
    pub(super) pipeline: PipelineName,
    pub(super) target: Option<String>,
    pub(super) started_at: DateTime<Utc>,
    /// Whether its process ended before it did.
    pub(super) interrupted: bool,
    /// The stages to whose tables it committed.
    pub(super) made: BTreeSet<NodeName>,
    /// The stages whose tables it used as they were.
    pub(super) reused: BTreeSet<NodeName>,
}

impl RunFacts {
    /// What matters of a run, by its record.
    pub(super) fn of(record: RunRecord) -> Self {
        let (mut made, mut reused) = (BTreeSet::new(), BTreeSet::new());
        for summary in record.stages {
            let stages = match summary.receipt.map(|receipt| receipt.outcome) {
                Some(ReceiptOutcome::Reused) => &mut reused,
                Some(ReceiptOutcome::Committed | ReceiptOutcome::AlreadyCommitted) => &mut made,
                None => continue,
            };
            stages.insert(summary.stage);
        }
        Self {
            pipeline: record.pipeline,
            target: record.target,
            started_at: record.started_at,
            interrupted: matches!(record.status, RunStatus::Interrupted | RunStatus::Running | RunStatus::Pending),
            made,
            reused,
        }
    }
}

/// By what bundles are chosen.
#[derive(Debug, Clone)]
pub(super) struct BundleChoice<'c> {
    /// The pipeline whose bundles are removed. Those of others that share the home have policies of their own.
    pub(super) pipeline: &'c PipelineName,
    /// The target of the project.
    pub(super) target: Option<&'c str>,
    /// The stages of the project.
    pub(super) stages: &'c BTreeSet<NodeName>,
    /// Which are kept.
    pub(super) keep: &'c KeepPolicy,
    /// The runs that are under way.
    pub(super) active: &'c BTreeSet<RunId>,
    /// The runs that committed last to the tables of the target, by the tables' logs. `None` if a log could not be read.
    pub(super) last_of_tables: Option<&'c BTreeSet<RunId>>,
    /// The time.
    pub(super) now: DateTime<Utc>,
}

/// The bundles that are not needed any more, oldest first, with the reasons.
///
/// Besides those that the policy keeps, these stay: that of the newest run of each target; for each stage of the project
/// and each target, that of the run that made its table; for each stage that a kept run found up to date, that of the run
/// that made what it found, whose plan `explain` shows; and those of interrupted runs, as long as a table may have a commit
/// of theirs as its last one: by them the next run tells that its rows are there already.
pub(super) fn superfluous(bundles: &[BundleFacts], choice: &BundleChoice<'_>) -> Vec<(RunId, String)> {
    let mut runs: Vec<(&RunId, &RunFacts)> = bundles.iter().filter_map(|bundle| run_of(bundle, choice)).collect();
    runs.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    let needed = needed(&runs, choice);
    let reason = reason(choice.keep);
    let old = runs.iter().filter(|(run, _)| !needed.contains(*run)).map(|(run, _)| ((*run).clone(), reason.clone()));
    let remains = bundles.iter().filter(|bundle| bundle.content == BundleContent::Remains);
    let remains = remains.filter(|bundle| !choice.active.contains(&bundle.run));
    let remains = remains.map(|bundle| (bundle.run.clone(), "left by a removal that was interrupted".to_owned()));
    let mut found: Vec<(RunId, String)> = old.chain(remains).collect();
    found.sort_unstable();
    found
}

/// The runs that can be taken up: of each pipeline the newest, if it was interrupted.
pub(super) fn resumable(bundles: &[BundleFacts]) -> BTreeSet<RunId> {
    let mut newest: BTreeMap<&PipelineName, (&RunId, bool)> = BTreeMap::new();
    for bundle in bundles {
        if let BundleContent::Run(facts) = &bundle.content {
            let known = newest.entry(&facts.pipeline).or_insert((&bundle.run, facts.interrupted));
            if bundle.run > *known.0 {
                *known = (&bundle.run, facts.interrupted);
            }
        }
    }
    newest.into_values().filter(|(_, interrupted)| *interrupted).map(|(run, _)| run.clone()).collect()
}

fn run_of<'b>(bundle: &'b BundleFacts, choice: &BundleChoice<'_>) -> Option<(&'b RunId, &'b RunFacts)> {
    match &bundle.content {
        BundleContent::Run(facts) if facts.pipeline == *choice.pipeline => Some((&bundle.run, facts)),
        _ => None,
    }
}

/// The runs that stay, of `runs`, the newest first.
fn needed<'b>(runs: &[(&'b RunId, &'b RunFacts)], choice: &BundleChoice<'_>) -> BTreeSet<&'b RunId> {
    let keep = choice.keep;
    let newest = usize::try_from(keep.runs).unwrap_or(usize::MAX);
    let since = i64::try_from(keep.days).ok().and_then(TimeDelta::try_days);
    // Days that the calendar does not have are for ever.
    let since = since.and_then(|days| choice.now.checked_sub_signed(days));
    let mut targets = BTreeSet::new();
    let mut kept: BTreeSet<&RunId> = BTreeSet::new();
    for (index, (run, facts)) in runs.iter().enumerate() {
        let is_newest = targets.insert(facts.target.as_deref());
        let is_young = since.is_none_or(|since| facts.started_at > since);
        if is_newest || index < newest || is_young || choice.active.contains(*run) {
            kept.insert(*run);
        }
    }
    let mut needed = kept.clone();
    needed.extend(makers(runs, choice.stages));
    for (at, (run, facts)) in runs.iter().enumerate() {
        if kept.contains(*run) {
            let target = facts.target.as_deref();
            needed.extend(facts.reused.iter().filter_map(|stage| maker(&runs[at + 1..], stage, target)));
        }
        let may_be_last = facts.target.as_deref() != choice.target || choice.last_of_tables.is_none();
        let is_last = choice.last_of_tables.is_some_and(|last| last.contains(*run));
        if is_last || (facts.interrupted && may_be_last) {
            needed.insert(*run);
        }
    }
    needed
}

/// The newest runs that committed to the tables of `stages`, of each target.
fn makers<'b>(runs: &[(&'b RunId, &'b RunFacts)], stages: &BTreeSet<NodeName>) -> BTreeSet<&'b RunId> {
    let mut newest: BTreeMap<(Option<&str>, &NodeName), &'b RunId> = BTreeMap::new();
    for (run, facts) in runs {
        for stage in facts.made.iter().filter(|stage| stages.contains(*stage)) {
            newest.entry((facts.target.as_deref(), stage)).or_insert(*run);
        }
    }
    newest.into_values().collect()
}

/// The newest of some runs that committed to a stage's table.
fn maker<'b>(runs: &[(&'b RunId, &'b RunFacts)], stage: &NodeName, target: Option<&str>) -> Option<&'b RunId> {
    let made = |facts: &RunFacts| facts.target.as_deref() == target && facts.made.contains(stage);
    runs.iter().find(|(_, facts)| made(facts)).map(|(run, _)| *run)
}

/// Why a bundle is not kept.
fn reason(keep: &KeepPolicy) -> String {
    let things = |number: u64, thing: &str| match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    };
    match (keep.runs, keep.days) {
        (0, 0) => "neither runs nor days are to be kept".to_owned(),
        (1, 0) => "not the newest run".to_owned(),
        (runs, 0) => format!("not one of the newest {runs} runs"),
        (0, days) => format!("not younger than {}", things(days, "day")),
        (runs, days) => {
            format!("neither one of the newest {} nor younger than {}", things(runs, "run"), things(days, "day"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn time(days: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(days * DAY, 0).unwrap()
    }

    fn id(number: usize) -> RunId {
        RunId::new(format!("{number:032x}"))
    }

    fn names(names: &[&str]) -> BTreeSet<NodeName> {
        names.iter().map(|name| NodeName::from(*name)).collect()
    }

    /// A run of each day, each of which made the only stage.
    fn days(count: usize) -> Vec<(usize, RunFacts)> {
        (0..count).map(|day| (day, run(day as i64, &["totals"], &[]))).collect()
    }

    fn run(day: i64, made: &[&str], reused: &[&str]) -> RunFacts {
        RunFacts {
            pipeline: "shop".into(),
            target: None,
            started_at: time(day),
            interrupted: false,
            made: names(made),
            reused: names(reused),
        }
    }

    struct Case {
        keep: KeepPolicy,
        active: BTreeSet<RunId>,
        last: Option<BTreeSet<RunId>>,
        now: i64,
    }

    impl Case {
        fn new(runs: u64, days: u64) -> Self {
            let keep = KeepPolicy { runs, days, versions: Vec::new() };
            Self { keep, active: BTreeSet::new(), last: Some(BTreeSet::new()), now: 100 }
        }

        fn removed(&self, bundles: &[BundleFacts]) -> Vec<usize> {
            let choice = BundleChoice {
                pipeline: &"shop".into(),
                target: None,
                stages: &names(&["totals", "orders"]),
                keep: &self.keep,
                active: &self.active,
                last_of_tables: self.last.as_ref(),
                now: time(self.now),
            };
            let found = superfluous(bundles, &choice);
            found.iter().map(|(run, _)| usize::from_str_radix(run.as_str(), 16).unwrap()).collect()
        }

        fn of(&self, runs: Vec<(usize, RunFacts)>) -> Vec<usize> {
            self.removed(&bundles(runs))
        }
    }

    fn bundles(runs: Vec<(usize, RunFacts)>) -> Vec<BundleFacts> {
        let bundle = |(number, facts)| BundleFacts { run: id(number), content: BundleContent::Run(facts) };
        runs.into_iter().map(bundle).collect()
    }

    #[test]
    fn what_neither_number_nor_age_keeps_goes() {
        assert_eq!(Case::new(3, 0).of(days(12)), (0..9).collect::<Vec<_>>());
        assert_eq!(Case::new(3, 95).of(days(12)), (0..6).collect::<Vec<_>>(), "age keeps more than the number");
        assert_eq!(Case::new(3, 200).of(days(12)), Vec::<usize>::new());
        assert_eq!(Case::new(3, u64::MAX).of(days(12)), Vec::<usize>::new());
        assert_eq!(Case::new(u64::MAX, 0).of(days(12)), Vec::<usize>::new());
        assert_eq!(Case::new(0, 0).of(days(3)), [0, 1], "the newest run stays");
        assert_eq!(Case::new(3, 0).of(Vec::new()), Vec::<usize>::new());
    }

    #[test]
    fn active_runs_and_those_of_other_pipelines_stay() {
        let mut case = Case::new(1, 0);
        case.active.insert(id(1));
        let mut runs = days(5);
        runs[2].1.pipeline = "other".into();
        assert_eq!(case.of(runs), [0, 3]);
    }

    #[test]
    fn the_newest_run_of_each_target_stays() {
        let mut runs = days(6);
        for (_, facts) in &mut runs[1..3] {
            facts.target = Some("dev".to_owned());
            facts.made.clear();
        }
        assert_eq!(Case::new(1, 0).of(runs), [0, 1, 3, 4]);
    }

    #[test]
    fn the_run_that_made_a_table_stays() {
        let mut runs = vec![(0, run(0, &["totals", "orders"], &[])), (1, run(1, &["totals"], &["orders"]))];
        runs.extend((2..6).map(|day| (day, run(day as i64, &["orders"], &["totals"]))));
        // 5 made `orders`, and 1 the table of `totals` that all later ones found.
        assert_eq!(Case::new(1, 0).of(runs.clone()), [0, 2, 3, 4]);
        // A stage that the project has no more is nobody's.
        runs[0].1.made.insert("gone".into());
        assert_eq!(Case::new(1, 0).of(runs.clone()), [0, 2, 3, 4]);
        // 2 is kept and found the table of `totals` that 1 made, which 4 has replaced.
        runs[4].1 = run(4, &["totals", "orders"], &[]);
        let mut case = Case::new(1, 0);
        case.active.insert(id(2));
        assert_eq!(case.of(runs), [0, 3]);
    }

    #[test]
    fn an_interrupted_run_stays_while_a_table_may_end_with_its_commit() {
        let mut runs = days(7);
        for (_, facts) in &mut runs[0..4] {
            facts.interrupted = true;
            facts.made.clear();
        }
        for (_, facts) in &mut runs[2..4] {
            facts.target = Some("dev".to_owned());
        }
        let mut case = Case::new(1, 0);
        case.last = Some(BTreeSet::from([id(1)]));
        assert_eq!(case.of(runs.clone()), [0, 4, 5], "the tables of the other target were not looked at");
        case.last = None;
        assert_eq!(case.of(runs), [4, 5], "a log could not be read");
    }

    #[test]
    fn remains_go_and_what_cannot_be_read_stays() {
        let mut found = bundles(days(2));
        for (number, content) in
            [(7, BundleContent::Remains), (8, BundleContent::Remains), (9, BundleContent::Unreadable)]
        {
            found.push(BundleFacts { run: id(number), content });
        }
        let mut case = Case::new(10, 0);
        case.active.insert(id(8));
        assert_eq!(case.removed(&found), [7]);
    }
}
