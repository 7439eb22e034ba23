//! `windlass lineage` reads the bundles of a cluster.

use std::process::Command;

use serde_json::Value;
use windlass_client::RunOptions;

use super::support::{Lab, Limits, TOTALS, shop};
use crate::command::binary;

#[tokio::test(flavor = "multi_thread")]
async fn the_lineage_of_a_cluster_is_shown() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &TOTALS);
    let windlass = lab.connect().await;
    let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    let url = lab.url.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(binary());
        command.args(["--cluster", &url, "--project"]).arg(dir.path()).args(["lineage", "totals", "--output", "json"]);
        let output = command.env_remove("WINDLASS_HOME").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    });
    let lineage = asked.await.unwrap();
    assert_eq!(lineage["tables"][0]["name"], "totals", "{lineage}");
    assert_eq!(lineage["tables"][0]["run_id"], record.run_id.as_str(), "{lineage}");
    let tables = lineage["tables"].as_array().unwrap();
    assert!(tables.iter().any(|table| table["name"] == "orders" && table["side"] == "upstream"), "{lineage}");
    lab.server.stop().await;
}
