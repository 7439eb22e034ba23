//! Checkpoints, and what is removed of the log.

use windlass_evidence::artifact::MaintenanceKind::{Checkpoint, CleanLog};

use super::*;

/// A table of 100 days with checkpoints.
fn case(checkpoints: &[u64]) -> Case {
    let mut case = Case::new(100);
    case.table.log.checkpoints = checkpoints.iter().copied().map(TableVersion).collect();
    case.table.log.bytes = 1000 * (101 + checkpoints.len() as u64);
    case
}

/// What is made and removed, in the order of the steps.
fn works(case: &Case) -> Vec<String> {
    let works = case.plan().steps.into_iter().filter_map(|step| match step.work {
        Some(Work::Checkpoint(version)) => Some(format!("checkpoint {version}")),
        Some(Work::CleanLog(version)) => Some(format!("clean before {version}")),
        _ => None,
    });
    works.collect()
}

#[test]
fn a_checkpoint_is_made_every_so_many_commits() {
    assert_eq!(
        case(&[50]).told(Checkpoint),
        "due: 50 commits follow the checkpoint of version 50, and `checkpoint_every` is 50 [50 files, 0 bytes]"
    );
    assert_eq!(
        case(&[20, 51, 40]).told(Checkpoint),
        "not due: 49 commits follow the checkpoint of version 51, and `checkpoint_every` is 50"
    );
    let mut young = Case::new(30);
    assert_eq!(
        young.told(Checkpoint),
        "not due: the log has 31 commits and no checkpoint, and `checkpoint_every` is 50"
    );
    young.policy.checkpoint_every = 31;
    assert_eq!(works(&young), ["checkpoint 30"]);
    let mut new = Case::new(0);
    new.policy.checkpoint_every = 1;
    assert_eq!(new.told(Checkpoint), "not due: the table has only one version");
}

#[test]
fn what_is_older_than_the_log_retention_is_removed_up_to_a_checkpoint() {
    assert_eq!(
        case(&[60, 90]).told(CleanLog),
        "due: version 70 was the newest 30 days ago (`log_retention`); what is before the checkpoint of version 60 is not \
         needed [60 files, 60000 bytes]"
    );
    assert_eq!(works(&case(&[60, 70, 90])), ["clean before 70"]);
    let mut later = case(&[60, 71, 90]);
    later.now += TimeDelta::hours(23);
    assert_eq!(works(&later), ["clean before 60"]);
    later.now += TimeDelta::hours(1);
    assert_eq!(works(&later), ["clean before 71"]);
}

#[test]
fn a_few_commits_are_not_worth_removing() {
    let mut case = case(&[60, 90]);
    case.table.log.commits = case.table.log.commits.split_off(&TableVersion(51));
    assert_eq!(
        case.told(CleanLog),
        "not due: version 70 was the newest 30 days ago (`log_retention`); there are 9 commits before the checkpoint of \
         version 60, too few to remove"
    );
    case.table.log.commits.insert(TableVersion(50), day(50));
    assert_eq!(works(&case), ["clean before 60"], "ten are");
    case.table.log.commits.remove(&TableVersion(50));
    case.table.log.checkpoints.push(TableVersion(50));
    assert_eq!(works(&case), ["clean before 60"], "an old checkpoint is");
}

#[test]
fn a_log_without_an_old_checkpoint_gets_one_to_begin_with() {
    let young = case(&[90]);
    assert_eq!(works(&young), ["checkpoint 70", "clean before 70"]);
    assert_eq!(
        young.told(Checkpoint),
        "due: the log is to begin with version 70, and has no checkpoint up to there [71 files, 0 bytes]"
    );
    assert_eq!(
        young.told(CleanLog),
        "due: version 70 was the newest 30 days ago (`log_retention`); what is before it is not needed once it has a \
         checkpoint [70 files, 70000 bytes]"
    );
    assert_eq!(works(&case(&[])), ["checkpoint 70", "checkpoint 100", "clean before 70"]);

    let short = Case::new(39);
    assert_eq!(
        short.told(CleanLog),
        "not due: version 9 was the newest 30 days ago (`log_retention`); there are 9 commits before, too few to remove"
    );
    assert_eq!(works(&Case::new(40)), ["checkpoint 10", "clean before 10"]);
    let mut broken = young;
    broken.table.log.commits.remove(&TableVersion(0));
    assert_eq!(
        broken.told(CleanLog),
        "not due: version 70 was the newest 30 days ago (`log_retention`); the log has neither a checkpoint up to there nor \
         all commits, so nothing is removed"
    );
}

#[test]
fn a_checkpoint_of_this_turn_can_be_what_the_log_begins_with() {
    let mut case = case(&[]);
    case.policy.log_retention = std::time::Duration::ZERO;
    case.policy.vacuum.retention = std::time::Duration::ZERO;
    assert_eq!(works(&case), ["checkpoint 100", "clean before 100"]);
}

#[test]
fn the_log_reaches_back_to_what_is_needed() {
    let limit = |change: &dyn Fn(&mut Case)| {
        let mut case = case(&[20, 40, 60, 80]);
        case.policy.log_retention = std::time::Duration::ZERO;
        change(&mut case);
        let reason = case.told(CleanLog).split_once("; ").unwrap().0.to_owned();
        format!("{reason} -> {}", works(&case).join(", "))
    };
    assert_eq!(limit(&|_| ()), "due: version 93 was the newest 7 days ago (`retention`) -> clean before 80");
    assert_eq!(limit(&|case| case.held = vec![tag(50)]), "due: version 50 is kept by tag `release` -> clean before 40");
    assert_eq!(
        limit(&|case| case.held = vec![tag(90), cursor(60)]),
        "due: the cursor of `totals` needs what follows version 60 -> clean before 60"
    );
    assert_eq!(
        limit(&|case| case.table.log.last_run = Some(TableVersion(79))),
        "due: version 79 is the last commit of a run -> clean before 60"
    );
    let run = PinHolder::ActiveRun { run: "r1".into() };
    assert_eq!(
        limit(&|case| case.held = vec![held(39, false, run.clone())]),
        "due: version 39 is kept by active run `r1` -> clean before 20"
    );
    assert_eq!(limit(&|case| case.policy.keep.versions = vec![3]), "not due: version 3 is kept by `keep.versions` -> ");
    assert_eq!(
        limit(&|case| case.policy.log_retention = std::time::Duration::from_secs(101 * 24 * 60 * 60)),
        "not due: no commit is older than 101 days (`log_retention`) -> "
    );
}
