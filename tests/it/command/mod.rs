//! The `windlass` command as users see it: a process, its output, its exit code.

mod clean;
mod doctor;
mod documents;
mod files;
#[cfg(target_os = "linux")]
mod frozen_home;
mod interrupted;
mod json_schema;
mod kill;
mod layout;
mod lineage;
mod lineage_events;
mod maintain;
mod mistakes;
mod ports;
mod quarantine;
mod reading;
mod reference;
mod registry;
mod results;
mod resumed;
mod runs_diff;
mod shop;
mod system_tables;
mod ui;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// The command that the same build has built with the tests.
pub(crate) fn binary() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().unwrap().parent().unwrap().join("windlass");
    assert!(binary.is_file(), "{} is missing: build it with `cargo build --workspace --bins`", binary.display());
    binary
}

fn windlass(project: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg("--project").arg(project).env_remove("WINDLASS_HOME");
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.args(["--output", "json"]).assert().success().get_output().clone();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn new_project(dir: &Path) -> PathBuf {
    let project = dir.join("shop");
    Command::new(binary()).arg("init").arg(&project).assert().success();
    project
}

#[test]
fn a_new_project_checks_runs_answers_and_explains() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    assert_eq!(json(windlass(&project).arg("check"))["problems"], serde_json::json!([]));
    let plan = json(windlass(&project).arg("plan"));
    assert_eq!(plan["tables"][0]["stage"], "daily_totals");
    assert!(!project.join(".windlass/tables").exists(), "planning wrote a table");

    let run = json(windlass(&project).arg("run"));
    assert_eq!(run["run"]["status"], "succeeded");
    let rows = json(windlass(&project).args(["query", "SELECT day, orders FROM daily_totals ORDER BY day"]));
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert_eq!(rows[0]["orders"], 2);
    let csv = windlass(&project).args(["query", "SELECT 1 AS one", "--output", "csv"]).assert().success();
    assert_eq!(String::from_utf8_lossy(&csv.get_output().stdout), "one\n1\n");
    let none = windlass(&project).args(["query", "SELECT 1 AS one WHERE false", "--output", "csv"]).assert().success();
    assert_eq!(String::from_utf8_lossy(&none.get_output().stdout), "one\n");
    let nulls =
        json(windlass(&project).args(["query", "SELECT CAST(NULL AS INT) AS n, value FROM generate_series(1, 2)"]));
    assert_eq!(nulls, serde_json::json!([{ "n": null, "value": 1 }, { "n": null, "value": 2 }]));
    let file = dir.path().join("rows.parquet");
    let query = ["query", "SELECT * FROM daily_totals", "--output", "parquet", "--to"];
    windlass(&project).args(query).arg(&file).assert().success();
    assert!(fs::metadata(&file).unwrap().len() > 100);

    assert_eq!(json(windlass(&project).args(["runs", "list"]))[0]["status"], "succeeded");
    assert_eq!(json(windlass(&project).args(["runs", "show"]))["pipeline"], "shop");
    let log = json(windlass(&project).args(["runs", "log"]));
    assert_eq!(log.as_array().unwrap().last().unwrap()["event"], "run_finished");
    for plan in ["logical", "optimized", "physical", "distributed", "analyzed"] {
        let explained = json(windlass(&project).args(["explain", "latest", "daily_totals", "--plan", plan]));
        assert!(!explained["text"].as_str().unwrap().is_empty(), "{plan}");
    }
    assert_eq!(json(windlass(&project).arg("ls")).as_array().unwrap().len(), 3);
    let svg = windlass(&project).args(["graph", "--format", "svg"]).assert().success();
    assert!(svg.get_output().stdout.starts_with(b"<svg"));
    windlass(&project).args(["graph", "--format", "svg", "--unfold"]).assert().success();
    windlass(&project).args(["graph", "--fold", "--unfold"]).assert().code(2);
}

#[cfg(unix)]
#[test]
fn a_project_in_a_folder_with_a_backslash_in_its_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("x\\y");
    fs::rename(new_project(dir.path()), &project).unwrap();
    let refused = windlass(&project).arg("run").assert().failure();
    let reported = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(reported.contains("WL0301") && reported.contains("backslash") && reported.contains("rename"), "{reported}");
    assert!(!project.join(".windlass").exists(), "the run wrote something");
}

#[test]
fn the_events_of_a_run_are_lines_of_json() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let output = windlass(&project).args(["run", "--events"]).assert().success().get_output().clone();
    let events: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "run_started");
    assert_eq!(events.last().unwrap()["event"], "run_finished");
}

#[test]
fn a_saved_plan_is_executed_unless_something_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let file = dir.path().join("plan.json");
    let plan = |project: &Path| {
        let page = windlass(project).args(["plan", "-s", "+daily_totals", "--out"]).arg(&file).assert().success();
        let page = String::from_utf8_lossy(&page.get_output().stdout).into_owned();
        assert!(page.contains("DECISION") && page.contains("windlass apply"), "{page}");
    };
    plan(&project);
    assert!(!project.join(".windlass/tables").exists(), "planning wrote a table");
    let saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(saved["request"]["select"], serde_json::json!(["+daily_totals"]));
    let applied = json(windlass(&project).arg("apply").arg(&file));
    assert!(applied["run"]["status"] == "succeeded" && applied["run"]["select"] == "+daily_totals", "{applied}");

    plan(&project);
    let orders = project.join("data/orders.csv");
    let more = fs::read_to_string(&orders).unwrap() + "99,ada,2026-01-08T10:00:00,1.50\n";
    fs::write(&orders, more).unwrap();
    let refused = windlass(&project).arg("apply").arg(&file).assert().code(1);
    let reported = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(reported.contains("WL0661") && reported.contains("source orders: "), "{reported}");
    let refused = windlass(&project).arg("apply").arg(&file).args(["--output", "json"]).assert().code(1);
    let document: Value = serde_json::from_slice(&refused.get_output().stdout).unwrap();
    assert_eq!(document["error"]["code"], "WL0661");
    let moved = document["moved"].as_array().unwrap().iter().find(|moved| moved["moved"] == "snapshot").unwrap();
    assert!(moved["source"] == "orders", "{document}");
    assert!(moved["message"].as_str().unwrap().starts_with("source orders: "), "{document}");
    assert_eq!(json(windlass(&project).args(["runs", "list"])).as_array().unwrap().len(), 1, "a refused plan ran");

    fs::write(&file, "no plan").unwrap();
    let unreadable = windlass(&project).arg("apply").arg(&file).assert().code(1);
    assert!(String::from_utf8_lossy(&unreadable.get_output().stderr).contains("WL0662"));
}

#[test]
fn a_requested_full_refresh_is_part_of_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let file = dir.path().join("plan.json");
    let refresh = |args: &[&str]| -> Value {
        windlass(&project).arg("plan").args(args).arg("--out").arg(&file).assert().success();
        let saved: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        saved["request"]["refresh"].clone()
    };
    assert_eq!(refresh(&[]), Value::Null);
    assert_eq!(refresh(&["--full-refresh"]), serde_json::json!({ "full": ["*"] }));
    let some = ["--full-refresh", "daily_totals+", "--full-refresh", "tag:layer=clean"];
    assert_eq!(refresh(&some), serde_json::json!({ "full": ["daily_totals+", "tag:layer=clean"] }));
    for wrong in [["--from-version", "orders"], ["--from-version", "=3"], ["--to-version", "orders=x"]] {
        windlass(&project).arg("plan").args(wrong).assert().code(2);
    }
}

#[test]
fn failures_have_exit_codes_and_messages() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    windlass(&project).arg("run").arg("--frobnicate").assert().code(2);
    windlass(&project).args(["ls", "--output", "csv"]).assert().code(2);
    windlass(dir.path()).arg("check").assert().code(1);
    windlass(&project).args(["query", "DROP TABLE daily_totals"]).assert().code(1);
    let deep = format!("SELECT {}1", "INTERVAL ".repeat(10_000));
    let refused = windlass(&project).args(["query", &deep]).assert().code(1);
    assert!(String::from_utf8_lossy(&refused.get_output().stderr).contains("WL0363"), "a deep query is not refused");
    let unknown = windlass(&project).args(["query", "SELECT * FROM daily_total"]).assert().code(1);
    let reported = String::from_utf8_lossy(&unknown.get_output().stderr).into_owned();
    assert!(reported.contains("WL0361") && reported.contains("daily_totals"), "{reported}");
    let output = windlass(&project).args(["query", "SELECT * FROM orders_claen", "--output", "json"]).assert().code(1);
    let document: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(document["error"]["code"], "WL0361");

    let sliding = "SELECT bool_or(x > 1) OVER (ORDER BY x ROWS 1 PRECEDING) AS b FROM (VALUES (1), (2)) AS t(x)";
    let refused = windlass(&project).args(["query", sliding]).assert().code(1);
    let reported = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(reported.contains("WL0378") && reported.contains("UNBOUNDED PRECEDING"), "{reported}");
    let far = "SELECT date_trunc('month', d) AS m FROM (VALUES (DATE '9999-12-31'), (DATE '2020-01-01')) AS t(d)";
    let failed = windlass(&project).args(["query", far]).assert().code(1);
    let reported = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    assert!(reported.contains("WL0503") && reported.contains("to_timestamp_micros"), "{reported}");

    fs::write(project.join("stages/daily_totals.sql"), "SELECT dya FROM orders_clean").unwrap();
    let broken = windlass(&project).arg("run").assert().code(1);
    let reported = String::from_utf8_lossy(&broken.get_output().stderr).into_owned();
    assert!(reported.contains("stages/daily_totals.sql:1:8") && reported.contains("dya"), "{reported}");
    let unnamed =
        Command::new(binary()).arg("init").arg(dir.path().join("x")).args(["--name", "b ad"]).assert().code(2);
    assert!(String::from_utf8_lossy(&unnamed.get_output().stderr).contains("WL0706"));
    let occupied = Command::new(binary()).arg("init").arg(&project).assert().code(1);
    assert!(String::from_utf8_lossy(&occupied.get_output().stderr).contains("WL0701"));
}
