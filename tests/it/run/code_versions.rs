//! What counts as a changed definition of a stage, and which changes the plan names: one project, edited in one place
//! at a time after it has run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::prelude::col;
use deltalake::kernel::{DataType, StructField};
use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_client::builder::{ProjectBuilder, StageBuilder, planning_context};
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{PlanDecision, RunStatus, SavedPlan, StageDecision};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;

use crate::delta_read::tables::{append, array, batch};
use crate::incremental::tables::open;

const MANIFEST: &str = "
name: shop
params: { last: 7, unused: 1 }
sources:
  orders: { kind: delta, location: orders }
  rates: { kind: listing, format: csv, location: rates.csv, schema: { id: long, rate: double } }
  codes: { kind: rows, columns: { id: long, code: string }, rows: [[1, a], [2, b]] }
session: { target_partitions: 2 }
";

const SQL: &str = "its SQL has changed";
const VIEW: &str = "the view `known` has changed";
const EXPECTED: &str = "what it expects of its rows has changed";

/// The header of a stage and its query.
fn stage(header: &str, sql: &str) -> String {
    format!("/* windlass\n{header}\n*/\n{sql}\n")
}

/// The files of the project by their paths.
fn files() -> BTreeMap<&'static str, String> {
    let strict = "io: { key: [id], incremental: strict }";
    let refuse = "io: { key: [id], incremental: strict, on_definition_change: refuse }";
    let view = "materialize: view";
    BTreeMap::from([
        ("windlass.yaml", MANIFEST.to_owned()),
        ("stages/literals.sql", "SELECT v.n FROM (VALUES (1), (2), (3), (4), (5), (6), (70), (8)) AS v(n)".to_owned()),
        ("stages/given.sql", "SELECT v.n FROM (VALUES (1), (2), (3), (4), (5), (6), ($last)) AS v(n)".to_owned()),
        ("stages/series.sql", "SELECT value AS n FROM generate_series(1, 100)".to_owned()),
        (
            "stages/crossed.sql",
            stage(
                "io: { key: [id, n], incremental: auto }",
                "SELECT o.id, g.value AS n FROM orders AS o CROSS JOIN range(0, 3) AS g",
            ),
        ),
        ("stages/known.sql", stage(view, "SELECT id FROM orders WHERE amount > 0")),
        (
            "stages/referring.sql",
            stage(
                "expect:\n  - references: { columns: [id], to: known }",
                "SELECT o.id FROM orders AS o WHERE o.amount > 0",
            ),
        ),
        (
            "stages/expecting.sql",
            stage("expect:\n  - sql: amount < 1000\n    name: small", "SELECT id, amount FROM orders"),
        ),
        ("stages/narrow.sql", stage(strict, "SELECT id, amount FROM orders")),
        ("stages/kept.sql", stage(refuse, "SELECT id, amount FROM orders")),
        ("stages/everything.sql", stage(view, "SELECT * FROM orders")),
        (
            "stages/through.sql",
            stage(
                "io: { key: [id], incremental: auto }",
                "SELECT e.id FROM everything AS e WHERE EXISTS (SELECT * FROM orders AS o WHERE o.id = e.id)",
            ),
        ),
        ("stages/whole.sql", stage("io: { key: [id], incremental: auto }", "SELECT * FROM orders")),
        ("stages/rated.sql", "SELECT r.id, r.rate, c.code FROM rates AS r JOIN codes AS c ON r.id = c.id".to_owned()),
        ("stages/named.sql", "SELECT o.id, stable_id(o.id) AS sid FROM orders AS o".to_owned()),
        (
            "stages/loose.sql",
            stage("io: { key: [g], not_null: [g] }", "SELECT v.g, v.v FROM (VALUES (1, 1), (2, 2)) AS v(g, v)"),
        ),
    ])
}

struct Shop {
    dir: tempfile::TempDir,
    windlass: Windlass,
}

impl Shop {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let orders = dir.path().join("orders");
        std::fs::create_dir_all(&orders).unwrap();
        let fields = [("id", DataType::LONG), ("amount", DataType::LONG), ("kind", DataType::STRING)];
        let fields = fields.map(|(name, of)| StructField::nullable(name, of));
        let create = open(&orders).await.create().with_columns(fields);
        create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
        std::fs::write(dir.path().join("rates.csv"), "id,rate\n1,1.5\n").unwrap();
        let home = Location::from_path(&dir.path().join("home")).unwrap();
        let session = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
        let windlass = Windlass::embedded(windlass_tests::embedded(home, session)).await.unwrap();
        let shop = Self { dir, windlass };
        shop.add(&[1, 2], &[]).await;
        shop
    }

    fn orders(&self) -> PathBuf {
        self.dir.path().join("orders")
    }

    /// Adds orders, all of one kind, with further columns.
    async fn add(&self, ids: &[i64], more: &[(&str, ArrayRef)]) {
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("id", array(Int64Array::from(ids.to_vec()))),
            ("amount", array(ids.iter().map(|id| id * 10).collect::<Int64Array>())),
            ("kind", array(ids.iter().map(|_| Some("a")).collect::<StringArray>())),
        ];
        columns.extend(more.iter().cloned());
        append(&self.orders(), batch(columns), &[]).await;
    }

    /// The project with some files replaced.
    fn project(&self, edits: &[(&'static str, String)]) -> Project {
        let mut files = files();
        files.extend(edits.iter().cloned());
        let mut project = ProjectFiles::new();
        files.iter().for_each(|(path, text)| project.insert(*path, text));
        Project::from_files(&project, self.dir.path(), None, &[])
            .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()))
    }

    /// The project with a part of a file replaced.
    fn edited(&self, path: &'static str, old: &str, new: &str) -> Project {
        let text = files()[path].clone();
        assert!(text.contains(old), "{path} has no {old}");
        self.project(&[(path, text.replace(old, new))])
    }

    async fn run(&self, project: &Project, select: &[&str]) {
        let options = RunOptions { select: select.iter().map(ToString::to_string).collect(), ..RunOptions::default() };
        let record = self.windlass.run(project, &options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    }

    /// The stages that a run would not reuse, each with the reason.
    async fn planned(&self, project: &Project) -> BTreeMap<String, StageDecision> {
        let plan = self.windlass.plan(project, &RunOptions::default()).await.unwrap();
        let stages = plan.stages.into_iter();
        let stages = stages.filter(|stage| !matches!(stage.decision, PlanDecision::View | PlanDecision::Reuse));
        stages.map(|stage| (stage.stage.to_string(), stage)).collect()
    }

    /// What a run would compute, each with the reason.
    async fn reasons(&self, project: &Project) -> Vec<(String, String)> {
        self.planned(project).await.into_iter().map(|(name, stage)| (name, stage.reason)).collect()
    }
}

fn reason_pairs(reasons: &[(&str, &str)]) -> Vec<(String, String)> {
    let since = |reason: &str| format!("{reason} since its rows were computed");
    reasons.iter().map(|(stage, reason)| ((*stage).to_owned(), since(reason))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_determines_rows_is_part_of_the_code_version_and_is_named() {
    let shop = Shop::new().await;
    shop.run(&shop.project(&[]), &[]).await;
    assert_eq!(shop.reasons(&shop.project(&[])).await, []);
    type Edit = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);
    let edits: &[Edit] = &[
        ("stages/literals.sql", "(70)", "(71)", &[("literals", SQL)]),
        ("stages/literals.sql", "(8)", "(8), (9)", &[("literals", SQL)]),
        ("stages/given.sql", "(1)", "(0)", &[("given", SQL)]),
        ("windlass.yaml", "last: 7", "last: 8", &[("given", "the parameter `last` has changed")]),
        ("windlass.yaml", "unused: 1", "unused: 2", &[]),
        ("stages/series.sql", "100", "5000", &[("series", SQL)]),
        ("stages/series.sql", "100", "99 + 1", &[]),
        ("stages/crossed.sql", "range(0, 3)", "range(0, 5)", &[("crossed", SQL)]),
        ("stages/crossed.sql", "g.value AS n", "value AS n", &[]),
        ("stages/known.sql", "amount > 0", "amount > 1", &[("referring", VIEW)]),
        ("stages/known.sql", "SELECT id", "SELECT id, amount", &[]),
        ("stages/expecting.sql", "amount < 1000", "amount < 999", &[("expecting", EXPECTED)]),
        ("windlass.yaml", "[2, b]", "[2, c]", &[("rated", "the project's declaration of `codes` has changed")]),
        (
            "windlass.yaml",
            "rate: double",
            "rate: float",
            &[("rated", "what it reads of `rates` and the project's declaration of `rates` have changed")],
        ),
    ];
    for (path, old, new, expected) in edits {
        let project = shop.edited(path, old, new);
        assert_eq!(shop.reasons(&project).await, reason_pairs(expected), "{old} becomes {new} in {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_no_stage_reads_computes_nothing() {
    let shop = Shop::new().await;
    let project = shop.project(&[]);
    shop.run(&project, &[]).await;
    let table = open(&shop.orders()).await;
    table.add_columns().with_fields([StructField::nullable("extra", DataType::STRING)]).await.unwrap();
    // Only what reads all columns has another definition; a new version without rows is consumed, or read by stages
    // that are not incremental.
    let planned = shop.planned(&project).await;
    let reported: Vec<(&str, &str)> =
        planned.iter().map(|(name, stage)| (name.as_str(), stage.reason.as_str())).collect();
    let whole = "what it reads of `orders` has changed since its rows were computed";
    assert!(reported.contains(&("whole", whole)), "{reported:?}");
    assert!(
        reported.iter().all(|(name, reason)| *name == "whole" || reason.starts_with("`orders` has changed")),
        "{reported:?}"
    );
    for name in ["narrow", "kept"] {
        assert_eq!(planned[name].decision, PlanDecision::Incremental, "{name}: {}", planned[name].reason);
    }
    shop.add(&[3], &[("extra", array(StringArray::from(vec!["x"])))]).await;
    shop.run(&project, &[]).await;
    assert_eq!(shop.reasons(&project).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_what_has_changed() {
    let shop = Shop::new().await;
    let limited = |last: u64| {
        let header = "io: { key: [id], incremental: strict, on_definition_change: refuse }";
        let query = "SELECT id, amount FROM orders WHERE id <= $last";
        let manifest = MANIFEST.replace("last: 7", &format!("last: {last}"));
        shop.project(&[("windlass.yaml", manifest), ("stages/kept.sql", stage(header, query))])
    };
    shop.run(&limited(7), &["kept"]).await;
    let options = RunOptions { select: vec!["kept".to_owned()], ..RunOptions::default() };
    let refused = shop.windlass.plan(&limited(8), &options).await.unwrap_err();
    assert_eq!(refused.code().0, "WL0368");
    let message = refused.to_string();
    assert!(message.contains("the parameter `last` has changed since its rows were computed"), "{message}");
    assert!(!message.contains("definition"), "{message}");
}

/// Tables whose keys may be null, and what happens to them once they must not be.
#[tokio::test(flavor = "multi_thread")]
async fn a_nullable_key_is_checked_first() {
    let shop = Shop::new().await;
    shop.run(&shop.project(&[]), &[]).await;
    let switched = shop.edited("stages/loose.sql", "not_null: [g]", "not_null: [g], incremental: strict");
    let reason = "`incremental` was off when its rows were made, and its key could be null";
    assert_eq!(shop.reasons(&switched).await, [("loose".to_owned(), reason.to_owned())]);
    shop.run(&switched, &["loose"]).await;
    assert_eq!(shop.reasons(&switched).await, []);
    // After it is switched off again, nothing is recomputed.
    assert_eq!(shop.reasons(&shop.project(&[])).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_that_depends_on_the_time_is_checked_in_every_run() {
    let shop = Shop::new().await;
    let timed = |io: &str| {
        let header =
            format!("io: {{ {io} }}\nexpect:\n  - sql: now() > TIMESTAMP '2020-01-01T00:00:00Z'\n    name: late");
        shop.project(&[("stages/expecting.sql", stage(&header, "SELECT id, amount FROM orders"))])
    };
    let off = timed("key: [id]");
    shop.run(&off, &["expecting"]).await;
    let options = RunOptions { select: vec!["expecting".to_owned()], ..RunOptions::default() };
    let plan = shop.windlass.plan(&off, &options).await.unwrap();
    assert_eq!(plan.stages[0].decision, PlanDecision::Full);
    assert!(
        plan.stages[0].reason.contains("its expectation `late` depends on the function now()"),
        "{:?}",
        plan.stages
    );
    let refused = shop.windlass.plan(&timed("key: [id], incremental: strict"), &options).await.unwrap_err();
    let problems = refused.problems().map(ToString::to_string).unwrap_or_default();
    assert!(problems.contains("WL0369") && problems.contains("the function now()"), "{refused} {problems}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_plan_is_not_executed_with_other_arguments() {
    let shop = Shop::new().await;
    let approved = async |project: &Project| {
        let plan = shop.windlass.plan(project, &RunOptions::default()).await.unwrap();
        SavedPlan::new(RunOptions::default().to_be_saved(project), &plan)
    };
    let plan = approved(&shop.project(&[])).await;
    // The comparison is made under the lease of the run.
    let refusal = async |project: &Project| {
        shop.windlass.run(project, &RunOptions::apply(plan.clone())).await.unwrap().wait().await.unwrap_err()
    };
    for (path, old, new, stage) in [
        ("stages/series.sql", "100", "5000", "series"),
        ("stages/literals.sql", "(70)", "(71)", "literals"),
        ("stages/crossed.sql", "range(0, 3)", "range(0, 4)", "crossed"),
    ] {
        let edited = shop.edited(path, old, new);
        let refused = refusal(&edited).await;
        assert_eq!(refused.code().0, "WL0661");
        let message = refused.to_string();
        assert!(message.contains(&format!("stage {stage}: its SQL has changed")), "{message}");
        assert_eq!(message.lines().count(), 2, "{message}");
    }
    let changed = shop.edited("windlass.yaml", "last: 7", "last: 8");
    let refused = refusal(&changed).await.to_string();
    assert!(refused.contains("stage given: the parameter `last` has changed"), "{refused}");
    assert!(!refused.contains("definition"), "{refused}");
    let run = shop.windlass.run(&shop.project(&[]), &RunOptions::apply(plan.clone())).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Succeeded);
}

/// A stage whose file holds a plan of the engine has a code version like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_identified_by_what_it_does() {
    let shop = Shop::new().await;
    let with = async |least: i64, name: &str| {
        use datafusion::arrow::datatypes::{DataType, Field, Schema};
        let fields = [("id", DataType::Int64), ("amount", DataType::Int64)];
        let columns = Schema::new(fields.map(|(name, of)| Field::new(name, of, true)).to_vec());
        let orders = planning_context(&[("orders", columns.into())]).unwrap().table("orders").await.unwrap();
        let least = datafusion::prelude::lit(least);
        let rows =
            orders.alias(name).unwrap().filter(col("amount").gt(least)).unwrap().select(vec![col("id")]).unwrap();
        let planned = StageBuilder::plan("planned", rows.into_unoptimized_plan());
        let files = ProjectBuilder::new("shop").stage(planned).files().unwrap();
        shop.project(&[("stages/planned.plan", files.get("stages/planned.plan").unwrap().to_owned())])
    };
    let base = with(5, "o").await;
    shop.run(&base, &["planned"]).await;
    let plan = async |project: &Project| {
        let options = RunOptions { select: vec!["planned".to_owned()], ..RunOptions::default() };
        shop.windlass.plan(project, &options).await.unwrap().stages.remove(0)
    };
    assert_eq!(plan(&base).await.decision, PlanDecision::Reuse);
    let other = plan(&with(6, "o").await).await;
    assert_eq!(
        (other.decision, other.reason.as_str()),
        (PlanDecision::Full, "its plan has changed since its rows were computed",)
    );
    // Another name inside it makes no difference, and neither does a column that it does not use.
    assert_eq!(plan(&with(5, "p").await).await.decision, PlanDecision::Reuse);
    let table = open(&shop.orders()).await;
    table.add_columns().with_fields([StructField::nullable("extra", DataType::STRING)]).await.unwrap();
    assert_eq!(plan(&base).await.reason, "`orders` has changed; it does not ask to be incremental");
}
