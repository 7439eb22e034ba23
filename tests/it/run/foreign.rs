//! Other programs commit to the tables of stages during a run: none of their changes is lost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::arrow::array::Int64Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use deltalake::kernel::{DataType as DeltaType, StructField};
use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_client::embedded::EmbeddedConfig;
use windlass_client::{Project, RunHandle, RunOptions, Windlass};
use windlass_engine::function::Functions;
use windlass_evidence::artifact::{PlanDecision, RunRecord, RunStatus, StageStatus};
use windlass_project::spec::ProjectFiles;
use windlass_project::strategy::Strategy;
use windlass_storage::Location;

use crate::delta_read::tables::{append, array, batch};
use crate::incremental::tables::open;

/// A function `pass` that returns its argument once the gate is open.
#[derive(Debug, Clone, Default)]
struct Gate {
    reached: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

impl Gate {
    fn functions(&self) -> Functions {
        let gate = self.clone();
        let body = move |arguments: &[ColumnarValue]| {
            gate.reached.store(true, Ordering::SeqCst);
            while gate.closed.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(arguments[0].clone())
        };
        let types = (vec![DataType::Int64], DataType::Int64);
        Functions::standard().with_scalar(create_udf("pass", types.0, types.1, Volatility::Immutable, Arc::new(body)))
    }

    fn close(&self) {
        self.reached.store(false, Ordering::SeqCst);
        self.closed.store(true, Ordering::SeqCst);
    }

    fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    async fn reached(&self) {
        let reached = async {
            while !self.reached.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), reached).await.expect("the run comes to the gate");
    }
}

struct Lab {
    dir: tempfile::TempDir,
    windlass: Windlass,
    project: Project,
    gate: Gate,
}

impl Lab {
    /// A project of `stages` (name, `io`, query) over a table `t` of 30 rows, 6 for each `g` from 0 to 4, all `z` 0.
    async fn new(stages: &[(&str, &str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut files = ProjectFiles::default();
        let manifest = "name: p\nsources: { t: { kind: delta, location: t } }\nrun: { max_parallel_stages: 1 }\n";
        files.insert("windlass.yaml", manifest);
        for (name, io, sql) in stages {
            files.insert(format!("stages/{name}.sql"), &format!("/* windlass\nio: {{ {io} }}\n*/\n{sql}\n"));
        }
        let source = dir.path().join("t");
        std::fs::create_dir_all(&source).unwrap();
        let columns = ["id", "g", "z"].map(|name| StructField::nullable(name, DeltaType::LONG));
        let create = open(&source).await.create().with_columns(columns);
        create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
        let of = |value: fn(i64) -> i64| array((0..30).map(value).collect::<Int64Array>());
        append(&source, batch(vec![("id", of(|id| id)), ("g", of(|id| id % 5)), ("z", of(|_| 0))]), &[]).await;

        let gate = Gate::default();
        let home = Location::from_path(&dir.path().join("home")).unwrap();
        let session = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
        let config = EmbeddedConfig { functions: gate.functions(), ..windlass_tests::embedded(home, session) };
        let windlass = Windlass::embedded(config).await.unwrap();
        let project = Project::from_files(&files, dir.path(), None, &[])
            .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()));
        Self { dir, windlass, project, gate }
    }

    fn table(&self, stage: &str) -> PathBuf {
        self.dir.path().join("home/tables").join(stage)
    }

    async fn start(&self, options: &RunOptions) -> RunHandle {
        self.windlass.run(&self.project, options).await.unwrap()
    }

    async fn run(&self) -> RunRecord {
        self.start(&RunOptions::default()).await.wait().await.unwrap()
    }

    async fn succeed(&self) -> RunRecord {
        let record = self.run().await;
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        record
    }

    async fn touch_source(&self, predicate: &str, value: &str) {
        let update = open(&self.dir.path().join("t")).await.update().with_predicate(predicate);
        update.with_update("z", value).await.unwrap();
    }

    /// Another program deletes rows of a stage's table; returns the version that it created.
    async fn delete(&self, stage: &str, predicate: &str) -> u64 {
        let (table, _) = open(&self.table(stage)).await.delete().with_predicate(predicate).await.unwrap();
        table.version().unwrap()
    }

    /// Another program adds a row to a stage's table.
    async fn add(&self, stage: &str, row: [(&str, i64); 3]) {
        let columns = row.map(|(name, value)| (name, array(Int64Array::from(vec![value]))));
        let partition_by: &[&str] = if stage == "parts" { &["g"] } else { &[] };
        append(&self.table(stage), batch(columns.to_vec()), partition_by).await;
    }

    async fn version(&self, stage: &str) -> u64 {
        open(&self.table(stage)).await.version().unwrap()
    }

    async fn rows(&self, sql: &str) -> String {
        let rows = self.windlass.query(&self.project, sql, &Default::default()).await.unwrap();
        let text = pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Every table contains the result of its query.
    async fn check(&self, stages: &[(&str, &str, &str)]) {
        for (name, _, sql) in stages {
            assert_eq!(self.rows(&format!("SELECT * FROM {name}")).await, self.rows(sql).await, "{name}");
        }
    }
}

/// The codes of the stages that failed.
fn failures(record: &RunRecord) -> BTreeMap<&str, &str> {
    let failed = record.stages.iter().filter_map(|stage| Some((stage.stage.as_str(), stage.failure.as_ref()?)));
    failed.map(|(stage, failure)| (stage, failure.code.as_str())).collect()
}

/// `first` runs before all others, since it has a reader.
const BEFORE: [(&str, &str, &str); 8] = [
    ("first", "", "SELECT sum(pass(z)) AS s FROM t"),
    ("after_first", "", "SELECT s FROM first"),
    // Nothing of theirs changes: only cursors continue.
    ("counts", "key: [g], incremental: strict", "SELECT g, count(*) AS n FROM t GROUP BY g"),
    ("greatest", "key: [g], incremental: auto", "SELECT g, max(id) AS m FROM t WHERE z >= 0 GROUP BY g"),
    ("sums", "key: [g], incremental: strict, merge: deletion_vectors", "SELECT g, sum(z) AS s FROM t GROUP BY g"),
    ("all_of_it", "", "SELECT g, sum(z) AS s FROM t GROUP BY g"),
    ("upserted", "key: [g], mode: upsert", "SELECT g, sum(z) AS s FROM t GROUP BY g"),
    ("partitions", "mode: replace_partitions, partition_by: [g]", "SELECT g, id, z FROM t"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_before_a_stage_is_decided_again_conflicts_with_every_kind_of_commit() {
    let lab = Lab::new(&BEFORE).await;
    lab.succeed().await;
    lab.check(&BEFORE).await;
    lab.touch_source("g <> 1", "z + 1").await;
    lab.gate.close();
    let handle = lab.start(&RunOptions::default()).await;
    lab.gate.reached().await;
    let tables = &BEFORE[2..];
    let mut versions = BTreeMap::new();
    for (name, ..) in tables {
        versions.insert(*name, lab.delete(name, "g = 1").await);
    }
    lab.gate.open();
    let record = handle.wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Failed);
    let conflicts: BTreeMap<&str, &str> = tables.iter().map(|(name, ..)| (*name, "WL0655")).collect();
    assert_eq!(failures(&record), conflicts);
    for (name, version) in versions {
        assert_eq!(lab.version(name).await, version, "{name} was committed to");
    }

    // The next run sees what the other program did, and corrects it: strict stages by the keys that it touched.
    let plan = lab.windlass.plan(&lab.project, &RunOptions::default()).await.unwrap();
    let decided = |stage: &str| plan.stages.iter().find(|planned| planned.stage.as_str() == stage).unwrap();
    assert_eq!(decided("counts").strategy, Some(Strategy::AffectedKeys), "{:?}", decided("counts"));
    assert_eq!(decided("greatest").strategy, Some(Strategy::Full), "{:?}", decided("greatest"));
    lab.succeed().await;
    lab.check(&BEFORE).await;
    lab.windlass.stop().await;
}

const REPAIRED: [(&str, &str, &str); 4] = [
    ("counts", "key: [g], incremental: strict", "SELECT g, count(*) AS n, sum(z) AS s FROM t GROUP BY g"),
    ("rows_of_it", "key: [id], incremental: strict, merge: deletion_vectors", "SELECT id, g, z FROM t WHERE z >= 0"),
    (
        "parts",
        "key: [g], partition_by: [g], incremental: strict",
        "SELECT max(id) AS id, g, max(z) AS z FROM t GROUP BY g",
    ),
    ("reader", "key: [g], incremental: strict", "SELECT g, sum(n) AS n FROM counts GROUP BY g"),
];

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_others_to_a_strict_table_are_undone_by_key() {
    let lab = Lab::new(&REPAIRED).await;
    lab.succeed().await;
    let names = ["counts", "rows_of_it", "parts"];
    // Nothing else has changed.
    for name in names {
        lab.delete(name, "g = 1").await;
    }
    lab.succeed().await;
    lab.check(&REPAIRED).await;
    // Changed rows, surplus rows, and a change of the source as well.
    for name in names {
        let column = if name == "counts" { "n" } else { "z" };
        let update = open(&lab.table(name)).await.update().with_predicate("g >= 3");
        update.with_update(column, "77").await.unwrap();
    }
    lab.add("rows_of_it", [("id", 99), ("g", 9), ("z", 0)]).await;
    lab.add("counts", [("g", 9), ("n", 1), ("s", 1)]).await;
    lab.touch_source("g = 2", "z + 5").await;
    lab.succeed().await;
    lab.check(&REPAIRED).await;
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_added_by_others_under_an_existing_key_are_removed_again() {
    let lab = Lab::new(&REPAIRED).await;
    lab.succeed().await;
    // A row that exists twice or three times, and another row with the same key.
    for _ in 0..2 {
        lab.add("counts", [("g", 1), ("n", 6), ("s", 0)]).await;
        lab.add("rows_of_it", [("id", 1), ("g", 1), ("z", 0)]).await;
    }
    lab.add("counts", [("g", 2), ("n", 1), ("s", 1)]).await;
    lab.add("rows_of_it", [("id", 2), ("g", 2), ("z", 50)]).await;
    lab.add("parts", [("id", 0), ("g", 1), ("z", 9)]).await;
    lab.succeed().await;
    lab.check(&REPAIRED).await;
    // Again, with changes of the source that touch the same keys.
    lab.add("counts", [("g", 3), ("n", 6), ("s", 0)]).await;
    lab.add("rows_of_it", [("id", 3), ("g", 3), ("z", 0)]).await;
    lab.touch_source("g = 3", "z + 5").await;
    lab.succeed().await;
    lab.check(&REPAIRED).await;
    lab.windlass.stop().await;
}

/// Each waits at the gate after its table was checked.
const WHILE: [(&str, &str, &str); 4] = [
    ("all_of_it", "", "SELECT g, count(pass(z)) AS n FROM t GROUP BY g"),
    ("counts", "key: [g], incremental: strict", "SELECT g, count(pass(z)) AS n FROM t GROUP BY g"),
    ("rows_of_it", "key: [id], incremental: auto", "SELECT id, g, pass(z) AS z FROM t"),
    ("added", "mode: append", "SELECT g, count(pass(z)) AS n FROM t GROUP BY g"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_while_a_stage_is_computed_is_a_conflict_unless_every_run_adds_rows() {
    let lab = Lab::new(&WHILE).await;
    lab.succeed().await;
    lab.touch_source("g = 2", "z + 1").await;
    for (name, ..) in WHILE {
        lab.gate.close();
        let options = RunOptions { select: vec![name.to_owned()], ..RunOptions::default() };
        let handle = lab.start(&options).await;
        lab.gate.reached().await;
        let version = lab.delete(name, "g = 1").await;
        lab.gate.open();
        let record = handle.wait().await.unwrap();
        match name {
            "added" => {
                assert_eq!(record.status, RunStatus::Succeeded);
                assert_eq!(lab.version(name).await, version + 1);
                let rows = lab.rows("SELECT g, count(*) AS rows FROM added GROUP BY g").await;
                let expected = "SELECT g, CASE WHEN g = 1 THEN 1 ELSE 2 END AS rows FROM t GROUP BY g";
                assert_eq!(rows, lab.rows(expected).await);
            }
            _ => {
                assert_eq!(failures(&record), BTreeMap::from([(name, "WL0655")]));
                assert_eq!(lab.version(name).await, version, "{name} was committed to");
            }
        }
    }
    let options = RunOptions { exclude: vec!["added".to_owned(), "counts".to_owned()], ..RunOptions::default() };
    assert_eq!(lab.start(&options).await.wait().await.unwrap().status, RunStatus::Succeeded);
    lab.check(&[WHILE[0], WHILE[2]]).await;
    lab.windlass.stop().await;
}

const SHAPED: [(&str, &str, &str); 4] = [
    ("followed", "key: [id], incremental: auto, constraints: { small: id < 1000 }", "SELECT id, g, z FROM t"),
    ("strict", "key: [id], incremental: strict, constraints: { small: id < 1000 }", "SELECT id, g, z FROM t"),
    ("whole", "constraints: { small: id < 1000 }", "SELECT id, g, z FROM t"),
    ("reader", "key: [g], incremental: auto", "SELECT g, sum(z) AS s FROM strict GROUP BY g"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_columns_another_program_changed_is_recreated() {
    let lab = Lab::new(&SHAPED).await;
    lab.succeed().await;
    for (name, ..) in &SHAPED[..3] {
        let column = StructField::nullable("more", DeltaType::LONG);
        open(&lab.table(name)).await.add_columns().with_fields([column]).await.unwrap();
    }
    let stages = |record: &RunRecord, status| {
        let ended = record.stages.iter().filter(|stage| stage.status == status);
        ended.map(|stage| stage.stage.to_string()).collect::<Vec<_>>()
    };
    lab.touch_source("g = 2", "z + 1").await;
    let record = lab.run().await;
    assert_eq!(failures(&record), BTreeMap::from([("strict", "WL0368")]));
    assert_eq!(stages(&record, StageStatus::Skipped), ["reader"]);
    lab.check(&[SHAPED[0], SHAPED[2]]).await;
    let fail_fast = RunOptions { fail_fast: Some(true), ..RunOptions::default() };
    let error = lab.start(&fail_fast).await.wait().await.unwrap_err();
    assert_eq!(error.code().0, "WL0368", "{error}");

    let refresh = windlass_evidence::artifact::Refresh { full: vec!["strict".into()], ..Default::default() };
    let refresh = RunOptions { refresh, ..RunOptions::default() };
    assert_eq!(lab.start(&refresh).await.wait().await.unwrap().status, RunStatus::Succeeded);
    lab.check(&SHAPED).await;

    // A removed constraint is restored; a property that does not matter is left alone.
    open(&lab.table("followed")).await.drop_constraints().with_constraint("small").await.unwrap();
    let property = [("delta.logRetentionDuration".to_owned(), "interval 60 days".to_owned())];
    open(&lab.table("strict")).await.set_tbl_properties().with_properties(property.into()).await.unwrap();
    lab.touch_source("g = 3", "z + 1").await;
    let plan = lab.windlass.plan(&lab.project, &RunOptions::default()).await.unwrap();
    let decisions: Vec<_> = plan.stages.iter().map(|stage| (stage.stage.as_str(), stage.decision)).collect();
    assert!(decisions.contains(&("followed", PlanDecision::Full)), "{decisions:?}");
    assert!(decisions.contains(&("strict", PlanDecision::Incremental)), "{decisions:?}");
    lab.succeed().await;
    lab.check(&SHAPED).await;
    let table = open(&lab.table("followed")).await;
    let configuration = table.snapshot().unwrap().metadata().configuration().clone();
    assert_eq!(configuration.get("delta.constraints.small").map(String::as_str), Some("id < 1000"));
    lab.windlass.stop().await;
}
