//! Turns, pins and cleanings that end before and after each durable step: nothing that is kept is lost, and the next one
//! finishes the work, without doing anything twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use windlass_base::failpoint::{CLEAN, LEASES, LOG, MAINTENANCE, MARKS};
use windlass_evidence::artifact::MaintenanceKind;

use super::history::{commit_file, commits, listed};
use super::lab::{Lab, Stage};
use crate::delta_read::tables::rows_of;
use crate::failpoints::{Case, Copies, each, points};
use crate::incremental::tables::{load, open};

const POLICY: &str = "optimize: { small_files: 1 }, vacuum: { retention: 0s, full_every: 0s }, log_retention: 0s, \
                      checkpoint_every: 2, keep: { runs: 1, days: 0 }";
const STAGES: [Stage<'static>; 2] = [
    ("events", "mode: append", "SELECT id, g, v FROM t"),
    ("marked", "key: [id], incremental: auto, merge: deletion_vectors", "SELECT id, g, v FROM t"),
];
const TABLES: [&str; 2] = ["events", "marked"];
/// An old version.
const EARLY: u64 = 2;

/// A version of a table, or the newest, and its rows.
type Kept = (&'static str, Option<u64>, Vec<String>);

/// A project of which everything is due: small files, deletion vectors, old versions and checkpoints. A version of `events`
/// is pinned, and one of `marked` is tagged.
struct Template {
    dir: TempDir,
    kept: Vec<Kept>,
    /// The rows of version [`EARLY`] of `marked`.
    early: Vec<String>,
    /// The newest version of each table.
    newest: [u64; 2],
}

impl Template {
    async fn new() -> Self {
        let lab = Lab::new(POLICY, &STAGES).await;
        lab.run().await;
        for first in [10, 20] {
            lab.delete(&format!("id = {}", first - 7)).await;
            lab.run_with(first..first + 5).await;
            // Only that, so that there is an older checkpoint to remove.
            lab.turn_of(&[MaintenanceKind::Checkpoint]).await;
            lab.update(&format!("id = {}", first - 5), "v", "v + 1").await;
            lab.run_with(first + 5..first + 10).await;
        }
        let mut kept = Vec::new();
        for (name, tag, table) in [("pinned", false, "events"), ("tagged", true, "marked")] {
            let version = lab.version(table).await;
            lab.mark(name, tag, table, version).await;
            kept.push((table, Some(version)));
        }
        lab.delete("id = 8").await;
        lab.run_with(30..35).await;
        let marks = listed(&lab.table("marked")).into_keys().any(|file| file.starts_with("deletion_vector_"));
        assert!(marks, "no run has written a deletion vector");
        let newest = [lab.version("events").await, lab.version("marked").await];
        kept.extend(TABLES.map(|table| (table, None)));
        let mut with_rows = Vec::new();
        for (table, version) in kept {
            with_rows.push((table, version, rows(&lab.table(table), version).await));
        }
        let early = rows(&lab.table("marked"), Some(EARLY)).await;
        Self { dir: lab.closed().await, kept: with_rows, early, newest }
    }
}

/// The sorted rows of a version of a table, as deltalake reads them.
async fn rows(folder: &Path, version: Option<u64>) -> Vec<String> {
    let mut table = open(folder).await;
    if let Some(version) = version {
        table.load_version(version).await.unwrap();
    }
    let rows = load(&table).await;
    rows_of(&rows.batches, &rows.schema)
}

async fn keeps(case: &Case, kept: &[Kept], when: &str) {
    for (table, version, expected) in kept {
        let found = rows(&case.project.join(".windlass/tables").join(table), *version).await;
        assert_eq!(&found, expected, "{when}: version {version:?} of {table}");
    }
}

/// What a turn leaves of a table: its newest version, the rewrites that have made it, and the bytes of each of its files.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    newest: u64,
    rewrites: usize,
    bytes: Vec<u64>,
}

impl Left {
    /// What is left of a table whose newest version was `before`.
    fn of(case: &Case, table: &str, before: u64) -> Self {
        let folder = case.project.join(".windlass/tables").join(table);
        let newest = commits(&folder).last().copied().unwrap();
        let is_rewrite = |version: &u64| {
            let commit = fs::read_to_string(commit_file(&folder, *version)).unwrap();
            commit.contains("\"windlass.maintenance\"")
        };
        let mut bytes: Vec<u64> = listed(&folder).into_values().collect();
        bytes.sort_unstable();
        Self { newest, rewrites: (before + 1..=newest).filter(is_rewrite).count(), bytes }
    }

    fn of_all(case: &Case, newest: [u64; 2]) -> [Self; 2] {
        let [events, marked] = newest;
        [Self::of(case, "events", events), Self::of(case, "marked", marked)]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ends_at_any_step_is_finished_by_the_next() {
    let Template { dir, kept, newest, .. } = Template::new().await;
    let copies = Arc::new(Copies::of(dir.path()));
    let whole = copies.make("whole");
    whole.succeed(&["maintain"]).await;
    keeps(&whole, &kept, "a turn that nothing ends").await;
    let expected = Arc::new(Left::of_all(&whole, newest));
    assert!(expected.iter().all(|left| left.rewrites == 1), "one rewrite of each table: {expected:?}");

    let kept = Arc::new(kept);
    each(points(&[LEASES, MAINTENANCE, LOG]), |point| {
        let (copies, kept, expected) = (Arc::clone(&copies), Arc::clone(&kept), Arc::clone(&expected));
        async move {
            let case = copies.make(&point);
            case.dies_at(&point, &["maintain"]).await;
            keeps(&case, &kept, &format!("{point}: after the end")).await;
            case.succeed(&["maintain"]).await;
            keeps(&case, &kept, &format!("{point}: after the next turn")).await;
            assert_eq!(Left::of_all(&case, newest), *expected, "{point}");
            fs::remove_dir_all(&case.project).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_set_and_released_as_a_whole() {
    let Template { dir, mut kept, early, .. } = Template::new().await;
    let copies = Copies::of(dir.path());
    let exists = |case: &Case, mark: &str| case.project.join(format!(".windlass/marks/{mark}.json")).exists();
    for point in points(&[MARKS]) {
        let case = copies.make(&point);
        let (is_set, is_after) = (point.starts_with("marks.set."), point.ends_with(".after"));
        let (args, mark): (&[&str], _) = match is_set {
            true => (&["tag", "marked@2", "early"], "early"),
            false => (&["pins", "release", "pinned"], "pinned"),
        };
        case.dies_at(&point, args).await;
        assert_eq!(exists(&case, mark), is_set == is_after, "{point}");
        // Once it is done, there is nothing left to do.
        let again = case.outcome(args).await;
        assert_eq!(again.status.success(), !is_after, "{point}: {}", crate::failpoints::text(&again));
        assert_eq!(exists(&case, mark), is_set, "{point}");
        case.succeed(&["maintain"]).await;
        if is_set {
            keeps(&case, &[("marked", Some(EARLY), early.clone())], &point).await;
        }
    }
    // What the released pin has kept may be gone; everything else is there.
    kept.retain(|(table, version, _)| *table != "events" || version.is_none());
    let case = copies.make("released");
    case.succeed(&["pins", "release", "pinned"]).await;
    case.succeed(&["maintain"]).await;
    keeps(&case, &kept, "without the pin").await;
}

/// The runs whose bundles a home has, and whether each is whole.
fn bundles(case: &Case) -> BTreeSet<(String, bool)> {
    let folders = fs::read_dir(case.project.join(".windlass/runs")).unwrap().map(|entry| entry.unwrap());
    let bundle = |folder: fs::DirEntry| {
        (folder.file_name().to_str().unwrap().to_owned(), folder.path().join("run.json").exists())
    };
    folders.map(bundle).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleaning_that_ends_is_finished_by_the_next() {
    const CLEANING: [&str; 5] = ["clean", "--keep-runs", "0", "--keep-days", "0"];
    let Template { dir, .. } = Template::new().await;
    let copies = Copies::of(dir.path());
    let whole = copies.make("whole");
    let before = bundles(&whole);
    whole.succeed(&CLEANING).await;
    let expected = bundles(&whole);
    assert!(expected.len() < before.len() && expected.is_subset(&before), "{before:?}: {expected:?}");
    for point in points(&[CLEAN, LEASES]) {
        let case = copies.make(&point);
        case.dies_at(&point, &CLEANING).await;
        // What is there of a run can be read.
        case.succeed(&["runs", "list"]).await;
        case.succeed(&CLEANING).await;
        assert_eq!(bundles(&case), expected, "{point}");
    }
}
