//! `windlass lineage`: tables and columns from the bundles of several runs.

use std::fs;

use serde_json::{Value, json};

use super::shop::{ORDERS, Shop, text};

fn names<'d>(lineage: &'d Value, side: &str) -> Vec<&'d str> {
    let tables = lineage["tables"].as_array().unwrap().iter().filter(|table| table["side"] == side);
    tables.map(|table| table["name"].as_str().unwrap()).collect()
}

/// The uses of columns, as lines.
fn uses(lineage: &Value) -> Vec<String> {
    let part = |edge: &Value, key: &str| edge[key].as_str().unwrap_or("*").to_owned();
    let line = |edge: &Value| {
        let [from, from_column, to, to_column, how] =
            ["from", "from_column", "to", "to_column", "how"].map(|key| part(edge, key));
        format!("{from}.{from_column} {to}.{to_column} {how}")
    };
    lineage["columns"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn tables_have_the_versions_and_runs_that_made_them() {
    let shop = Shop::new();
    let first = shop.document(&["run"])["run"]["run_id"].clone();
    // Only what reads it changes: `orders_clean` is used as it is, and is still known to be made by the first run.
    let query = "SELECT customer, count(*) AS orders, sum(amount) AS amount FROM orders_clean GROUP BY customer HAVING count(*) > 0";
    shop.write("stages/totals_of_each_customer.sql", &format!("/* windlass\nio: {{ key: [customer] }}\n*/\n{query}"));
    let second = shop.document(&["run"])["run"]["run_id"].clone();

    let lineage = shop.document(&["lineage", "orders_clean"]);
    assert_eq!(names(&lineage, "asked"), ["orders_clean"]);
    assert_eq!(names(&lineage, "upstream"), ["orders"]);
    assert_eq!(names(&lineage, "downstream"), ["totals_of_each_customer"]);
    let table = |name: &str| lineage["tables"].as_array().unwrap().iter().find(|table| table["name"] == name).unwrap();
    assert_eq!(table("orders_clean")["run_id"], first);
    assert_eq!(table("totals_of_each_customer")["run_id"], second);
    assert_eq!(table("orders")["run_id"], Value::Null);
    assert!(table("orders_clean")["version"].is_u64(), "{lineage}");
    let edges = lineage["edges"].as_array().unwrap();
    let read = edges.iter().find(|edge| edge["from"] == "orders_clean").unwrap();
    assert_eq!(read["from_version"], table("orders_clean")["version"]);

    assert_eq!(names(&shop.document(&["lineage", "orders", "--depth", "1"]), "downstream"), ["orders_clean"]);
    assert!(names(&shop.document(&["lineage", "orders_clean", "--downstream"]), "upstream").is_empty());
}

#[test]
fn columns_are_followed_through_tables() {
    let shop = Shop::new();
    shop.windlass(&["run"]).assert().success();
    let lineage = shop.document(&["lineage", "totals_of_each_customer.amount", "--upstream"]);
    assert_eq!(lineage["column"], "amount");
    let uses = uses(&lineage);
    for expected in [
        "orders.amount orders_clean.amount identity",
        "orders_clean.amount totals_of_each_customer.amount aggregation",
        "orders_clean.customer totals_of_each_customer.* group_by",
    ] {
        assert!(uses.iter().any(|line| line == expected), "{expected}: {uses:?}");
    }
    assert!(uses.iter().all(|line| !line.starts_with("orders.customer")), "keys are not followed: {uses:?}");
    // A run that computes nothing leaves what is known as it is.
    shop.windlass(&["run"]).assert().success();
    assert_eq!(shop.document(&["lineage", "totals_of_each_customer.amount", "--upstream"]), lineage);
    // Nor does one that only applies changes make it another.
    shop.write("orders.csv", &format!("{ORDERS}4,ada,1.5,EUR\n"));
    shop.windlass(&["run"]).assert().success();
    let later = shop.document(&["lineage", "totals_of_each_customer.amount", "--upstream"]);
    assert_eq!(later["columns"], lineage["columns"]);

    let shown = shop.shown(&["lineage", "orders.amount", "--downstream"]);
    assert!(shown.contains("orders_clean.amount") && shown.contains("aggregation"), "{shown}");
}

#[test]
fn a_drawing_has_the_tables_and_the_views_between_them() {
    let shop = Shop::new();
    shop.write(
        "stages/euros.sql",
        "/* windlass\nmaterialize: view\n*/\nSELECT * FROM orders_clean WHERE currency = 'EUR'",
    );
    shop.write("stages/euros_by_day.sql", "SELECT sum(amount) AS amount FROM euros");
    shop.write("stages/unrelated.sql", "SELECT 1 AS one");
    shop.windlass(&["run"]).assert().success();
    let file = shop.dir().join("lineage.svg");
    let written = shop.document(&["lineage", "euros_by_day", "--format", "svg", "--to", &file.display().to_string()]);
    assert_eq!(written["format"], "svg");
    let drawn = fs::read_to_string(&file).unwrap();
    for (name, is_drawn) in [("orders", true), ("euros", true), ("unrelated", false)] {
        assert_eq!(drawn.contains(&format!(">{name}<")), is_drawn, "{name}: {drawn}");
    }
    assert!(shop.shown(&["lineage", "euros_by_day", "--format", "mermaid"]).contains("euros"));
}

#[test]
fn what_no_run_knows_is_refused() {
    let shop = Shop::new();
    shop.write("stages/seen_through.sql", "/* windlass\nmaterialize: view\n*/\nSELECT * FROM orders_clean");
    let refused = |args: &[&str]| {
        let output = shop.windlass(args).args(["--output", "json"]).assert().code(1).get_output().clone();
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stdout)));
        (document["error"]["code"].clone(), document["error"]["help"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(refused(&["lineage", "orders"]).0, json!("WL0746"), "before the first run");
    shop.windlass(&["run"]).assert().success();
    let (code, help) = refused(&["lineage", "order_clean"]);
    assert!(code == "WL0746" && help.contains("orders_clean"), "{help}");
    let (code, help) = refused(&["lineage", "seen_through"]);
    assert!(code == "WL0746" && help.contains("view"), "{help}");
    let (code, help) = refused(&["lineage", "orders_clean.amont"]);
    assert!(code == "WL0747" && help.contains("amount"), "{help}");
}
