//! Which versions stay, and what vacuum removes.

use windlass_evidence::artifact::MaintenanceKind::{FullVacuum, Vacuum as OldFiles};

use super::*;

fn retained(case: &Case) -> Retained {
    let work = case.plan().steps.into_iter().find_map(|step| match step.work {
        Some(Work::Vacuum(vacuum)) => Some(vacuum.retained),
        _ => None,
    });
    work.unwrap()
}

fn numbers(versions: impl IntoIterator<Item = TableVersion>) -> Vec<u64> {
    versions.into_iter().map(|version| version.0).collect()
}

/// A case of 20 days whose folder was listed an hour ago.
fn listed() -> Case {
    let mut case = Case::new(20);
    case.last_full_vacuum = Some(case.now - TimeDelta::hours(1));
    case
}

#[test]
fn what_was_the_newest_within_the_retention_stays() {
    let mut case = listed();
    assert_eq!(retained(&case), Retained { versions: [].into(), since: TableVersion(13) });
    assert_eq!(case.told(OldFiles), "due: versions before 13 are not needed: `retention` is 7 days [0 files, 0 bytes]");
    case.now += TimeDelta::hours(36);
    assert_eq!(retained(&case).since.0, 14);
    case.now += TimeDelta::days(100);
    assert_eq!(retained(&case).since.0, 20, "the newest version stays however old it is");
    case.table.version = TableVersion(18);
    assert_eq!(retained(&case).since.0, 18, "even if others have followed by now");
    case.policy.vacuum.retention = std::time::Duration::MAX;
    assert_eq!(retained(&case).since.0, 0);
}

#[test]
fn without_old_commits_everything_in_the_log_stays() {
    let mut case = listed();
    case.policy.vacuum.retention = std::time::Duration::from_secs(60 * 24 * 60 * 60);
    assert_eq!(
        case.told(OldFiles),
        "not due: all versions are needed: none of the log is older than 60 days (`retention`)"
    );
    case.table.log.commits = case.table.log.commits.split_off(&TableVersion(6));
    case.table.log.checkpoints = vec![TableVersion(8)];
    assert_eq!(retained(&case).since.0, 6);
}

#[test]
fn held_versions_stay() {
    let mut case = listed();
    case.held = vec![tag(15), tag(13)];
    assert_eq!(case.plan().kept, [], "the retention keeps those");
    case.held = vec![tag(15), tag(3)];
    case.policy.keep.versions = vec![5, 3, 90];
    assert_eq!(retained(&case), Retained { versions: [3, 5].map(TableVersion).into(), since: TableVersion(13) });
    assert_eq!(case.plan().kept, [tag(3), held(3, false, PinHolder::Policy), held(5, false, PinHolder::Policy)]);
    assert_eq!(
        case.told(OldFiles),
        "due: version 3 is kept by tag `release`, and 1 more version is kept; files that only other versions before 13 \
         need are removed: `retention` is 7 days [0 files, 0 bytes]"
    );
}

#[test]
fn from_a_cursor_on_everything_stays() {
    let mut case = listed();
    case.held = vec![tag(9), cursor(8), tag(3)];
    assert_eq!(retained(&case), Retained { versions: [TableVersion(3)].into(), since: TableVersion(8) });
    assert_eq!(numbers(case.plan().kept.iter().map(|kept| kept.version)), [3, 8, 9]);
    case.held.pop();
    assert_eq!(
        case.told(OldFiles),
        "due: versions before 8 are not needed: the cursor of `totals` needs what follows [0 files, 0 bytes]"
    );
    case.held.push(cursor(0));
    assert_eq!(case.told(OldFiles), "not due: all versions are needed: the cursor of `totals` needs what follows");
}

#[test]
fn versions_that_the_log_has_lost_are_only_reported() {
    let mut case = listed();
    case.table.log.commits = case.table.log.commits.split_off(&TableVersion(6));
    case.table.log.checkpoints = vec![TableVersion(8), TableVersion(18)];
    case.held = vec![tag(2), tag(7), tag(8), cursor(4)];
    assert_eq!(retained(&case), Retained { versions: [TableVersion(8)].into(), since: TableVersion(13) });
    assert_eq!(numbers(case.plan().kept.iter().map(|kept| kept.version)), [2, 4, 7, 8]);
    case.held = vec![cursor(5)];
    assert_eq!(retained(&case).since.0, 5, "the changes after version 5 are all there");
}

#[test]
fn the_folder_is_listed_from_time_to_time() {
    let vacuum = |case: &Case, kind| match case.step(kind).work {
        Some(Work::Vacuum(vacuum)) => vacuum.unnamed_before,
        other => panic!("a vacuum is {other:?}"),
    };
    let mut case = Case::new(20);
    assert_eq!(vacuum(&case, FullVacuum), Some(day(13)));
    assert_eq!(
        case.told(FullVacuum),
        "due: versions before 13 are not needed: `retention` is 7 days; the folder is listed for files that no commit \
         names: it never was [0 files, 0 bytes]"
    );
    case.last_full_vacuum = Some(day(19));
    assert_eq!(
        case.step(FullVacuum).action.reason.split_once("; ").unwrap().1,
        "the folder is listed for files that no commit names: that is done every 1 day"
    );
    case.last_full_vacuum = Some(day(19) + TimeDelta::seconds(1));
    assert_eq!(vacuum(&case, OldFiles), None);
    case.last_full_vacuum = Some(day(50));
    assert_eq!(vacuum(&case, OldFiles), None);
}

#[test]
fn vacuum_can_be_off_and_needs_a_table_that_has_changed() {
    let mut case = listed();
    case.policy.vacuum.enabled = false;
    assert_eq!(case.told(OldFiles), "not due: `vacuum` is off");
    assert_eq!(Case::new(0).told(OldFiles), "not due: the table has only one version");
}
