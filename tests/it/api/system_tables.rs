//! The tables over all runs, asked of a cluster.

use windlass_base::error::Coded;
use windlass_client::{QueryOptions, RunOptions};
use windlass_evidence::artifact::RunStatus;
use windlass_evidence::system::SystemTable;

use super::support::{Lab, Limits, ask, shop};

const STAGES: [(&str, &str); 2] = [
    ("paid", "SELECT id, customer, amount FROM orders WHERE amount >= $least"),
    ("shares", "SELECT customer, amount / (id - id + $least) AS share FROM paid"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_a_cluster_are_asked_about() {
    let lab = Lab::start(Limits::default()).await;
    lab.land_orders();
    let dir = tempfile::tempdir().unwrap();
    let project = shop(dir.path(), &STAGES);
    let windlass = lab.connect().await;
    let mut runs = Vec::new();
    for (least, expected) in [("10", RunStatus::Succeeded), ("0", RunStatus::Failed)] {
        let options = RunOptions { params: vec![("least".to_owned(), least.to_owned())], ..RunOptions::default() };
        let record = windlass.run(&project, &options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, expected, "{:?}", record.stages);
        runs.push(record.run_id);
    }
    let all = QueryOptions::default();
    let stages = "SELECT r.status AS run, s.stage, s.status, s.outcome, s.error_code IS NOT NULL AS failed \
                  FROM windlass.runs AS r JOIN windlass.stages AS s ON s.run_id = r.run_id \
                  ORDER BY r.started_at, s.stage";
    insta::assert_snapshot!(ask(&windlass, &project, stages, &all).await, @"
    +-----------+--------+-----------+-----------+--------+
    | run       | stage  | status    | outcome   | failed |
    +-----------+--------+-----------+-----------+--------+
    | succeeded | paid   | committed | committed | false  |
    | succeeded | shares | committed | committed | false  |
    | failed    | paid   | committed | committed | false  |
    | failed    | shares | failed    |           | true   |
    +-----------+--------+-----------+-----------+--------+
    ");
    let of_run = format!(
        "SELECT count(DISTINCT run_id) AS runs, count(DISTINCT stage) AS stages, sum(output_rows) > 0 AS rows \
         FROM windlass.tasks WHERE run_id = '{}'",
        runs[0]
    );
    insta::assert_snapshot!(ask(&windlass, &project, &of_run, &all).await, @"
    +------+--------+------+
    | runs | stages | rows |
    +------+--------+------+
    | 1    | 2      | true |
    +------+--------+------+
    ");
    // With a table of the project, and lists and maps on the way to the client.
    let joined = "SELECT count(*) > 0 AS found FROM windlass.operators AS o \
                  JOIN (SELECT DISTINCT 'paid' AS stage FROM paid) AS p ON p.stage = o.stage \
                  WHERE cardinality(o.metrics) > 0";
    assert!(ask(&windlass, &project, joined, &all).await.contains("true"));
    for table in SystemTable::ALL {
        let sql = format!("SELECT * FROM windlass.{}", table.as_str());
        windlass.query(&project, &sql, &all).await.unwrap().collect().await.unwrap();
    }
    let unknown = windlass.query(&project, "SELECT * FROM windlass.run", &all).await.err().unwrap();
    assert_eq!(unknown.code().0, "WL0361", "{unknown}");
    assert!(unknown.help().unwrap().contains("`runs`"), "{:?}", unknown.help());
    lab.server.stop().await;
}
