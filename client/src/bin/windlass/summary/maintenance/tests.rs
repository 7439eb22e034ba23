use chrono::DateTime;
use windlass_base::ids::TableVersion;
use windlass_evidence::artifact::{MAINTENANCE_FORMAT, TableSize};

use super::*;

fn action(kind: MaintenanceKind, reason: &str, files: u64, bytes: u64) -> MaintenanceAction {
    MaintenanceAction { kind, due: true, reason: reason.to_owned(), files, bytes, outcome: None }
}

fn done(action: MaintenanceAction, files_added: u64) -> MaintenanceAction {
    let (files_removed, bytes_removed) = (action.files, action.bytes);
    let outcome = ActionOutcome { files_removed, bytes_removed, files_added, ..ActionOutcome::default() };
    MaintenanceAction { outcome: Some(outcome), ..action }
}

fn failed(action: MaintenanceAction) -> MaintenanceAction {
    let failure = Failure {
        code: "WL0401".to_owned(),
        message: "the store is away".to_owned(),
        help: Some("try again".to_owned()),
        retryable: true,
    };
    MaintenanceAction { outcome: Some(ActionOutcome { failure: Some(failure), ..ActionOutcome::default() }), ..action }
}

fn table(name: &str, actions: Vec<MaintenanceAction>, kept: Vec<KeptVersion>) -> TableMaintenance {
    TableMaintenance {
        table: name.into(),
        location: format!("file:///home/tables/{name}"),
        before: TableSize::default(),
        after: None,
        actions,
        kept,
        failure: None,
    }
}

fn turn(dry_run: bool, tables: Vec<TableMaintenance>) -> MaintenanceRecord {
    let started_at = DateTime::UNIX_EPOCH;
    MaintenanceRecord {
        format: MAINTENANCE_FORMAT,
        turn: "0000".into(),
        pipeline: "shop".into(),
        dry_run,
        started_at,
        ended_at: Some(started_at + std::time::Duration::from_millis(3_200)),
        stopped: false,
        tables,
    }
}

fn kept(version: u64, by: PinHolder) -> KeptVersion {
    KeptVersion { version: TableVersion(version), and_later: matches!(by, PinHolder::Cursor { .. }), by }
}

fn plain(record: &MaintenanceRecord, details: bool) -> String {
    summary(record, details, Layout { width: Some(80), colour: false })
}

const MIB: u64 = 1024 * 1024;

fn compact() -> MaintenanceAction {
    action(MaintenanceKind::Compact, "124 files are small, more than the 16 that the policy allows", 124, 30 * MIB)
}

fn not_due() -> MaintenanceAction {
    MaintenanceAction { due: false, ..action(MaintenanceKind::CleanLog, "all commits are younger than 30 days", 0, 0) }
}

#[test]
fn a_turn_tells_what_it_has_done_and_what_keeps_old_versions() {
    let vacuum =
        action(MaintenanceKind::FullVacuum, "37 files are not needed by any version that is kept", 37, 1280 * MIB);
    let run = |version, run: &str| kept(version, PinHolder::KeptRun { run: run.into() });
    let held = vec![
        kept(1, PinHolder::Tag { name: "june".to_owned() }),
        run(2, "a"),
        run(3, "b"),
        run(4, "c"),
        run(7, "d"),
        kept(5, PinHolder::Cursor { stage: "daily".into() }),
    ];
    let tables = vec![
        table("orders", vec![done(compact(), 9), done(vacuum, 0), not_due()], held),
        table("totals", vec![], vec![]),
    ];
    let text = plain(&turn(false, tables), false);
    assert!(text.starts_with("TABLE "), "{text}");
    for part in ["full-vacuum", "124 files", "became 9", "1.25 GiB"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("clean-log"), "{text}");
    let (_, rest) = text.split_once("old versions that stay:\n").unwrap();
    assert_eq!(
        rest,
        "  `orders` version 1: tag `june`\n  \
         `orders` version 5 and later: cursor of `daily`\n  \
         `orders` versions 2 to 4, 7: 4 runs whose bundles are kept\n\n\
         2 tables: 124 files became 9, 37 files removed, 1.25 GiB freed in 3.2 s\n"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_dry_run_tells_what_is_due() {
    let record = turn(true, vec![table("orders", vec![compact(), not_due()], vec![])]);
    let text = plain(&record, false);
    assert!(!text.contains("RESULT") && !text.contains("clean-log"), "{text}");
    assert!(text.ends_with("1 table: 1 action is due; nothing was done\n"), "{text}");
    assert!(plain(&record, true).contains("clean-log"));
    assert!(!has_failed(&record));
    let text = plain(&turn(true, vec![table("orders", vec![not_due()], vec![])]), false);
    assert_eq!(text, "1 table: nothing is due\n");
}

#[test]
fn what_failed_is_told_with_its_help() {
    let checkpoint = action(MaintenanceKind::Checkpoint, "60 commits follow the last one", 0, 0);
    let record = turn(false, vec![table("orders", vec![failed(compact()), checkpoint], vec![])]);
    let text = plain(&record, false);
    assert!(has_failed(&record));
    assert!(text.contains("compact of `orders` failed: "), "{text}");
    assert!(text.contains("the store is away") && text.contains("  help: try again\n"), "{text}");
    assert!(text.ends_with("1 table: nothing was done, 1 action failed, 1 action not done in 3.2 s\n"), "{text}");
}

#[test]
fn versions_are_told_as_ranges() {
    for (versions, text) in [
        (&[3][..], "version 3"),
        (&[1, 2], "versions 1, 2"),
        (&[0, 1, 2, 5], "versions 0 to 2, 5"),
        (&[1, 3, 5, 6, 7], "versions 1, 3, 5 to 7"),
    ] {
        assert_eq!(versions_text(versions), text);
    }
}
