//! Expectations on every write path: what fails, what is logged, what is quarantined.

use std::fs;
use std::path::PathBuf;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::Int64Type;
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{RunRecord, RunStatus, StageRecord};
use windlass_project::spec::ProjectFiles;
use windlass_project::strategy::Strategy;

use crate::delta_read::tables::{append, array, batch};
use crate::incremental::tables::{load, open};

/// A source that records its changes, a stage over it, and a home.
struct Shop {
    dir: tempfile::TempDir,
    windlass: Windlass,
}

impl Shop {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join("orders");
        fs::create_dir_all(&orders).unwrap();
        let fields = [
            ("id", deltalake::kernel::DataType::LONG),
            ("amount", deltalake::kernel::DataType::LONG),
            ("kind", deltalake::kernel::DataType::STRING),
        ];
        let fields = fields.map(|(name, of)| deltalake::kernel::StructField::nullable(name, of));
        let create = open(&orders).await.create().with_columns(fields);
        create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
        let home = windlass_storage::Location::from_path(&dir.path().join("home")).unwrap();
        let session = windlass_base::config::SessionSettings { target_partitions: 2, ..Default::default() };
        let windlass = Windlass::embedded(windlass_tests::embedded(home, session)).await.unwrap();
        Self { dir, windlass }
    }

    fn orders(&self) -> PathBuf {
        self.dir.path().join("orders")
    }

    async fn add(&self, rows: &[(i64, Option<i64>, &str)]) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", array(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>())),
            ("amount", array(rows.iter().map(|row| row.1).collect::<Int64Array>())),
            ("kind", array(rows.iter().map(|row| Some(row.2)).collect::<StringArray>())),
        ];
        append(&self.orders(), batch(columns), &[]).await;
    }

    /// The project with one stage: its header without the expectations, the expectations, and its query.
    fn project(&self, io: &str, expect: &str, sql: &str) -> Project {
        let mut files = ProjectFiles::new();
        files.insert("windlass.yaml", "name: shop\nsources:\n  orders: { kind: delta, location: orders }\n");
        files.insert("stages/good.sql", &format!("/* windlass\n{io}\nexpect:\n{expect}\n*/\n{sql}"));
        Project::from_files(&files, self.dir.path(), None, &[])
            .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()))
    }

    async fn run(&self, project: &Project, options: &RunOptions) -> (RunRecord, StageRecord) {
        let record = self.windlass.run(project, options).await.unwrap().wait().await.unwrap();
        let runs = self.windlass.runs(project).await.unwrap();
        let stage = runs.bundles.stage(&record.run_id, &"good".into()).await.unwrap().unwrap();
        (record, stage)
    }

    fn table(&self, name: &str) -> PathBuf {
        self.dir.path().join("home/tables").join(name)
    }

    /// The ids in a table, sorted; none if there is no table.
    async fn ids(&self, name: &str) -> Vec<i64> {
        if !self.table(name).join("_delta_log").exists() {
            return Vec::new();
        }
        let rows = load(&open(&self.table(name)).await).await;
        let ids =
            rows.batches.iter().map(|batch| batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone());
        let mut ids: Vec<i64> = ids.flat_map(|ids| ids.values().to_vec()).collect();
        ids.sort_unstable();
        ids
    }
}

const POSITIVE: &str = "  - sql: amount > 0\n    name: positive\n    on_failure: quarantine";

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_finds_its_rows() {
    let shop = Shop::new().await;
    shop.add(&[(1, Some(5), "a"), (1, Some(7), "b"), (2, None, "c"), (3, Some(90), "x1"), (4, Some(-1), "a")]).await;
    let expect = "
  - { not_null: [amount], on_failure: warn }
  - { unique: [id], on_failure: warn }
  - { accepted_values: { column: kind, values: [a, b, c] }, on_failure: warn }
  - { range: { column: amount, min: 0, max: 50 }, on_failure: warn }
  - { matches: { column: kind, pattern: '^[a-z]$' }, on_failure: warn }
  - { references: { columns: [amount], to: orders, key: [id] }, on_failure: warn }
  - { sql: amount > 0, name: positive, on_failure: warn }
  - { row_count: { min: 6 }, on_failure: warn }
  - { freshness: { column: at, within: 1h }, on_failure: warn }";
    let sql = "SELECT id, amount, kind, TIMESTAMP '2020-01-01T00:00:00' AS at FROM orders";
    let project = shop.project("io: { key: [id, kind] }", expect, sql);
    let (record, stage) = shop.run(&project, &RunOptions::default()).await;
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    assert_eq!(shop.ids("good").await.len(), 5, "a warning kept rows back");
    let mut reported: Vec<String> = Vec::new();
    for found in &stage.expectations {
        let mut samples = found.samples.clone();
        // How old the newest row is depends on the time of the test.
        if let Some(sample) = samples.first_mut().filter(|sample| sample.ends_with(" h old")) {
            sample.truncate(sample.rfind(", ").unwrap());
        }
        samples.sort();
        reported.push(format!(
            "{} ({}): {} of {}{}{}",
            found.name,
            found.rule,
            found.rows_failed,
            found.rows_checked,
            if found.broken { ", broken" } else { "" },
            samples.iter().map(|sample| format!(" {sample}")).collect::<String>()
        ));
    }
    insta::assert_snapshot!(reported.join("\n"), @"
    not_null_amount (no null in amount): 1 of 5, broken (id = 2, kind = c, amount = null)
    unique_id (no two rows with one (id)): 2 of 5, broken (id = 1, kind = a) (id = 1, kind = b)
    accepted_values_kind (kind is one of 'a', 'b', 'c'): 1 of 5, broken (id = 3, kind = x1)
    range_amount (amount is from 0 to 50): 2 of 5, broken (id = 3, kind = x1, amount = 90) (id = 4, kind = a, amount = -1)
    matches_kind (kind matches `^[a-z]$`): 1 of 5, broken (id = 3, kind = x1)
    references_amount ((amount) is a (id) of `orders`): 4 of 5, broken (id = 1, kind = a, amount = 5) (id = 1, kind = b, amount = 7) (id = 3, kind = x1, amount = 90) (id = 4, kind = a, amount = -1)
    positive (amount > 0): 2 of 5, broken (id = 2, kind = c, amount = null, at = 2020-01-01T00:00:00) (id = 4, kind = a, amount = -1, at = 2020-01-01T00:00:00)
    row_count (at least 6 rows): 0 of 5, broken
    freshness_at (the newest at is at most 3600 s old): 0 of 5, broken the newest is 2020-01-01T00:00:00Z
    ");
    shop.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_rows_leave_the_table_at_its_version() {
    let shop = Shop::new().await;
    shop.add(&[(1, Some(5), "a")]).await;
    let expect = "  - { range: { column: amount, min: 0 } }";
    let project = shop.project("io: { key: [id] }", expect, "SELECT id, amount FROM orders");
    shop.run(&project, &RunOptions::default()).await;
    let version = open(&shop.table("good")).await.version();
    shop.add(&[(2, Some(-7), "a"), (3, Some(1), "b")]).await;
    let (record, stage) = shop.run(&project, &RunOptions::default()).await;
    assert_eq!(record.status, RunStatus::Failed);
    let failure = record.stages[0].failure.clone().unwrap();
    assert_eq!(failure.code, "WL1032");
    insta::assert_snapshot!(failure.message, @"rows of `good` are not as expected: `range_amount` (amount is at least 0) in 1 of 3 rows, such as (id = 2, amount = -7)");
    assert!(stage.expectations[0].broken && stage.receipt.is_none());
    assert_eq!((open(&shop.table("good")).await.version(), shop.ids("good").await), (version, vec![1]));
    shop.windlass.stop().await;
}

/// What happens to the computed rows of a run: how many are committed and quarantined, and by which strategy.
async fn parts(shop: &Shop, project: &Project, options: &RunOptions) -> (Option<Strategy>, Vec<i64>, Vec<i64>) {
    let before = shop.ids("good__quarantine").await;
    let (record, stage) = shop.run(project, options).await;
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    let mut apart = shop.ids("good__quarantine").await;
    for id in before {
        let place = apart.iter().position(|other| *other == id).unwrap();
        apart.remove(place);
    }
    assert_eq!(stage.quarantine.map_or(0, |quarantine| quarantine.rows), apart.len() as u64);
    (record.stages[0].strategy, shop.ids("good").await, apart)
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantined_and_committed_rows_are_the_computed_ones_on_every_path() {
    let joined = "SELECT o.id, sum(o.amount) AS amount FROM orders AS o GROUP BY o.id";
    let cases = [
        ("io: { key: [id], incremental: strict }", joined, Strategy::AffectedKeys),
        ("io: { key: [id], incremental: strict }", "SELECT id, amount FROM orders", Strategy::Append),
        ("io: { mode: append, incremental: strict }", "SELECT id, amount FROM orders", Strategy::Append),
        (
            "io: { key: [kind], partition_by: [kind], incremental: strict }",
            "SELECT kind, max(id) AS id, sum(amount) AS amount FROM orders GROUP BY kind",
            Strategy::PartitionReplace,
        ),
    ];
    for (io, sql, strategy) in cases {
        let shop = Shop::new().await;
        shop.add(&[(1, Some(5), "a"), (2, Some(-5), "b"), (3, Some(7), "c")]).await;
        let project = shop.project(io, POSITIVE, sql);
        let first = parts(&shop, &project, &RunOptions::default()).await;
        assert_eq!(first, (Some(Strategy::Full), vec![1, 3], vec![2]), "{sql}");

        shop.add(&[(4, Some(1), "d"), (5, Some(-1), "e"), (6, None, "f")]).await;
        let second = parts(&shop, &project, &RunOptions::default()).await;
        assert_eq!(second, (Some(strategy), vec![1, 3, 4], vec![5, 6]), "{sql}");

        // Again from the first version on.
        let backfill = RunOptions {
            refresh: windlass_evidence::artifact::Refresh { from_versions: vec![(None, 1)], ..Default::default() },
            ..RunOptions::default()
        };
        if strategy == Strategy::AffectedKeys {
            let third = parts(&shop, &project, &backfill).await;
            assert_eq!(third, (Some(strategy), vec![1, 3, 4], vec![2, 5, 6]), "{sql}");
        }
        shop.windlass.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_becomes_invalid_is_removed_from_the_table() {
    let shop = Shop::new().await;
    shop.add(&[(1, Some(5), "a"), (2, Some(6), "b")]).await;
    let project = shop.project("io: { key: [id], incremental: strict }", POSITIVE, "SELECT id, amount FROM orders");
    parts(&shop, &project, &RunOptions::default()).await;
    let update = open(&shop.orders()).await.update().with_predicate("id = 2");
    update.with_update("amount", "-6").await.unwrap();
    let (strategy, committed, apart) = parts(&shop, &project, &RunOptions::default()).await;
    assert_eq!((strategy, committed, apart), (Some(Strategy::RowWise), vec![1], vec![2]));
    let rows = load(&open(&shop.table("good__quarantine")).await).await;
    let names: Vec<&str> = rows.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "amount", "_windlass_run_id", "_windlass_rules", "_windlass_at"]);
    shop.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_orphans_go_to_quarantine_together() {
    let shop = Shop::new().await;
    shop.add(&[(1, Some(2), "a"), (1, Some(2), "b"), (2, Some(9), "c"), (3, Some(1), "d")]).await;
    let expect = "
  - { unique: [id], on_failure: quarantine }
  - { references: { columns: [amount], to: orders, key: [id] }, name: known, on_failure: quarantine }";
    let project = shop.project("io: { key: [id] }", expect, "SELECT id, amount FROM orders");
    let (_, committed, apart) = parts(&shop, &project, &RunOptions::default()).await;
    assert_eq!((committed, apart), (vec![3], vec![1, 1, 2]));
    shop.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expectations_that_do_not_fit_are_refused_before_anything_runs() {
    let shop = Shop::new().await;
    let expect = "
  - { not_null: [amuont] }
  - { sql: amount + 1, name: no_condition }
  - { references: { columns: [id], to: orders, key: [number] } }";
    let project = shop.project("io: { key: [id] }", expect, "SELECT id, amount FROM orders");
    let error = shop.windlass.plan(&project, &RunOptions::default()).await.unwrap_err();
    let reported: Vec<String> =
        error.problems().unwrap().iter().map(|problem| format!("{} {}", problem.code, problem.message)).collect();
    insta::assert_snapshot!(reported.join("\n"), @"
    WL1031 `not_null_amuont` names `amuont`, which `good` does not have
    WL1031 `no_condition` cannot be checked in rows of `good`: it yields BIGINT, not a boolean
    WL1031 `references_id` names `number`, which `orders` does not have
    ");
    assert!(!shop.table("good").exists());
    shop.windlass.stop().await;
}
