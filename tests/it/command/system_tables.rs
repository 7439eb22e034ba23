//! Questions to the tables over all runs read only the bundles that they can use.

use std::fs;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::shop::{Shop, text};

/// The id of a run that was made so many days ago.
fn id(days_ago: i64) -> String {
    let made_at = Utc::now() - TimeDelta::days(days_ago);
    format!("{:012x}70008000{days_ago:012x}", made_at.timestamp_millis())
}

#[test]
fn bundles_that_a_question_cannot_use_are_not_read() {
    let shop = Shop::new();
    shop.windlass(&["run"]).assert().success();
    let runs = shop.document(&["runs", "list"]);
    let run_id = runs[0]["run_id"].as_str().unwrap().to_owned();
    let folder = shop.dir().join(".windlass/runs");
    let record = fs::read(folder.join(&run_id).join("run.json")).unwrap();
    let mut record: Value = serde_json::from_slice(&record).unwrap();
    // More runs than are read side by side, and before all of them one that cannot be read.
    let mut others = Vec::new();
    for days_ago in 1..=20 {
        let left = id(days_ago);
        record["run_id"] = json!(left);
        record["started_at"] = json!(Utc::now() - TimeDelta::days(days_ago));
        shop.write(&format!(".windlass/runs/{left}/run.json"), &record.to_string());
        others.push(left);
    }
    let spoiled = id(30);
    shop.write(&format!(".windlass/runs/{spoiled}/run.json"), "{");

    // A bundle that cannot be read is named on stderr if somebody has tried to.
    let tries = |sql: &str| {
        let output = shop.windlass(&["query", sql, "-v"]).assert().success().get_output().clone();
        text(&output.stderr).contains(&spoiled)
    };
    for sql in [
        "SELECT count(*) FROM windlass.stages".to_owned(),
        "SELECT * FROM windlass.runs WHERE status = 'failed'".to_owned(),
        "SELECT * FROM windlass.runs ORDER BY started_at LIMIT 1".to_owned(),
        format!("SELECT * FROM windlass.pins WHERE run_id <= '{run_id}'"),
    ] {
        assert!(tries(&sql), "{sql}");
    }
    for sql in [
        format!("SELECT * FROM windlass.runs WHERE run_id = '{run_id}'"),
        format!("SELECT * FROM windlass.tasks WHERE run_id >= '{run_id}'"),
        "SELECT * FROM windlass.runs WHERE started_at >= now() - INTERVAL '7 days'".to_owned(),
        "SELECT * FROM windlass.stages WHERE run_started_at >= now() - INTERVAL '7 days'".to_owned(),
        "SELECT * FROM windlass.runs ORDER BY started_at DESC LIMIT 3".to_owned(),
        format!(
            "SELECT r.status, a.stage FROM windlass.runs AS r JOIN windlass.attempts AS a ON a.run_id = r.run_id \
             WHERE r.run_id = '{run_id}'"
        ),
        "SELECT count(*) FROM windlass.maintenance".to_owned(),
    ] {
        assert!(!tries(&sql), "{sql}");
    }
    let newest = "SELECT run_id FROM windlass.runs ORDER BY started_at DESC LIMIT 2";
    let newest = shop.document(&["query", newest]);
    assert_eq!(newest, json!([{ "run_id": run_id }, { "run_id": others[0] }]));
    let all = shop.document(&["query", "SELECT count(*) AS n, min(run_id) AS first FROM windlass.runs"]);
    assert_eq!(all, json!([{ "n": 22, "first": spoiled }]));
}
