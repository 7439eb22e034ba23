//! Runs of stages with contracts: columns dropped and kept, nulls, incremental stages, evolution over versions.

use windlass_base::ids::NodeName;
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{PlanDecision, RunStatus};

use super::{everything, messages, project, run, stage, succeed, windlass};

fn contract(text: &str) -> (String, String) {
    ("contracts/orders.yaml".to_owned(), text.to_owned())
}

async fn columns(windlass: &Windlass, project: &Project) -> Vec<String> {
    let rows = windlass.query(project, "SELECT * FROM orders", &Default::default()).await.unwrap();
    rows.schema().fields().iter().map(|field| field.name().clone()).collect()
}

async fn refused(windlass: &Windlass, project: &Project) -> Vec<String> {
    messages(&windlass.plan(project, &RunOptions::default()).await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn additional_columns_are_refused_kept_or_omitted() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let sql = "SELECT o.note, o.id, o.amount FROM (SELECT 1 AS id, 2.5 AS amount, 'x' AS note) AS o";
    let with = |policy: &str| {
        let text =
            format!("evolution: {policy}\ncolumns:\n  id: {{ type: long, nullable: false }}\n  amount: double\n");
        project(dir.path(), &[contract(&text), stage("orders", "orders", sql)])
    };
    insta::assert_snapshot!(refused(&windlass, &with("exact")).await.join("\n"), @"WL1001 `orders` breaks its contract `orders@1`: `note` (string not null) is not in the contract, whose policy is `exact`");
    let project = with("ignore_extra");
    succeed(&windlass, &project).await;
    assert_eq!(columns(&windlass, &project).await, ["id", "amount"], "in the contract's order");

    // A reader may depend on another column of the table.
    let project = with("additive");
    succeed(&windlass, &project).await;
    assert_eq!(columns(&windlass, &project).await.len(), 3);
    insta::assert_snapshot!(refused(&windlass, &with("ignore_extra")).await.join("\n"), @"WL1002 `orders` breaks its contract `orders@1`: `note` (string) is in the table and would be lost under `ignore_extra`");
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_grows_by_what_its_policy_allows() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let with = |policy: &str, more: &str, sql: &str| {
        let text = format!("evolution: {policy}\ncolumns:\n  id: integer\n{more}");
        project(dir.path(), &[contract(&text), stage("orders", "orders", sql)])
    };
    let small = "arrow_cast(1, 'Int32') AS id";
    succeed(&windlass, &with("exact", "", &format!("SELECT {small}"))).await;
    let note = |policy: &str, null: bool| {
        let more = format!("  note: {{ type: string, nullable: {null} }}\n");
        with(policy, &more, &format!("SELECT {small}, 'x' AS note"))
    };
    let mut reported = refused(&windlass, &note("exact", true)).await;
    reported.extend(refused(&windlass, &note("additive", false)).await);
    insta::assert_snapshot!(reported.join("\n"), @"
    WL1002 `orders` breaks its contract `orders@1`: `note` (string) is not in the table, which may not change under `exact`
    WL1002 `orders` breaks its contract `orders@1`: `note` (string not null) is not in the table, which may gain only columns that can be null under `additive`
    ");
    succeed(&windlass, &note("additive", true)).await;
    let lost = with("additive", "", &format!("SELECT {small}"));
    insta::assert_snapshot!(refused(&windlass, &lost).await.join("\n"), @"WL1002 `orders` breaks its contract `orders@1`: `note` (string) is in the table and would be lost under `additive`");
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn null_where_the_contract_has_none_is_found_in_the_rows_and_nothing_becomes_visible() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let text = "columns:\n  id: { type: long, nullable: false }\n";
    let with = |sql: &str| project(dir.path(), &[contract(text), stage("orders", "orders", sql)]);
    succeed(&windlass, &with("SELECT 1 AS id")).await;
    let log = dir.path().join("home/tables/orders/_delta_log");
    let before = everything(&log);
    let record = run(&windlass, &with("SELECT CASE WHEN random() < 2 THEN CAST(NULL AS BIGINT) END AS id")).await;
    assert_eq!(record.status, RunStatus::Failed);
    let failure = record.stages[0].failure.clone().unwrap();
    assert!(failure.message.contains("`id`"), "{failure:?}");
    assert_eq!(everything(&log), before);
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_from_the_contract_makes_a_stage_incremental() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let text = "evolution: additive\ncolumns:\n  id: { type: long, nullable: false }\n  twice: double\nkey: [id]\n";
    let with = |rows: &str, contract_text: &str| {
        let numbers = format!("SELECT column1 AS id, column2 AS number FROM (VALUES {rows})");
        let source = format!("/* windlass\nio: {{ key: [id] }}\n*/\n{numbers}");
        let sql = "/* windlass\ncontract: orders\nio: { incremental: strict }\n*/\n\
                   SELECT id, number * 2.0 AS twice, 'x' AS more FROM numbers";
        project(
            dir.path(),
            &[
                contract(contract_text),
                ("stages/numbers.sql".to_owned(), source),
                ("stages/orders.sql".to_owned(), sql.to_owned()),
            ],
        )
    };
    succeed(&windlass, &with("(1, 1), (2, 2)", text)).await;
    let changed = with("(1, 1), (2, 3)", text);
    succeed(&windlass, &changed).await;
    let stage = NodeName::new("orders");
    let rows = windlass.query(&changed, "SELECT sum(twice) AS s FROM orders", &Default::default()).await.unwrap();
    let rows = rows.collect().await.unwrap();
    assert!(datafusion::arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string().contains("8.0"));

    // Descriptions of the columns change nothing; requirements do.
    let decision = async |project: &Project| {
        let plan = windlass.plan(project, &RunOptions::default()).await.unwrap();
        plan.stages.iter().find(|decision| decision.stage == stage).unwrap().decision
    };
    let described = format!("{text}description: all orders\n");
    assert_eq!(decision(&with("(1, 1), (2, 3)", &described)).await, PlanDecision::Reuse);
    let stricter = text.replace("twice: double", "twice: { type: double, nullable: false }");
    assert_eq!(decision(&with("(1, 1), (2, 3)", &stricter)).await, PlanDecision::Full);
    windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_what_its_contract_says_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let windlass = windlass(dir.path()).await;
    let with = |contract: &str| {
        let manifest = "name: p\nsources:\n  given: { kind: rows, rows: [{ id: 1, note: x }] }\n  orders: { kind: listing, format: csv, location: orders.csv, contract: orders }\n";
        let files = [
            ("windlass.yaml".to_owned(), manifest.to_owned()),
            ("contracts/orders.yaml".to_owned(), contract.to_owned()),
            ("stages/read.sql".to_owned(), "SELECT * FROM orders JOIN given USING (id)".to_owned()),
        ];
        Project::from_files(&files.into_iter().collect(), dir.path(), None, &[]).unwrap()
    };
    std::fs::write(dir.path().join("orders.csv"), "id,amount,extra\n1,2.5,true\n").unwrap();
    let reported = refused(&windlass, &with("columns: { id: string, amount: double, day: date }")).await;
    insta::assert_snapshot!(reported.join("\n"), @"
    WL1006 the source `orders` breaks its contract `orders@1`: `id` is long, and the contract has it as string under `exact`
    WL1006 the source `orders` breaks its contract `orders@1`: `day` is missing: the contract has it as date
    WL1006 the source `orders` breaks its contract `orders@1`: `extra` (boolean) is not in the contract, whose policy is `exact`
    ");
    succeed(&windlass, &with("evolution: ignore_extra\ncolumns: { id: long, amount: double }")).await;
    windlass.stop().await;
}
