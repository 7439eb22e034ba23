//! What holds for every plan, shown with random tables, policies and holds.

use std::collections::BTreeSet;
use std::time::Duration;

use windlass_delta::maintenance::layout_mark;
use windlass_project::maintenance::Readers;

use super::*;

const CASES: u64 = 1000;
const TARGET: u64 = 100;

/// SplitMix64: numbers that look random, the same ones for each seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// True one time out of so many.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(values.len() as u64)).unwrap()]
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, usize::try_from(self.below(last as u64 + 1)).unwrap());
        }
    }
}

fn random_file(random: &mut Random, index: u64) -> FileFacts {
    let most = random.of(&[5, 60, 110, 1000]);
    let rows = (!random.once_in(8)).then(|| random.below(50));
    let deleted_rows = random.once_in(4).then(|| random.below(rows.unwrap_or(9) + 1));
    let columns = random.of(&["x", "y"]).to_owned();
    FileFacts {
        path: format!("{:04}-{index}", random.below(1000)),
        partition: vec![random.of(&[None, Some("1"), Some("2")]).map(str::to_owned)],
        bytes: random.below(most),
        rows,
        deleted_rows,
        layout: random.once_in(3).then(|| layout_mark(&[columns])),
    }
}

/// A log that can be read: it has all commits from the first one on, or a checkpoint to begin with. As other programs clean
/// logs, there can be commits before that checkpoint.
fn random_log(random: &mut Random) -> (TableVersion, LogFacts) {
    let version = random.of(&[1, 5, 30, 130]);
    let version = random.below(version);
    let first = if random.once_in(2) { 0 } else { random.below(version + 1) };
    let mut time = DateTime::UNIX_EPOCH;
    let mut log = LogFacts { bytes: random.below(10_000), ..LogFacts::default() };
    let (longest, often) = (random.of(&[10, 100]), random.of(&[4, 20, 1000]));
    for version in first..=version {
        time += TimeDelta::hours(i64::try_from(random.below(longest)).unwrap());
        log.commits.insert(TableVersion(version), time);
        if random.once_in(often) {
            log.checkpoints.push(TableVersion(version));
        }
    }
    if first > 0 && log.checkpoints.is_empty() {
        log.checkpoints.push(TableVersion(first + random.below(version - first + 1)));
    }
    random.shuffle(&mut log.checkpoints);
    log.last_run = random.once_in(2).then(|| TableVersion(first + random.below(version - first + 1)));
    (TableVersion(version), log)
}

fn random_policy(random: &mut Random) -> MaintenancePolicy {
    let mut policy = MaintenancePolicy::default();
    let mut hours = |most: u64| Duration::from_secs(random.below(most) * 3600);
    (policy.vacuum.retention, policy.vacuum.full_every, policy.log_retention) = (hours(1500), hours(48), hours(3000));
    policy.vacuum.enabled = !random.once_in(8);
    policy.optimize.enabled = !random.once_in(8);
    policy.optimize.target_file_bytes = random.once_in(2).then_some(TARGET);
    policy.optimize.small_files = random.of(&[0, 1, 4, 16]);
    policy.optimize.deleted_ratio = random.of(&[0.01, 0.2, 1.0]);
    policy.optimize.zorder = random.of::<&[&str]>(&[&[], &["x"], &["z"]]).iter().map(|&name| name.to_owned()).collect();
    policy.checkpoint_every = random.below(60);
    policy.readers = random.of(&[Readers::DeletionVectors, Readers::Any]);
    policy.max_bytes = random.once_in(3).then(|| random.below(3000));
    policy.keep.versions = (0..random.of(&[0, 0, 2])).map(|_| random.below(100)).collect();
    policy
}

fn random_case(seed: u64) -> Case {
    let random = &mut Random(seed);
    let (version, log) = random_log(random);
    let newest = *log.commits.values().last().unwrap();
    let now = newest + TimeDelta::hours(i64::try_from(random.below(200)).unwrap());
    let mut case = Case { now, policy: random_policy(random), ..Case::new(0) };
    (case.table.version, case.table.log) = (version, log);
    case.table.partition_columns = vec!["p".to_owned()];
    case.table.files = (0..random.of(&[3, 10, 60])).map(|index| random_file(random, index)).collect();
    case.table.frozen = random.once_in(10).then(|| "it is frozen".to_owned());
    case.last_full_vacuum = random.once_in(2).then(|| now - TimeDelta::hours(20));
    case.budget = case.policy.max_bytes.map(|most| random.below(most + 1));
    for _ in 0..random.of(&[0, 1, 4]) {
        let by = if random.once_in(2) { tag(0).by } else { cursor(0).by };
        case.held.push(held(random.below(version.0 + 1), random.once_in(2), by));
    }
    case
}

fn each_case(check: impl Fn(u64, &Case, &TablePlan)) {
    for seed in 0..CASES {
        let case = random_case(seed);
        check(seed, &case, &case.plan());
    }
}

fn rewrites(plan: &TablePlan) -> impl Iterator<Item = &Rewrite> {
    plan.steps.iter().filter_map(|step| match &step.work {
        Some(Work::Rewrite(rewrite)) => Some(rewrite),
        _ => None,
    })
}

fn live(file: &FileFacts) -> u64 {
    match (file.rows, file.deleted_rows) {
        (Some(rows), Some(deleted)) if rows > 0 => file.bytes * (rows - deleted) / rows,
        _ => file.bytes,
    }
}

/// What the rewrites of a plan leave: for each bin, as many files as its bytes need.
fn rewritten(case: &mut Case, plan: &TablePlan, round: usize) {
    for (step, rewrite) in rewrites(plan).enumerate() {
        for (index, bin) in rewrite.bins.iter().enumerate() {
            let paths: BTreeSet<_> = bin.files.iter().collect();
            let (read, kept): (Vec<_>, Vec<_>) =
                case.table.files.drain(..).partition(|file| paths.contains(&file.path));
            case.table.files = kept;
            let bytes: u64 = read.iter().map(live).sum();
            let number = bytes.div_ceil(rewrite.target_file_bytes);
            case.table.files.extend((0..number).map(|part| FileFacts {
                path: format!("{round}-{step}-{index}-{part}"),
                partition: read[0].partition.clone(),
                bytes: bytes / number + u64::from(part < bytes % number),
                rows: Some(10),
                deleted_rows: None,
                layout: (!rewrite.zorder.is_empty()).then(|| layout_mark(&rewrite.zorder)),
            }));
        }
    }
}

/// Whether the log can rebuild a version once commits and checkpoints before `begin` are removed, with one more checkpoint.
fn is_readable(log: &LogFacts, begin: u64, made: Option<TableVersion>, version: TableVersion) -> bool {
    let commits = |from: u64| (from..=version.0).all(|v| v >= begin && log.commits.contains_key(&TableVersion(v)));
    let below = log.checkpoints.iter().chain(&made).filter(|found| found.0 >= begin && **found <= version).max();
    below.map_or_else(|| commits(0), |checkpoint| commits(checkpoint.0 + 1))
}

#[test]
fn actions_are_due_with_work_and_in_their_order() {
    each_case(|seed, case, plan| {
        assert!(plan.steps.iter().all(|step| step.action.due == step.work.is_some()), "seed {seed}");
        assert!(plan.steps.iter().all(|step| !step.action.reason.is_empty()), "seed {seed}");
        let order = |step: &PlannedAction| match step.action.kind {
            MaintenanceKind::Zorder => 0,
            MaintenanceKind::Compact => 1,
            MaintenanceKind::Checkpoint => 2,
            MaintenanceKind::Vacuum | MaintenanceKind::FullVacuum => 3,
            MaintenanceKind::CleanLog => 4,
        };
        let mut orders: Vec<_> = plan.steps.iter().map(order).collect();
        assert!(orders.is_sorted(), "seed {seed}");
        orders.dedup();
        assert_eq!(orders, [0, 1, 2, 3, 4], "seed {seed}");

        let random = &mut Random(seed);
        let mut other = case.clone();
        random.shuffle(&mut other.table.files);
        random.shuffle(&mut other.table.log.checkpoints);
        random.shuffle(&mut other.held);
        assert_eq!(&other.plan(), plan, "seed {seed}");
    });
}

#[test]
fn each_file_is_in_one_bin_of_its_partition() {
    each_case(|seed, case, plan| {
        let mut seen = BTreeSet::new();
        for bin in rewrites(plan).flat_map(|rewrite| &rewrite.bins) {
            let found = |path| case.table.files.iter().find(|file| &file.path == path).unwrap();
            let files: Vec<_> = bin.files.iter().map(found).collect();
            assert!(files.iter().all(|file| file.partition == files[0].partition), "seed {seed}");
            assert_eq!(files.iter().map(|file| file.bytes).sum::<u64>(), bin.bytes, "seed {seed}");
            assert!(files.iter().all(|file| seen.insert(&file.path)), "seed {seed}");
        }
        let bytes: u64 = rewrites(plan).flat_map(|rewrite| &rewrite.bins).map(|bin| bin.bytes).sum();
        assert!(case.budget.is_none_or(|budget| bytes <= budget), "seed {seed}");
        let rewrites_files = case.table.frozen.is_none() && case.policy.optimize.enabled;
        assert!(rewrites_files || seen.is_empty(), "seed {seed}");
        if case.budget.is_none() && rewrites_files && case.policy.readers == Readers::Any {
            let vectors = case.table.files.iter().filter(|file| file.deleted_rows.is_some());
            assert!(vectors.into_iter().all(|file| seen.contains(&file.path)), "seed {seed}");
        }
    });
}

#[test]
fn one_turn_leaves_nothing_to_rewrite() {
    each_case(|seed, case, _| {
        let mut case = Case { budget: None, ..case.clone() };
        case.policy.max_bytes = None;
        let plan = case.plan();
        rewritten(&mut case, &plan, 0);
        let again = case.plan();
        assert_eq!(rewrites(&again).next(), None, "seed {seed}: {again:#?}");
    });
}

#[test]
fn turns_with_a_budget_come_to_an_end() {
    each_case(|seed, case, _| {
        let largest = case.table.files.iter().map(|file| file.bytes).max().unwrap_or(0);
        let budget = largest + 3 * TARGET;
        let mut case = Case { budget: Some(budget), ..case.clone() };
        case.policy.max_bytes = Some(budget);
        case.policy.optimize.target_file_bytes = Some(TARGET);
        for round in 0..100 {
            let plan = case.plan();
            if rewrites(&plan).next().is_none() {
                let all = Case { budget: None, ..case.clone() };
                assert_eq!(rewrites(&all.plan()).next(), None, "seed {seed}: something is never rewritten");
                return;
            }
            rewritten(&mut case, &plan, round);
        }
        panic!("seed {seed}: there is always more to rewrite");
    });
}

#[test]
fn nothing_that_is_held_is_removed() {
    each_case(|seed, case, plan| {
        let log = &case.table.log;
        let by_policy = case.policy.keep.versions.iter().map(|version| held(*version, false, PinHolder::Policy));
        let holds: Vec<_> = case.held.iter().cloned().chain(by_policy).collect();
        let readable: Vec<_> = holds.iter().filter(|held| is_readable(log, 0, None, held.version)).collect();
        let old = |retention: Duration| log.version_at(case.now - TimeDelta::from_std(retention).unwrap());

        let vacuum = plan.steps.iter().find_map(|step| match &step.work {
            Some(Work::Vacuum(vacuum)) => Some(vacuum),
            _ => None,
        });
        if let Some(Vacuum { retained, unnamed_before }) = vacuum {
            assert!(retained.since <= case.table.version, "seed {seed}");
            assert!(old(case.policy.vacuum.retention).is_none_or(|old| retained.since <= old), "seed {seed}");
            assert!(unnamed_before.is_none_or(|time| time <= case.now - case.policy.vacuum.retention), "seed {seed}");
            for held in &readable {
                let stays = retained.since <= held.version;
                assert!(
                    stays || (!held.and_later && retained.versions.contains(&held.version)),
                    "seed {seed}: {held:?}"
                );
            }
            let kept: Vec<_> = plan.kept.iter().map(|kept| kept.version).collect();
            assert!(kept.is_sorted(), "seed {seed}");
            let extra =
                retained.versions.iter().chain((retained.since < case.table.version).then_some(&retained.since));
            let base = old(case.policy.vacuum.retention).unwrap_or(TableVersion(0));
            assert!(extra.filter(|extra| **extra < base).all(|extra| kept.contains(extra)), "seed {seed}");
        }

        let works: Vec<_> = plan.steps.iter().filter_map(|step| step.work.as_ref()).collect();
        let Some(Work::CleanLog(begin)) = works.last() else { return };
        let made = works.iter().find_map(|work| match work {
            Work::Checkpoint(version) if version == begin => Some(*version),
            _ => None,
        });
        assert!(made.is_some() || log.checkpoints.contains(begin), "seed {seed}");
        assert!(is_readable(log, 0, None, *begin), "seed {seed}: a checkpoint of a version that cannot be read");
        let bounds = [log.last_run, old(case.policy.log_retention), old(case.policy.vacuum.retention)];
        assert!(bounds.into_iter().flatten().all(|bound| *begin <= bound), "seed {seed}");
        assert!(readable.iter().all(|held| is_readable(log, begin.0, made, held.version)), "seed {seed}");
        assert!(is_readable(log, begin.0, made, case.table.version), "seed {seed}");
        assert!(vacuum.is_none_or(|vacuum| *begin <= vacuum.retained.oldest()), "seed {seed}");
        assert!(old(case.policy.log_retention).is_some(), "seed {seed}: all commits are young");
    });
}

#[test]
fn random_cases_come_to_all_kinds_of_plans() {
    let mut counts = BTreeMap::new();
    for seed in 0..CASES {
        for step in random_case(seed).plan().steps {
            *counts.entry((step.action.kind.as_str(), step.action.due)).or_insert(0) += 1;
        }
    }
    let seldom: Vec<_> = counts.iter().filter(|(_, count)| **count < 15).collect();
    assert!(counts.len() == 11 && seldom.is_empty(), "{counts:?}");
}
