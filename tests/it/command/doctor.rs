//! `windlass doctor`: reports what would stop a run before one starts.

use std::fs;

use serde_json::Value;

use super::{json, new_project, windlass};

fn verdict<'a>(checks: &'a Value, what: &str) -> &'a str {
    let check = checks.as_array().unwrap().iter().find(|check| check["what"] == what);
    check.unwrap_or_else(|| panic!("no check of {what}: {checks}"))["verdict"].as_str().unwrap()
}

#[test]
fn a_new_project_is_healthy_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let checks = json(windlass(&project).arg("doctor").env("AWS_SECRET_ACCESS_KEY", "do-not-show-me"));
    for what in ["project", "home", "clock", "cores"] {
        assert_eq!(verdict(&checks, what), "ok", "{checks}");
    }
    let text = checks.to_string();
    assert!(text.contains("AWS_SECRET_ACCESS_KEY") && !text.contains("do-not-show-me"), "{text}");
    let home = project.join(".windlass");
    let left = fs::read_dir(&home).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the probe was left in {}", home.display());
}

#[test]
fn problems_that_would_stop_a_run_are_reported_with_help() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let manifest = project.join("windlass.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    let with = "sources:\n  gone: { kind: delta, location: not/there }\n";
    fs::write(&manifest, text.replacen("sources:\n", with, 1)).unwrap();
    fs::write(project.join("a file"), "").unwrap();
    let home = project.join("a file/home");
    let doctor = || {
        let mut command = windlass(&project);
        command.arg("doctor").arg("--home").arg(&home);
        command
    };
    let output = doctor().args(["--output", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict(&checks, "source gone"), "failed", "{checks}");
    assert_eq!(verdict(&checks, "home"), "failed", "{checks}");
    let shown = doctor().output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("not/there is empty\n        check the location"), "{shown}");
}

#[test]
fn outside_a_project_it_reports_on_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let checks = json(windlass(dir.path()).arg("doctor"));
    assert_eq!(verdict(&checks, "project"), "warning");
    assert_eq!(verdict(&checks, "cores"), "ok");
}
