//! The JSON documents of the commands: one for each, as its schema in docs/schema/command says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use windlass_client::document::schemas;

use super::json_schema::violation;
use super::shop::{ORDERS, Shop, text};

/// What needs a cluster, a killed process or a run that fails: `api::runs` and `command::resumed` have them.
const ELSEWHERE: [&str; 4] = ["runs-again", "runs-cancel", "runs-resume", "runs-retry"];

const FIXTURE: &str = "\
given:
  orders:
    - { order_id: 1, customer: ada, amount: 20.0, currency: EUR }
    - { order_id: 2, customer: bo, amount: 5.0, currency: XYZ }
expect:
  orders_clean: [{ order_id: 1 }]
";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/command")
}

/// The schemas in docs/ are those of the types. `UPDATE_DOCS=1` writes them.
#[test]
fn the_documented_schemas_are_those_of_the_types() {
    let current: BTreeMap<String, String> = schemas()
        .into_iter()
        .map(|(name, schema)| (format!("{name}.schema.json"), serde_json::to_string_pretty(&schema).unwrap() + "\n"))
        .collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let _ = fs::remove_dir_all(folder());
        fs::create_dir_all(folder()).unwrap();
        for (name, schema) in &current {
            fs::write(folder().join(name), schema).unwrap();
        }
    }
    let written = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(written.collect::<BTreeSet<_>>(), current.keys().cloned().collect());
    for (name, schema) in &current {
        let written = fs::read_to_string(folder().join(name)).unwrap();
        assert!(written == *schema, "docs/schema/command/{name} is stale: run this test with UPDATE_DOCS=1");
    }
}

/// Checks documents against the schemas, and remembers which were used.
struct Checker {
    schemas: BTreeMap<&'static str, Value>,
    used: BTreeSet<&'static str>,
}

impl Checker {
    fn new() -> Self {
        let schemas = schemas().into_iter().map(|(name, schema)| (name, schema.to_value()));
        Self { schemas: schemas.collect(), used: BTreeSet::new() }
    }

    fn check(&mut self, name: &'static str, document: &Value) {
        if let Some(violation) = violation(&self.schemas[name], document) {
            panic!("{name}: {violation}\n{document:#}");
        }
        self.used.insert(name);
    }

    /// Runs a command and checks that it prints one document, which is as the schema says.
    fn run(&mut self, shop: &Shop, name: &'static str, args: &[&str], code: i32) -> Value {
        let output = shop.windlass(args).args(["--output", "json"]).assert().code(code).get_output().clone();
        let document = serde_json::from_slice(&output.stdout);
        let document = document.unwrap_or_else(|error| panic!("{args:?}: {error}: {}", text(&output.stdout)));
        self.check(name, &document);
        document
    }
}

#[test]
fn every_command_prints_one_document_of_its_schema() {
    let shop = Shop::new();
    shop.write("tests/clean.yaml", FIXTURE);
    let mut checker = Checker::new();
    let mut run = |name, args: &[&str]| checker.run(&shop, name, args, 0);
    let new = shop.dir().join("new").display().to_string();
    run("init", &["init", &new]);
    run("check", &["check"]);
    run("ls", &["ls"]);
    run("registry", &["registry", "--lineage"]);
    run("schema", &["schema"]);
    run("plan", &["plan"]);
    run("test", &["test"]);
    run("doctor", &["doctor"]);
    run("tables", &["tables"]);
    run("run", &["run", "-s", "+totals_of_each_customer"]);
    run("run", &["run", "--target", "dev"]);

    shop.write("orders.csv", &format!("{ORDERS}4,ada,1.5,EUR\n"));
    let plan = run("plan", &["plan"]);
    assert_eq!(plan["stages"][1]["cause"], "data_changed", "{plan}");
    assert_eq!(run("plan", &["plan", "orders_clean"])["stages"].as_array().unwrap().len(), 1);
    let file = |name: &str| shop.dir().join(name).display().to_string();
    let saved = file("plan.json");
    run("plan", &["plan", "--out", &saved]);
    run("apply", &["apply", &saved]);

    run("tables", &["tables"]);
    run("cursors-ls", &["cursors", "ls"]);
    run("cursors-show", &["cursors", "show", "totals_of_each_customer"]);
    run("cursors-reset", &["cursors", "reset", "totals_of_each_customer", "--yes"]);
    run("maintain", &["maintain", "--dry-run"]);
    run("maintain", &["maintain"]);
    run("pins-add", &["pins", "add", "orders_clean", "--name", "pinned", "--for", "1h"]);
    run("tag", &["tag", "orders_clean@1", "tagged", "--reason", "a test"]);
    assert_eq!(run("pins-ls", &["pins", "ls"]).as_array().unwrap().len(), 2);
    assert_eq!(run("tag-ls", &["tag", "ls"])[0]["name"], "tagged");
    run("pins-release", &["pins", "release", "pinned"]);
    run("tag-rm", &["tag", "rm", "tagged"]);
    run("pins-ls", &["pins", "ls"]);
    run("clean", &["clean", "--dry-run", "--tables", "--keep-runs", "1", "--keep-days", "0"]);
    run("runs-list", &["runs", "list"]);
    run("runs-show", &["runs", "show"]);
    run("runs-diff", &["runs", "diff"]);
    let lineage = run("lineage", &["lineage", "totals_of_each_customer.amount", "--upstream"]);
    assert_eq!(lineage["tables"][2]["name"], "orders", "{lineage}");
    let log = run("runs-log", &["runs", "log", "--target", "dev"]);
    assert_eq!(log[0]["target"], "dev");
    let explained = run("explain", &["explain", "latest", "orders_clean", "--plan", "logical"]);
    assert_eq!((&explained["stage"], &explained["plan"]), (&"orders_clean".into(), &"logical".into()));
    run("query", &["query", "SELECT * FROM orders_clean"]);
    run("query", &["query", "SELECT * FROM orders_clean WHERE false"]);
    run("graph", &["graph"]);
    run("graph", &["graph", "--format", "svg"]);
    run("contract-infer", &["contract", "infer", "orders_clean"]);
    shop.windlass(&["contract", "infer", "orders_clean", "--to", &file("one.yaml")]).assert().success();
    shop.windlass(&["contract", "infer", "totals_of_each_customer", "--to", &file("two.yaml")]).assert().success();
    run("contract-diff", &["contract", "diff", &file("one.yaml"), &file("two.yaml")]);
    run("completions", &["completions", "bash"]);
    run("man", &["man"]);

    let written = run("written", &["query", "SELECT * FROM orders_clean", "--to", &file("rows.json")]);
    assert_eq!((&written["format"], &written["rows"]), (&"json".into(), &3.into()));
    assert_eq!(written["bytes"], fs::metadata(file("rows.json")).unwrap().len());
    let rows: Value = serde_json::from_str(&fs::read_to_string(file("rows.json")).unwrap()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    run("written", &["graph", "--format", "svg", "--to", &file("graph.svg")]);
    assert!(fs::read_to_string(file("graph.svg")).unwrap().starts_with("<svg"));
    run("written", &["man", "--to", &file("man")]);

    // What fails has a document too: its own, if that tells of the failure, or one about the error.
    let fails = |checker: &mut Checker, name, args: &[&str], code| checker.run(&shop, name, args, code);
    let checker = &mut checker;
    let code = |document: &Value| document["error"]["code"].as_str().unwrap_or_default().to_owned();
    let unknown = fails(checker, "error", &["query", "SELECT * FROM nothing"], 1);
    assert_eq!(code(&unknown), "WL0361");
    assert_eq!(code(&fails(checker, "error", &["plan", "nothing"], 1)), "WL0741");
    assert_eq!(code(&fails(checker, "error", &["apply", &saved], 1)), "WL0661");
    let breaking = ["contract", "diff", &file("one.yaml"), &file("two.yaml"), "--fail-on-breaking"];
    assert_eq!(fails(checker, "contract-diff", &breaking, 1)["breaking"], true);
    shop.write("tests/wrong.yaml", &FIXTURE.replace("[{ order_id: 1 }]", "[{ order_id: 2 }]"));
    assert_eq!(fails(checker, "test", &["test"], 1)["failed"], 1);
    shop.write("stages/failing.sql", "SELECT 1 / (order_id - order_id) AS x FROM orders");
    assert_eq!(fails(checker, "run", &["run"], 1)["run"]["status"], "failed");
    shop.write("stages/failing.sql", "/* windlass\nnothing: true\n*/\nSELECT 1 AS one");
    let problems = fails(checker, "error", &["check"], 1)["problems"].clone();
    assert_eq!(problems[0]["file"], "stages/failing.sql", "{problems}");

    let names: BTreeSet<&str> = checker.schemas.keys().copied().collect();
    let used = checker.used.iter().copied().chain(ELSEWHERE).collect();
    assert_eq!(names, used, "every schema is looked at");
}

#[test]
fn wrong_usage_is_a_document_too() {
    let shop = Shop::new();
    let mut checker = Checker::new();
    for args in [
        &["run", "--frobnicate"][..],
        &["frobnicate"],
        &["runs"],
        &["query"],
        &["run", "--max-parallel", "many"],
        &["run", "--max-parallel", "0"],
        &["run", "--events"],
        &["man", "frobnicate"],
        &["maintain", "--only", "frobnicate"],
        &["maintain", "elsewhere"],
        &["pins", "add", "orders_clean@x"],
        &["pins", "add", "orders_clean", "--for", "soon"],
        &["tag", "orders_clean@1"],
        &["cursors", "reset", "orders_clean"],
        &["clean", "--tables"],
        &["tables", "--home", "x", "--cluster", "http://127.0.0.1:1"],
    ] {
        let document = checker.run(&shop, "error", args, 2);
        assert_eq!(document["error"]["code"], "WL0706", "{args:?}: {document}");
        assert!(!document["error"]["message"].as_str().unwrap().is_empty(), "{args:?}: {document}");
        let with_equals = shop.windlass(args).arg("--output=json").assert().code(2).get_output().clone();
        assert_eq!(serde_json::from_slice::<Value>(&with_equals.stdout).unwrap(), document, "{args:?}");
    }
    // As text, the same goes to stderr.
    let refused = shop.windlass(&["run", "--frobnicate"]).assert().code(2).get_output().clone();
    assert!(refused.stdout.is_empty());
    assert!(text(&refused.stderr).starts_with("error[WL0706]: unexpected argument '--frobnicate'"), "{refused:?}");
}
