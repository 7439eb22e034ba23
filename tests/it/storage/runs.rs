//! A run over an object store: the same rows as plain DataFusion, and everything in its place.

use serde_json::Value;
use windlass_tests::StorageServer;

use super::lake::{Lake, TABLES, files_below};

/// The sum over the engine's stages of a metric of the tasks.
fn total(stage: &Value, metric: &str) -> u64 {
    let operators = stage["operators"].as_array().unwrap();
    let metrics = operators.iter().flat_map(|operator| operator["metrics"].as_array().unwrap());
    metrics.filter(|found| found["name"] == metric).map(|found| found["value"].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_in_an_object_store_gives_the_rows_of_plain_datafusion() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let environment = server.environment();
    let run = lake.json(&environment, &["run"]);
    assert_eq!(run["run"]["status"], "succeeded");
    let run_id = run["run"]["run_id"].as_str().unwrap();
    let expected = lake.plain_answers().await;
    assert_eq!(lake.answers(&environment), expected);

    // Bundles and tables are in the store, state and shuffle files are not.
    let bundle = format!("home/runs/{run_id}");
    let written = lake.objects(&bundle).await;
    for part in ["run.json", "pins.json", "plan.json", "lineage.json", "registrations.json", "log.jsonl"] {
        assert!(written.contains(&format!("{bundle}/{part}")), "{part} is missing: {written:?}");
    }
    assert_eq!(lake.objects("home/cache").await, Vec::<String>::new(), "the cache outlived its run");
    let state: Vec<_> = files_below(&lake.local("state"));
    assert!(state.iter().any(|file| file.ends_with("state.redb")), "{state:?}");
    assert!(!lake.project().join(".windlass").exists());

    // No task requested a log, and each reported what it did request.
    for stage in ["named", "totals", "words"] {
        let record: Value =
            serde_json::from_slice(&lake.get(&format!("{bundle}/stages/{stage}/stage.json")).await).unwrap();
        assert_eq!(total(&record, "store_log_requests"), 0, "{stage}");
        assert!(total(&record, "store_gets") > 0 && total(&record, "store_puts") > 0, "{stage}");
        assert!(total(&record, "store_bytes_read") > 0, "{stage}");
        assert!(!record["tasks"].as_array().unwrap().is_empty(), "{stage}");
    }
    let analyzed = lake.json(&environment, &["explain", "latest", "totals", "--plan", "analyzed"]);
    assert!(analyzed["text"].as_str().unwrap().contains("store_log_requests=0"), "{analyzed}");

    // A second run has nothing to do, and reuses the tables.
    assert_eq!(lake.json(&environment, &["run"])["run"]["sequence"], 2);
    assert_eq!(lake.answers(&environment), expected);
    for (table, _) in TABLES {
        let log = lake.objects(&format!("home/tables/{table}/_delta_log")).await;
        let commits: Vec<_> = log.iter().filter(|path| path.ends_with(".json")).collect();
        assert_eq!(commits.len(), 2, "one commit to create `{table}` and one of the first run: {log:?}");
    }
    let listed = lake.json(&environment, &["runs", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed.as_array().unwrap().iter().all(|run| run["status"] == "succeeded"), "{listed}");
}
