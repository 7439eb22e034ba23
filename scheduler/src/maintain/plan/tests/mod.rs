//! What is planned for a table, and why.

mod log;
mod random;
mod rewrites;
mod versions;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use windlass_delta::maintenance::{FileFacts, LogFacts};
use windlass_evidence::artifact::PinHolder;
use windlass_storage::Location;

use super::*;

const MIB: u64 = 1024 * 1024;

/// A table and everything else that a plan depends on.
#[derive(Debug, Clone)]
struct Case {
    table: TableFacts,
    policy: MaintenancePolicy,
    held: Vec<KeptVersion>,
    last_full_vacuum: Option<DateTime<Utc>>,
    budget: Option<u64>,
    now: DateTime<Utc>,
}

fn day(day: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(i64::try_from(day).unwrap())
}

/// A file of a table without partitions, of 100 rows.
fn file(path: &str, bytes: u64) -> FileFacts {
    FileFacts { path: path.to_owned(), partition: Vec::new(), bytes, rows: Some(100), deleted_rows: None, layout: None }
}

/// Files `prefix00`, `prefix01`, and so on.
fn files(prefix: &str, number: usize, bytes: u64) -> Vec<FileFacts> {
    (0..number).map(|index| file(&format!("{prefix}{index:02}"), bytes)).collect()
}

fn held(version: u64, and_later: bool, by: PinHolder) -> KeptVersion {
    KeptVersion { version: TableVersion(version), and_later, by }
}

fn tag(version: u64) -> KeptVersion {
    held(version, false, PinHolder::Tag { name: "release".to_owned() })
}

fn cursor(version: u64) -> KeptVersion {
    held(version, true, PinHolder::Cursor { stage: "totals".into() })
}

impl Case {
    /// A table with a commit on each day up to `version`, looked at on the day of the last one. Files come to 100 MiB.
    fn new(version: u64) -> Self {
        let commits: BTreeMap<_, _> = (0..=version).map(|version| (TableVersion(version), day(version))).collect();
        let table = TableFacts {
            location: Location::parse("memory:///table", Path::new("/")).unwrap(),
            table_id: "a".to_owned(),
            version: TableVersion(version),
            partition_columns: Vec::new(),
            sortable_columns: vec!["x".to_owned(), "y".to_owned()],
            files: Vec::new(),
            log: LogFacts { commits, ..LogFacts::default() },
            frozen: None,
        };
        let mut policy = MaintenancePolicy::default();
        policy.optimize.target_file_bytes = Some(100 * MIB);
        policy.optimize.small_files = 3;
        let now = day(version);
        Self { table, policy, held: Vec::new(), last_full_vacuum: None, budget: None, now }
    }

    /// A table with files.
    fn of(files: Vec<FileFacts>) -> Self {
        let mut case = Self::new(1);
        case.table.files = files;
        case
    }

    fn plan(&self) -> TablePlan {
        plan(&MaintenanceFacts {
            table: &self.table,
            policy: &self.policy,
            held: &self.held,
            target_file_bytes: 64 * MIB,
            last_full_vacuum: self.last_full_vacuum,
            budget: self.budget,
            now: self.now,
        })
    }

    /// The last action of a kind.
    fn step(&self, kind: MaintenanceKind) -> PlannedAction {
        self.plan().steps.into_iter().rfind(|step| step.action.kind == kind).unwrap()
    }

    /// What is told of it.
    fn told(&self, kind: MaintenanceKind) -> String {
        let MaintenanceAction { due, reason, files, bytes, .. } = self.step(kind).action;
        match due {
            true => format!("due: {reason} [{files} files, {bytes} bytes]"),
            false => format!("not due: {reason}"),
        }
    }

    fn rewrite(&self, kind: MaintenanceKind) -> Option<Rewrite> {
        match self.step(kind).work {
            Some(Work::Rewrite(rewrite)) => Some(rewrite),
            None => None,
            Some(other) => panic!("a rewrite is {other:?}"),
        }
    }

    /// The files of each bin.
    fn bins(&self, kind: MaintenanceKind) -> Vec<String> {
        let bins = self.rewrite(kind).map(|rewrite| rewrite.bins).unwrap_or_default();
        bins.iter().map(|bin| bin.files.join(" ")).collect()
    }
}

#[test]
fn every_action_is_told_of_in_its_order() {
    let kinds: Vec<_> = Case::new(0).plan().steps.iter().map(|step| step.action.kind.as_str()).collect();
    assert_eq!(kinds, ["zorder", "compact", "checkpoint", "vacuum", "clean_log"]);
    let due = |case: &Case| case.plan().steps.iter().filter(|step| step.action.due).count();
    assert_eq!(due(&Case::new(0)), 0, "a new table needs nothing");
}
