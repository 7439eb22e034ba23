//! Turns of the command that are killed at any time: nothing that is kept is lost, and the next turn does the rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use windlass_evidence::artifact::MaintenanceKind;

use super::history::names;
use super::lab::{Lab, action, of};
use crate::command::binary;
use crate::incremental::tables::open;

/// How many turns are killed. Before every second one there is a run.
const KILLS: usize = 20;
/// Before so many kills a version is pinned.
const PINNED_EVERY: usize = 6;

/// A turn in a process of its own.
fn turn(project: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("--project").arg(project).arg("maintain").env_remove("WINDLASS_HOME").env_remove("WINDLASS_CLUSTER");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The names of the data files of a version, as deltalake reads the log.
async fn files_of(table: &Path, version: u64) -> BTreeSet<String> {
    let mut table = open(table).await;
    table.load_version(version).await.unwrap();
    let files: Vec<String> = table.get_file_uris().unwrap().collect();
    files.iter().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_that_are_killed_lose_nothing() {
    let policy = "optimize: { small_files: 1 }, vacuum: { retention: 0s, full_every: 0s }, log_retention: 0s, \
                  checkpoint_every: 2, keep: { runs: 1, days: 0 }";
    let lab = Lab::new(policy, &[("events", "mode: append, partition_by: [g]", "SELECT id, g, v FROM t")]).await;
    let folder = lab.table("events");
    lab.runs([10..15, 15..20]).await;
    let started = Instant::now();
    assert!(turn(lab.dir()).status().unwrap().success(), "a turn that nobody kills fails");
    let whole = started.elapsed();

    let mut random = StdRng::seed_from_u64(7);
    let (mut kept, mut rows, mut killed) = (Vec::new(), lab.rows("SELECT * FROM events").await, 0);
    for kill in 0..KILLS {
        if kill % 2 == 0 {
            let first = 20 + 5 * kill as i64;
            lab.run_with(first..first + 5).await;
            rows = lab.rows("SELECT * FROM events").await;
        }
        if kill % PINNED_EVERY == 0 {
            let (version, name) = (lab.version("events").await, format!("pin{kill}"));
            lab.mark(&name, false, "events", version).await;
            kept.push((name, version, lab.rows_at("events", version).await));
        }
        let delay = whole.mul_f64(random.random_range(0.0..1.1));
        let mut child = turn(lab.dir()).spawn().unwrap();
        tokio::time::sleep(delay).await;
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        for (_, version, expected) in &kept {
            let found = lab.rows_at("events", *version).await;
            assert_eq!(&found, expected, "kill {kill}, after {delay:?}: version {version}, which is kept");
        }
        let found = lab.rows("SELECT * FROM events").await;
        assert_eq!(found, rows, "kill {kill}, after {delay:?}: the newest version");
    }
    assert!(killed > KILLS / 3, "most turns ended before they were killed: {killed} of {KILLS} in {whole:?}");

    let record = lab.turn().await;
    let mut expected = files_of(&folder, lab.version("events").await).await;
    for (_, version, _) in &kept {
        expected.extend(files_of(&folder, *version).await);
    }
    assert_eq!(names(&folder), expected, "after the turn that nobody kills: {:?}", of(&record, "events"));
    let again = lab.turn().await;
    assert!(!action(&again, "events", MaintenanceKind::Compact).due, "{:?}", of(&again, "events"));
    assert_eq!(names(&folder), expected, "a further turn has removed something: {:?}", of(&again, "events"));

    for (name, version, expected) in &kept {
        assert_eq!(&lab.rows_at("events", *version).await, expected, "version {version}, which is kept");
        lab.release(name).await;
    }
    let record = lab.turn().await;
    let newest = files_of(&folder, lab.version("events").await).await;
    assert_eq!(names(&folder), newest, "without pins: {:?}", of(&record, "events"));
    assert_eq!(lab.rows("SELECT * FROM events").await, rows);
    assert_eq!(lab.others_rows("events").await, rows, "as another program reads it");
    lab.run().await;
    lab.windlass.stop().await;
}
