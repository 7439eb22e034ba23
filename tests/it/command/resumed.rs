//! Runs that are taken up after their process was killed, and runs that try again what failed.

use std::fs;
use std::path::PathBuf;

use datafusion::arrow::array::Int64Array;
use serde_json::Value;

use super::interrupted::{Lab, kill};
use crate::delta_read::tables::{append, array, batch};

/// Seconds of work, so that the process dies in the middle of it, and few enough to do it once more.
const SECONDS: &str = "SELECT sum(a.n * b.n % 7) AS s FROM kept AS a CROSS JOIN kept AS b";
const NAME: &str = "killed";

/// A lab whose run was killed when three stages had committed and `slow` was being executed.
fn killed() -> Lab {
    let lab = Lab::new();
    lab.slow(NAME, SECONDS);
    kill(lab.start(NAME, &["added", "reader", "stamped"]));
    lab
}

fn failure(lab: &Lab, args: &[&str]) -> String {
    let output = lab.windlass(NAME).args(args).args(["--output", "json"]).output().unwrap();
    assert!(!output.status.success(), "{args:?} succeeded");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["error"]["code"].as_str().unwrap().to_owned()
}

/// A field of each stage of a run, by the stage's name.
fn of_stage<'v>(run: &'v Value, stage: &str, field: &str) -> &'v Value {
    let stages = run["stages"].as_array().unwrap();
    let found = stages.iter().find(|found| found["stage"] == stage);
    &found.unwrap_or_else(|| panic!("no {stage} in {run}"))[field]
}

#[test]
fn a_killed_run_goes_on_where_it_ended() {
    let lab = killed();
    let shown = lab.json(NAME, &["runs", "show"]);
    assert_eq!(shown["status"], "interrupted");
    let versions = ["added", "reader", "stamped"].map(|stage| of_stage(&shown, stage, "receipt")["version"].clone());
    let stamp = lab.json(NAME, &["query", "SELECT at FROM stamped"]);

    let again = lab.json(NAME, &["runs", "resume", "--dry-run"]);
    for (stage, execute) in [("added", false), ("reader", false), ("stamped", false), ("slow", true)] {
        assert_eq!(of_stage(&again, stage, "execute"), execute, "{again}");
    }
    let run = lab.json(NAME, &["runs", "resume"])["run"].take();
    assert_eq!((&run["run_id"], &run["status"]), (&shown["run_id"], &"succeeded".into()), "{run}");
    assert_eq!(run["sequence"], shown["sequence"]);
    assert_eq!(run["resumptions"].as_array().unwrap().len(), 1);
    let after = ["added", "reader", "stamped"].map(|stage| of_stage(&run, stage, "receipt")["version"].clone());
    assert_eq!(after, versions);
    assert_eq!((lab.count(NAME, "added"), lab.count(NAME, "reader"), lab.count(NAME, "slow")), (1, 1, 1));
    assert_eq!(lab.json(NAME, &["query", "SELECT at FROM stamped"]), stamp, "it was executed again");
    assert_eq!(lab.caches(), 0);

    let attempts = lab.bundle(run["run_id"].as_str().unwrap(), "stages/slow/stage.json")["attempts"].take();
    let statuses: Vec<&str> = attempts.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["interrupted", "committed"]);
    let lineage = lab.bundle(run["run_id"].as_str().unwrap(), "lineage.json")["stages"].take();
    let made: Vec<&str> = lineage.as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    for stage in ["added", "reader", "stamped", "slow", "kept"] {
        assert!(made.contains(&stage), "no {stage} in {made:?}");
    }
    let log = lab.json(NAME, &["runs", "log"]);
    let log = log.as_array().unwrap();
    assert!(log.iter().enumerate().all(|(at, line)| line["seq"] == at), "the log has gaps: {log:?}");
    let resumed: Vec<&Value> = log.iter().filter(|line| line["event"] == "run_resumed").collect();
    assert_eq!(resumed.len(), 1);
    assert!(resumed[0]["committed"].as_u64() >= Some(3), "{resumed:?}");
    assert_eq!(lab.json(NAME, &["runs", "list"]).as_array().unwrap().len(), 1);

    assert_eq!(failure(&lab, &["runs", "resume"]), "WL0630");
    assert_eq!(failure(&lab, &["runs", "retry"]), "WL0636");
    // The next run is one of its own: it adds its rows.
    lab.run(NAME);
    assert_eq!((lab.count(NAME, "added"), lab.count(NAME, "reader")), (2, 2));
}

#[test]
fn a_run_is_taken_up_again_and_again() {
    let lab = killed();
    for _ in 0..2 {
        kill(lab.start_as(NAME, &["runs", "resume"], &[("run_resumed", None), ("stage_started", Some("slow"))]));
    }
    let run = lab.json(NAME, &["runs", "resume"])["run"].take();
    // One that was killed early may not have noted yet that it took the run up.
    let resumptions = run["resumptions"].as_array().unwrap().len();
    assert!(run["status"] == "succeeded" && (2..=3).contains(&resumptions), "{run}");
    assert_eq!((lab.count(NAME, "added"), lab.count(NAME, "reader"), lab.count(NAME, "slow")), (1, 1, 1));
}

#[test]
fn a_run_is_not_taken_up_with_another_project_or_after_a_later_run() {
    let lab = killed();
    lab.slow(NAME, "SELECT 1 AS s FROM kept");
    assert_eq!(failure(&lab, &["runs", "resume"]), "WL0631");
    assert_eq!(failure(&lab, &["runs", "retry"]), "WL0637");
    lab.slow(NAME, SECONDS);
    let later = lab.windlass(NAME).args(["run", "-s", "stamped"]).output().unwrap();
    assert!(later.status.success());
    let killed = lab.json(NAME, &["runs", "list"])[1]["run_id"].as_str().unwrap().to_owned();
    assert_eq!(failure(&lab, &["runs", "resume", &killed]), "WL0632");
}

/// A project in which `ratio` fails for as long as its SQL says so.
struct Failing {
    lab: Lab,
    project: PathBuf,
}

impl Failing {
    fn new() -> Self {
        let lab = Lab::new();
        let project = lab.project(NAME);
        for stage in ["added", "reader", "stamped", "kept", "slow"] {
            fs::remove_file(project.join(format!("stages/{stage}.sql"))).unwrap();
        }
        let sources = "sources: { source: { kind: delta, location: source } }";
        fs::write(project.join("windlass.yaml"), format!("name: {NAME}\n{sources}\n")).unwrap();
        let failing = Self { lab, project };
        failing.stage("total", "SELECT sum(n) AS n FROM source");
        failing.stage("ratio", "SELECT 1 / (n - n) AS r, n FROM total");
        failing.stage("reader", "SELECT r + 0 AS r, n FROM ratio");
        failing.stage("other", "SELECT count(*) AS n FROM source");
        failing
    }

    fn stage(&self, name: &str, sql: &str) {
        fs::write(self.project.join(format!("stages/{name}.sql")), sql).unwrap();
    }

    async fn add(&self, rows: &[i64]) {
        let rows = array(Int64Array::from(rows.to_vec()));
        append(&self.project.join("source"), batch(vec![("n", rows)]), &[]).await;
    }
}

#[tokio::test]
async fn what_failed_is_tried_again_over_the_same_versions() {
    let failing = Failing::new();
    failing.add(&[1, 2, 3]).await;
    let lab = &failing.lab;
    assert!(!lab.windlass(NAME).arg("run").output().unwrap().status.success());
    let first = lab.json(NAME, &["runs", "show"]);
    assert_eq!(of_stage(&first, "reader", "status"), "skipped");

    failing.add(&[100]).await;
    failing.stage("ratio", "SELECT n / 2 AS r, n FROM total");
    let again = lab.json(NAME, &["runs", "retry", "--dry-run"]);
    for (stage, execute) in [("total", false), ("other", false), ("ratio", true), ("reader", true)] {
        assert_eq!(of_stage(&again, stage, "execute"), execute, "{again}");
    }
    let one = lab.json(NAME, &["runs", "retry", "-s", "ratio", "--dry-run"]);
    assert_eq!(of_stage(&one, "reader", "execute"), false);

    let retried = lab.json(NAME, &["runs", "retry"])["run"].take();
    assert_eq!((&retried["status"], &retried["retry_of"]), (&"succeeded".into(), &first["run_id"]), "{retried}");
    assert_ne!(retried["run_id"], first["run_id"]);
    let names: Vec<&str> =
        retried["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["ratio", "reader"]);
    let rows = lab.json(NAME, &["query", "SELECT n FROM reader"]);
    assert_eq!(rows[0]["n"], 6, "it read another version of the source");
    // What was tried again is taken up like any other run.
    assert_eq!(failure(lab, &["runs", "resume"]), "WL0630");
    // The first run is what it was.
    let kept = lab.json(NAME, &["runs", "show", first["run_id"].as_str().unwrap()]);
    assert_eq!(kept, first);
    assert_eq!(failure(lab, &["runs", "retry", first["run_id"].as_str().unwrap()]), "WL0632");
}

#[tokio::test]
async fn nothing_is_tried_again_over_a_table_that_was_made_anew() {
    let failing = Failing::new();
    failing.add(&[1, 2, 3]).await;
    let lab = &failing.lab;
    assert!(!lab.windlass(NAME).arg("run").output().unwrap().status.success());
    fs::remove_dir_all(failing.project.join("source")).unwrap();
    failing.add(&[4, 5]).await;
    failing.stage("reader", "SELECT n AS r, n FROM source");
    failing.stage("ratio", "SELECT n / 2 AS r, n FROM total");
    assert_eq!(failure(lab, &["runs", "retry"]), "WL0634");
    // What does not read it can be tried again.
    lab.json(NAME, &["runs", "retry", "-s", "ratio"]);
}

#[tokio::test]
async fn a_run_that_tries_stages_again_is_taken_up_with_its_own_selection() {
    let failing = Failing::new();
    failing.add(&[1, 2, 3]).await;
    let lab = &failing.lab;
    assert!(!lab.windlass(NAME).arg("run").output().unwrap().status.success());
    failing.stage("ratio", "SELECT n / 2 AS r, n FROM total");
    failing.stage(
        "reader",
        "SELECT r + 0 AS r, n, (SELECT sum(a.n * b.n % 7) FROM much AS a CROSS JOIN much AS b) AS s FROM ratio",
    );
    let much = "/* windlass\nmaterialize: view\n*/\nSELECT unnest(range(0, 7000)) AS n FROM source";
    failing.stage("much", much);
    let events = [("stage_committed", Some("ratio")), ("stage_started", Some("reader"))];
    kill(lab.start_as(NAME, &["runs", "retry"], &events));
    let run = lab.json(NAME, &["runs", "resume"])["run"].take();
    let names: Vec<&str> =
        run["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!((&run["status"], names), (&"succeeded".into(), vec!["ratio", "reader"]), "{run}");
    assert!(run["retry_of"].is_string() && run["resumptions"].as_array().unwrap().len() == 1, "{run}");
}
