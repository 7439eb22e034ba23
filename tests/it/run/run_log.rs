//! The documented schema of the run log matches the log.

use std::path::PathBuf;

use serde_json::Value;
use windlass_evidence::artifact::log_schema;

/// The schema in docs/ is that of the types. `UPDATE_DOCS=1` writes it.
#[test]
fn the_documented_schema_is_that_of_the_types() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/run-log.schema.json");
    let current = serde_json::to_string_pretty(&log_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &current).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == current, "docs/schema/run-log.schema.json is stale: run this test with UPDATE_DOCS=1");
}

#[test]
fn the_schema_names_every_event_and_what_all_lines_share() {
    let schema = serde_json::to_value(log_schema()).unwrap();
    let shared: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for field in ["v", "ts", "run_id", "seq", "level"] {
        assert!(shared.contains(&field), "{field} is in every line");
    }
    let events: Vec<&str> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["properties"]["event"]["const"].as_str().unwrap())
        .collect();
    insta::assert_snapshot!(events.join(" "), @"run_started run_resumed source_pinned table_registered stage_planned stage_started stage_progress stage_staged stage_committed stage_failed stage_retry stage_skipped stage_cancelled cancel_requested lease_lost warning run_finished");
}
