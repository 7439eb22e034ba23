//! A process killed while it writes: the next run recovers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::binary;

/// How long the first data file may take to appear.
const TIMEOUT: Duration = Duration::from_secs(120);

fn parquet_files(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| {
        let files = entries.filter_map(Result::ok).map(|entry| entry.path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).count()
    })
}

fn commits(folder: &Path) -> usize {
    fs::read_dir(folder.join("_delta_log")).map_or(0, |entries| {
        let files = entries.filter_map(Result::ok).map(|entry| entry.path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).count()
    })
}

#[test]
fn a_run_after_kill_9_during_a_write_gives_the_right_rows_in_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path();
    fs::create_dir_all(project.join("stages")).unwrap();
    fs::write(project.join("rows.csv"), "id\n1\n2\n3\n4\n").unwrap();
    let manifest = "name: killed\nsources:\n  rows: { kind: listing, format: csv, location: rows.csv }\n";
    fs::write(project.join("windlass.yaml"), manifest).unwrap();
    // Small files, so that many appear while the stage still runs.
    let stage = "/* windlass\nio: { target_file_size: 64KiB }\n*/\nSELECT id, unnest(range(0, 1500000)) AS n FROM rows";
    fs::write(project.join("stages/numbers.sql"), stage).unwrap();
    let table = project.join(".windlass/tables/numbers");
    let windlass = || {
        let mut command = Command::new(binary());
        command.arg("--project").arg(project).env_remove("WINDLASS_HOME").stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };

    let mut killed = windlass().arg("run").spawn().unwrap();
    let started = Instant::now();
    while parquet_files(&table) < 3 {
        assert!(started.elapsed() < TIMEOUT, "the write never began");
        assert!(killed.try_wait().unwrap().is_none(), "the run ended before it could be killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(parquet_files(&table) >= 3);
    assert_eq!(commits(&table), 1, "the killed run must leave nothing but the empty table");
    let ask = ["query", "SELECT count(*) AS n, sum(n) AS s FROM numbers", "--output", "json"];
    let refused = windlass().args(ask).output().unwrap();
    assert!(!refused.status.success(), "a table that no run has committed to is readable");
    assert!(String::from_utf8_lossy(&refused.stdout).contains("WL0351"), "{refused:?}");
    for changes in ["table_changes('numbers', 0)", "table_changes('numbers', 0, 0)"] {
        let asked = format!("SELECT count(*) AS n FROM {changes}");
        let refused = windlass().args(["query", &asked, "--output", "json"]).output().unwrap();
        assert!(String::from_utf8_lossy(&refused.stdout).contains("WL0351"), "{asked}: {refused:?}");
    }
    let listed = windlass().args(["runs", "list", "--output", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["status"], "interrupted");

    // The lease of a dead process does not delay the next one.
    assert!(windlass().arg("run").status().unwrap().success());
    let answer: Value = serde_json::from_slice(&windlass().args(ask).output().unwrap().stdout).unwrap();
    assert_eq!(answer[0]["n"], 4 * 1_500_000);
    assert_eq!(answer[0]["s"], 4_i64 * 1_499_999 * 1_500_000 / 2);
    assert_eq!(commits(&table), 2, "one commit for the stage");
}

/// What a reader finds in the folder of an export, with the number of lines.
fn exported(folder: &Path) -> Vec<(String, usize)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap().lines().count())).collect()
}

#[test]
fn a_killed_export_leaves_the_previous_one() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path();
    fs::create_dir_all(project.join("stages")).unwrap();
    let manifest = "name: killed\nsources:\n  rows: { kind: listing, format: csv, location: rows.csv }\nrun: { retries: 0 }\ndatasets:\n  numbers: { exports: [{ format: json, location: out }] }\n";
    fs::write(project.join("windlass.yaml"), manifest).unwrap();
    let stage = "SELECT id, unnest(range(0, most)) AS n FROM rows";
    fs::write(project.join("stages/numbers.sql"), stage).unwrap();
    let windlass = || {
        let mut command = Command::new(binary());
        command.arg("--project").arg(project).env_remove("WINDLASS_HOME").stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    fs::write(project.join("rows.csv"), "id,most\n1,10\n").unwrap();
    assert!(windlass().arg("run").status().unwrap().success());
    let out = project.join("out");
    let former = exported(&out);
    assert!(former.len() == 1 && former[0].1 == 10, "{former:?}");

    // Enough rows that the file is written in pieces.
    fs::write(project.join("rows.csv"), "id,most\n1,1500000\n2,1500000\n").unwrap();
    let pieces = || {
        let entries = fs::read_dir(&out).unwrap().filter_map(Result::ok);
        entries.filter(|entry| entry.file_name().to_string_lossy().contains(".json#")).count()
    };
    let mut killed = windlass().arg("run").spawn().unwrap();
    let started = Instant::now();
    while pieces() == 0 {
        assert!(started.elapsed() < TIMEOUT, "the export never began");
        assert!(killed.try_wait().unwrap().is_none(), "the run ended before it could be killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(exported(&out), former);

    assert!(windlass().arg("run").status().unwrap().success());
    let now = exported(&out);
    assert!(now.len() == 1 && now[0].1 == 3_000_000 && now[0].0 != former[0].0, "{now:?}");
    assert_eq!(pieces(), 0);
}
