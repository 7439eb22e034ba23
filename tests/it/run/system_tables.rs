//! The tables over all runs of a home, `windlass.*` in queries.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::pretty::pretty_format_batches;
use serde_json::{Value, json};
use windlass_base::error::Coded;
use windlass_base::ids::RunId;
use windlass_client::{MaintainOptions, Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{ReceiptOutcome, RunStatus};
use windlass_evidence::system::SystemTable;
use windlass_storage::Location;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/system-tables.md");

const ORDERS: &str = "id,customer,amount,currency\n1,ada,20,EUR\n2,bo,40,USD\n3,cy,15,XYZ\n";
const MANIFEST: &str = "
name: shop
sources:
  orders:
    kind: listing
    location: orders.csv
    format: csv
    schema: { id: long, customer: string, amount: long, currency: string }
params:
  divisor: { type: long, default: 1 }
";
const PAID: &str = "/* windlass
tags: { layer: clean }
io: { key: [id], incremental: auto }
expect:
  - accepted_values: { column: currency, values: [EUR, USD] }
    on_failure: quarantine
*/
SELECT id, customer, amount, currency FROM orders";
const TOTALS: &str = "/* windlass
io: { key: [customer], incremental: auto }
*/
SELECT customer, count(*) AS orders FROM paid GROUP BY customer";
const RATIOS: &str = "SELECT id, amount / (id - id + $divisor) AS ratio FROM paid";
const MOST: &str = "SELECT max(ratio) AS most FROM ratios";

/// A project with its home.
struct Lab {
    dir: tempfile::TempDir,
    project: Project,
    windlass: Windlass,
}

impl Lab {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("stages")).unwrap();
        fs::write(dir.path().join("windlass.yaml"), MANIFEST).unwrap();
        fs::write(dir.path().join("orders.csv"), ORDERS).unwrap();
        for (stage, sql) in [("paid", PAID), ("totals", TOTALS), ("ratios", RATIOS), ("most", MOST)] {
            fs::write(dir.path().join(format!("stages/{stage}.sql")), sql).unwrap();
        }
        let project = Project::open(dir.path(), None, &[]).unwrap();
        let home = Location::from_path(&dir.path().join("home")).unwrap();
        let windlass = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
        Self { dir, project, windlass }
    }

    /// A run that succeeds, and one that reads one order more and fails.
    async fn with_two_runs() -> Self {
        let lab = Self::new().await;
        lab.run("1", RunStatus::Succeeded).await;
        fs::write(lab.dir.path().join("orders.csv"), format!("{ORDERS}4,ada,5,EUR\n")).unwrap();
        lab.run("0", RunStatus::Failed).await;
        lab
    }

    async fn run(&self, divisor: &str, expected: RunStatus) -> RunId {
        let params = vec![("divisor".to_owned(), divisor.to_owned())];
        let options = RunOptions { params, ..RunOptions::default() };
        let record = self.windlass.run(&self.project, &options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, expected, "{:#?}", record.stages);
        record.run_id
    }

    async fn ask(&self, sql: &str) -> String {
        let rows = self.windlass.query(&self.project, sql, &QueryOptions::default()).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}")).collect().await.unwrap();
        pretty_format_batches(&rows).unwrap().to_string()
    }

    async fn number(&self, sql: &str) -> i64 {
        let rows = self.windlass.query(&self.project, sql, &QueryOptions::default()).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}")).collect().await.unwrap();
        rows[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn count(&self, table: &str) -> usize {
        usize::try_from(self.number(&format!("SELECT count(*) FROM windlass.{table}")).await).unwrap()
    }

    fn bundle(&self, run: &str) -> std::path::PathBuf {
        self.dir.path().join("home/runs").join(run)
    }

    /// Leaves the record of a run that began at a time and took so long for its only stage, which was like `template`'s.
    fn leave_run(&self, template: &Value, began: DateTime<Utc>, duration_ms: u64) -> String {
        let run_id = id(began);
        let mut run = template.clone();
        run["run_id"] = json!(run_id);
        run["started_at"] = json!(began);
        let stages = run["stages"].as_array_mut().unwrap();
        stages.retain(|stage| stage["stage"] == "ratios");
        stages[0]["duration_ms"] = json!(duration_ms);
        fs::create_dir_all(self.bundle(&run_id)).unwrap();
        fs::write(self.bundle(&run_id).join("run.json"), run.to_string()).unwrap();
        run_id
    }
}

/// The id of a run that was made at that time.
fn id(made_at: DateTime<Utc>) -> String {
    format!("{:012x}7000800000000000{:04x}", made_at.timestamp_millis(), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_their_stages() {
    let lab = Lab::with_two_runs().await;
    let runs = "SELECT status, pipeline, sequence, params, stages, failed_stages, rows_written > 0 AS written, \
                ended_at > started_at AS ended, duration_ms > 0 AS took, error_code, error LIKE '%zero%' AS zero \
                FROM windlass.runs ORDER BY started_at";
    let stages = "SELECT r.status AS run, stage, s.status, decision, outcome, attempts, version, tags, \
                  s.started_at >= s.run_started_at AS began, skipped_because_of, s.error_code \
                  FROM windlass.stages AS s JOIN windlass.runs AS r USING (run_id) ORDER BY r.started_at, stage";
    insta::assert_snapshot!(format!("{}\n{}", lab.ask(runs).await, lab.ask(stages).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_the_stages() {
    let lab = Lab::with_two_runs().await;
    let attempts = "SELECT r.status AS run, a.stage, a.attempt, a.status, a.ended_at >= a.started_at AS ended, \
                    a.retryable, a.error IS NOT NULL AS failed \
                    FROM windlass.attempts AS a JOIN windlass.runs AS r USING (run_id) ORDER BY r.started_at, a.stage";
    let commits = "SELECT r.status AS run, c.stage, c.version, c.outcome, c.table_rows, c.committed_at IS NOT NULL AS at \
                   FROM windlass.commits AS c JOIN windlass.runs AS r USING (run_id) ORDER BY r.started_at, c.stage";
    let pins = "SELECT r.status AS run, p.source, p.kind, p.version, p.files \
                FROM windlass.pins AS p JOIN windlass.runs AS r USING (run_id) ORDER BY r.started_at, p.source";
    let expectations = "SELECT r.status AS run, e.stage, e.severity, e.rows_checked, e.rows_failed, e.broken \
                        FROM windlass.expectations AS e JOIN windlass.runs AS r USING (run_id) ORDER BY r.started_at";
    let lineage = "SELECT r.status AS run, l.stage, l.version, l.input, l.input_version \
                   FROM windlass.lineage AS l JOIN windlass.runs AS r USING (run_id) \
                   WHERE l.version IS NOT NULL ORDER BY r.started_at, l.stage, l.input";
    let tables = "SELECT r.status AS run, t.stage, t.kind, t.materialization, t.version, t.bytes_written > 0 AS written \
                  FROM windlass.tables AS t JOIN windlass.runs AS r USING (run_id) \
                  ORDER BY r.started_at, t.stage, t.kind";
    let mut shown = String::new();
    for sql in [attempts, commits, pins, expectations, lineage, tables] {
        writeln!(shown, "{}\n", lab.ask(sql).await).unwrap();
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_of_the_bundles_is_a_row() {
    let lab = Lab::with_two_runs().await;
    let turn = lab.windlass.maintain(&lab.project, &MaintainOptions::default()).await.unwrap().wait().await.unwrap();
    let runs = lab.windlass.runs(&lab.project).await.unwrap();
    let mut expected: BTreeMap<&str, usize> = SystemTable::ALL.map(|table| (table.as_str(), 0)).into();
    let mut add = |table: &str, count: usize| *expected.get_mut(table).unwrap() += count;
    for run_id in runs.bundles.run_ids().await.unwrap() {
        let run = runs.bundles.run(&run_id, &runs.live).await.unwrap();
        add("runs", 1);
        add("stages", run.stages.len());
        add("pins", runs.bundles.pins(&run_id).await.unwrap().unwrap().pins.len());
        let receipts = run.stages.iter().filter_map(|stage| stage.receipt.as_ref());
        add("commits", receipts.filter(|receipt| receipt.outcome != ReceiptOutcome::Reused).count());
        for lineage in runs.bundles.lineage(&run_id).await.unwrap().unwrap().stages {
            add("lineage", lineage.inputs.len());
            add("cursors", lineage.output_version.map_or(0, |_| lineage.changes.len()));
        }
        for stage in &run.stages {
            let Some(record) = runs.bundles.stage(&run_id, &stage.stage).await.unwrap() else { continue };
            add("attempts", record.attempts.len());
            add("operators", record.operators.len());
            add("tasks", record.tasks.len());
            add("expectations", record.expectations.len());
            add("tables", record.outputs.len() + usize::from(record.quarantine.is_some()));
        }
    }
    for table in &turn.tables {
        add("maintenance", table.actions.len() + usize::from(table.actions.is_empty() || table.failure.is_some()));
    }
    for (table, count) in expected {
        assert_eq!(lab.count(table).await, count, "{table}");
        assert!(count > 0, "there is no {table}");
    }
    // The numbers are those of the records.
    let operators = "SELECT count(*) FROM windlass.operators \
                     WHERE output_rows IS NOT DISTINCT FROM metrics['output_rows'] AND cardinality(metrics) > 0";
    assert!(lab.number(operators).await > 0);
    let turns = "SELECT count(*) FROM windlass.maintenance WHERE ended_at >= started_at AND table_name = 'paid' \
                 AND version_before > 0 AND reason IS NOT NULL";
    assert!(lab.number(turns).await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_cannot_be_read_is_named_and_left_out() {
    let lab = Lab::new().await;
    let whole = lab.run("1", RunStatus::Succeeded).await;
    let stages = lab.count("stages").await;
    assert!(lab.count("attempts").await > 0);
    let old = id(Utc::now() - TimeDelta::days(30));
    let newer = id(Utc::now() - TimeDelta::days(20));
    for (run, record) in [(&old, "{\"run_id\": "), (&newer, "{\"format\": 1000}")] {
        fs::create_dir_all(lab.bundle(run)).unwrap();
        fs::write(lab.bundle(run).join("run.json"), record).unwrap();
    }
    // What is left of a bundle that is being removed, and what is none.
    fs::create_dir_all(lab.bundle(&id(Utc::now() - TimeDelta::days(10))).join("stages")).unwrap();
    fs::create_dir_all(lab.bundle("notes")).unwrap();
    let shown = lab
        .ask(
            "SELECT status, error_code, started_at < now() - INTERVAL '15 days' AS old, error IS NOT NULL AS said \
             FROM windlass.runs ORDER BY started_at",
        )
        .await;
    insta::assert_snapshot!(shown, @"
    +------------+------------+-------+-------+
    | status     | error_code | old   | said  |
    +------------+------------+-------+-------+
    | unreadable | WL0621     | true  | true  |
    | unreadable | WL0622     | true  | true  |
    | succeeded  |            | false | false |
    +------------+------------+-------+-------+
    ");
    assert_eq!(lab.count("stages").await, stages);

    // The run is known, but not its attempts.
    fs::write(lab.bundle(whole.as_str()).join("stages/paid/stage.json"), "{").unwrap();
    assert_eq!(lab.number("SELECT count(*) FROM windlass.runs WHERE status = 'succeeded'").await, 1);
    assert_eq!(lab.count("attempts").await, 0);
    assert_eq!(lab.count("pins").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_there_are_not() {
    let lab = Lab::new().await;
    assert_eq!(lab.count("runs").await, 0, "a home without runs has no rows");
    assert_eq!(lab.count("maintenance").await, 0);
    let error = lab.windlass.query(&lab.project, "SELECT * FROM windlass.stage", &QueryOptions::default()).await;
    let error = error.err().unwrap();
    assert_eq!(error.code().0, "WL0361", "{error}");
    assert!(error.help().unwrap().contains("`stages`"), "{:?}", error.help());
    let error = lab.windlass.query(&lab.project, "SELECT * FROM windlass.unknown", &QueryOptions::default()).await;
    let help = error.err().unwrap().help().unwrap();
    for table in SystemTable::ALL {
        assert!(help.contains(&format!("`{}`", table.as_str())), "{help}");
    }
}

/// The block of SQL on the page that follows a heading.
fn question(page: &str, heading: &str) -> String {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, sql) = section.split_once("```sql\n").unwrap();
    sql.split_once("```").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_for_slower_stages() {
    let lab = Lab::new().await;
    let run_id = lab.run("1", RunStatus::Succeeded).await;
    let path = lab.bundle(run_id.as_str()).join("run.json");
    let template: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let sql = question(&fs::read_to_string(PAGE).unwrap(), "Which stages got slower this week");
    fs::remove_dir_all(lab.bundle(run_id.as_str())).unwrap();
    let days_ago = |days| Utc::now() - TimeDelta::days(days);
    // So long ago that it is not compared.
    lab.leave_run(&template, days_ago(20), 1);
    for (days, duration_ms) in [(12, 900), (10, 1100), (3, 1190)] {
        lab.leave_run(&template, days_ago(days), duration_ms);
    }
    assert!(!lab.ask(&sql).await.contains("ratios"), "it got 19 % slower");
    lab.leave_run(&template, days_ago(2), 1250);
    let shown = lab.ask(&sql).await;
    assert!(shown.contains("ratios") && shown.contains("1220") && shown.contains("1000"), "{shown}");
}

/// The tables of the page are the columns of the code. `UPDATE_DOCS=1` writes them.
#[test]
fn the_page_has_every_column_of_every_table() {
    let page = fs::read_to_string(PAGE).unwrap();
    let mut updated = page.clone();
    for table in SystemTable::ALL {
        let mut rows = String::from("| column | type | |\n|---|---|---|\n");
        for column in table.columns() {
            writeln!(rows, "| `{}` | `{}` | {} |", column.name, column.contract_type(), column.about).unwrap();
        }
        let heading = format!("\n### {}\n", table.as_str());
        let (_, section) = updated.split_once(&heading).unwrap_or_else(|| panic!("the page has no {}", table.as_str()));
        let begin = updated.len() - section.len() + section.find("| column |").expect("a table below the heading");
        let end = updated[begin..].find("\n\n").map_or(updated.len(), |end| begin + end + 1);
        updated.replace_range(begin..end, &rows);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(Path::new(PAGE), &updated).unwrap();
    } else {
        assert_eq!(page, updated, "docs/system-tables.md is stale: run this test with UPDATE_DOCS=1");
    }
}
