//! `windlass clean`: what it finds in a home, what it removes, and what it spares.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::interrupted::{Lab, QUICK, kill};
use super::{json, windlass};

/// Keeps the bundles of the 3 newest runs.
const KEEP_3: [&str; 4] = ["--keep-runs", "3", "--keep-days", "0"];
const KEEP_1: [&str; 4] = ["--keep-runs", "1", "--keep-days", "0"];

/// A project with two tables.
struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let project = Self { dir: tempfile::tempdir().unwrap() };
        project.name("shop");
        project.stage("kept", "SELECT 1 AS id");
        project.stage("gone", "SELECT 2 AS id");
        project
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn name(&self, name: &str) {
        fs::write(self.path().join("windlass.yaml"), format!("name: {name}\n")).unwrap();
    }

    fn stage(&self, name: &str, sql: &str) {
        fs::create_dir_all(self.path().join("stages")).unwrap();
        fs::write(self.path().join(format!("stages/{name}.sql")), sql).unwrap();
    }

    fn remove_stage(&self, name: &str) {
        fs::remove_file(self.path().join(format!("stages/{name}.sql"))).unwrap();
    }

    fn table(&self, name: &str) -> PathBuf {
        self.path().join(".windlass/tables").join(name)
    }

    fn run(&self, args: &[&str]) {
        windlass(self.path()).arg("run").args(args).assert().success();
    }

    fn clean(&self, args: &[&str]) -> Value {
        json(windlass(self.path()).arg("clean").args(args))
    }

    fn listed(&self) -> Vec<String> {
        let runs = json(windlass(self.path()).args(["runs", "list"]));
        runs.as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
    }

    /// The folders of bundles.
    fn bundles(&self) -> BTreeSet<String> {
        let folders = fs::read_dir(self.path().join(".windlass/runs")).unwrap();
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn items(record: &Value) -> &Vec<Value> {
    record["items"].as_array().unwrap()
}

/// A field of each item.
fn each<'r>(record: &'r Value, field: &str) -> Vec<&'r str> {
    items(record).iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[test]
fn bundles_that_the_policy_does_not_keep_are_shown_and_removed() {
    let project = Project::new();
    for _ in 0..12 {
        project.run(&["--full-refresh"]);
    }
    let all = project.listed();
    assert_eq!(all.len(), 12);

    let dry = project.clean(&[&["--dry-run"][..], &KEEP_3].concat());
    let (newest, mut old) = (&all[..3], all[3..].to_vec());
    old.reverse();
    assert_eq!(each(&dry, "name"), old, "oldest first");
    for item in items(&dry) {
        assert_eq!(
            (&item["kind"], &item["due"], &item["removed"]),
            (&"run_bundle".into(), &true.into(), &false.into())
        );
        assert!(item["bytes"].as_u64().unwrap() > 100 && item["files"].as_u64().unwrap() > 5, "{item}");
        assert_eq!(item["reason"], "not one of the newest 3 runs");
    }
    let bytes: u64 = items(&dry).iter().map(|item| item["bytes"].as_u64().unwrap()).sum();
    assert_eq!((&dry["totals"]["due"]["bytes"], &dry["totals"]["due"]["items"]), (&bytes.into(), &9.into()));
    assert_eq!((&dry["dry_run"], &dry["totals"]["removed"]["items"]), (&true.into(), &0.into()));
    assert_eq!(project.listed(), all, "a dry run removes nothing");
    let shown = windlass(project.path()).args(["clean", "--dry-run"]).args(KEEP_3).assert().success();
    let shown = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    assert!(shown.contains("run bundle") && shown.contains("would be removed: 9 items, "), "{shown}");

    let cleaned = project.clean(&KEEP_3);
    assert_eq!(each(&cleaned, "name"), old);
    assert_eq!(cleaned["totals"]["removed"], dry["totals"]["due"]);
    assert_eq!(project.listed(), newest);
    assert_eq!(project.bundles(), newest.iter().cloned().collect());
    assert!(items(&project.clean(&KEEP_3)).is_empty());
    // The policy of every project keeps more than that.
    assert!(items(&project.clean(&[])).is_empty());
    let shown = windlass(project.path()).arg("clean").assert().success();
    assert!(String::from_utf8_lossy(&shown.get_output().stdout).starts_with("nothing to remove\n"));
}

#[test]
fn the_run_that_made_a_table_stays_and_is_explained() {
    let project = Project::new();
    for _ in 0..4 {
        project.run(&[]);
    }
    let all = project.listed();
    let cleaned = project.clean(&KEEP_1);
    assert_eq!(each(&cleaned, "name"), [all[2].as_str(), &all[1]], "{cleaned}");
    assert_eq!(project.listed(), [all[0].clone(), all[3].clone()]);
    let explained = json(windlass(project.path()).args(["explain", "latest", "kept", "--plan", "logical"]));
    assert_eq!(
        (&explained["requested_run_id"], &explained["run_id"]),
        (&all[0].clone().into(), &all[3].clone().into())
    );
}

#[test]
fn a_removal_that_was_cut_off_is_hidden_and_finished() {
    let project = Project::new();
    for _ in 0..4 {
        project.run(&["--full-refresh"]);
    }
    let all = project.listed();
    // What a kill after the first file of a removal leaves.
    let folder = project.path().join(".windlass/runs").join(&all[1]);
    fs::remove_file(folder.join("run.json")).unwrap();
    assert!(folder.join("pins.json").exists());
    assert_eq!(project.listed(), [all[0].clone(), all[2].clone(), all[3].clone()]);
    let two = json(windlass(project.path()).args(["runs", "list", "--limit", "2"]));
    assert_eq!(two.as_array().unwrap().len(), 2, "what is left counts for nothing");

    let cleaned = project.clean(&[]);
    assert_eq!(each(&cleaned, "name"), [all[1].as_str()]);
    assert_eq!(each(&cleaned, "reason"), ["left by a removal that was interrupted"]);
    assert!(!folder.exists());
    assert_eq!(project.listed().len(), 3);
}

#[test]
fn a_table_without_a_stage_is_listed_and_removed_only_when_said() {
    let project = Project::new();
    project.run(&[]);
    project.name("other");
    project.stage("foreign", "SELECT 3 AS id");
    project.run(&["-s", "foreign"]);
    project.name("shop");
    project.remove_stage("foreign");
    project.remove_stage("gone");
    fs::create_dir_all(project.table("no_table")).unwrap();
    fs::write(project.table("no_table").join("notes.txt"), "mine").unwrap();

    let left = |record: &Value| {
        assert_eq!(each(record, "name"), ["foreign", "gone", "no_table"], "{record}");
        assert!(items(record)[0]["reason"].as_str().unwrap().contains("`other`"), "{record}");
        assert!(items(record).iter().all(|item| item["kind"] == "table" && item["bytes"].as_u64().unwrap() > 0));
        items(record).iter().map(|item| item["due"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(left(&project.clean(&[])), [false, false, false]);
    assert_eq!(left(&project.clean(&["--dry-run", "--tables"])), [false, true, false]);
    windlass(project.path()).args(["clean", "--tables"]).assert().code(2);
    assert!(project.table("gone").exists());

    let cleaned = project.clean(&["--tables", "--yes"]);
    assert_eq!(left(&cleaned), [false, true, false]);
    assert_eq!((&cleaned["totals"]["removed"]["items"], &cleaned["totals"]["kept"]["items"]), (&1.into(), &2.into()));
    assert!(!project.table("gone").exists());
    assert!(project.table("foreign").exists() && project.table("no_table/notes.txt").exists());
    let rows = json(windlass(project.path()).args(["query", "SELECT id FROM kept"]));
    assert_eq!(rows[0]["id"], 1);
}

#[test]
fn a_table_whose_removal_was_cut_off_is_still_the_pipelines() {
    let project = Project::new();
    project.run(&[]);
    project.run(&["--full-refresh"]);
    project.remove_stage("gone");
    // Data goes first, then the log from its newest commit on.
    for entry in fs::read_dir(project.table("gone")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    fs::remove_file(project.table("gone").join("_delta_log/00000000000000000002.json")).unwrap();
    let cleaned = project.clean(&["--tables", "--yes"]);
    assert_eq!((each(&cleaned, "name"), &items(&cleaned)[0]["removed"]), (vec!["gone"], &true.into()), "{cleaned}");
    assert!(!project.table("gone").exists());
}

#[test]
fn active_runs_are_spared_and_what_killed_ones_have_left_goes() {
    let (lab, name) = (Lab::new(), "killed");
    let keep_none = ["--keep-runs", "0", "--keep-days", "0"];
    let dry_run = || lab.json(name, &[&["clean", "--dry-run"][..], &keep_none].concat());
    let run = lab.start(name, &["added", "reader"]);
    assert!(items(&dry_run()).is_empty(), "{}", dry_run());
    let busy = lab.windlass(name).args(["clean", "--output", "json"]).output().unwrap();
    let busy: Value = serde_json::from_slice(&busy.stdout).unwrap();
    assert_eq!(busy["error"]["code"], "WL0606", "{busy}");
    kill(run);

    // It can be taken up, for which it needs its events and what it has kept.
    assert_eq!(each(&dry_run(), "kind"), ["lease"]);
    assert_eq!(lab.caches(), 1);
    let newer = lab.windlass(name).args(["run", "-s", "stamped"]).output().unwrap();
    assert!(newer.status.success());
    let stray = lab.home().join("cache/01900000000070008000000000000000");
    fs::create_dir_all(&stray).unwrap();
    fs::write(stray.join("part"), "rows").unwrap();
    let cleaned = lab.json(name, &[&["clean"][..], &keep_none].concat());
    assert_eq!(each(&cleaned, "kind"), ["cache", "run_events"]);
    assert!(items(&cleaned).iter().all(|item| item["removed"] == true), "{cleaned}");
    assert_eq!(lab.caches(), 0);
    assert!(items(&dry_run()).is_empty(), "{}", dry_run());
}

#[test]
fn an_interrupted_run_that_the_next_one_goes_on_with_stays() {
    let (lab, name) = (Lab::new(), "killed");
    kill(lab.start(name, &["added", "reader"]));
    let newer = lab.windlass(name).args(["run", "-s", "stamped"]).output().unwrap();
    assert!(newer.status.success());
    lab.json(name, &[&["clean"][..], &KEEP_1].concat());
    lab.slow(name, QUICK);
    lab.run(name);
    assert_eq!(
        (lab.count(name, "added"), lab.count(name, "reader")),
        (1, 1),
        "the rows of the killed run were added again"
    );
}
