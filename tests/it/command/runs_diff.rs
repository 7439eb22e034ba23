//! `windlass runs diff` on runs between which something really changes.

use std::fmt::Write;

use serde_json::Value;

use super::shop::{ORDERS, Shop, text};

/// Orders that are many times as many as in [`ORDERS`].
fn many_orders() -> String {
    let mut orders = ORDERS.to_owned();
    for id in 100..1_100 {
        writeln!(orders, "{id},ada,2,EUR").unwrap();
    }
    orders
}

const DOUBLED: &str = "\
/* windlass
description: Orders whose currency is known.
tags: { layer: clean }
io: { key: [order_id] }
expect:
  - accepted_values: { column: currency, values: [EUR, USD] }
    on_failure: quarantine
*/
SELECT order_id * 2 + n AS order_id, customer, amount, currency
FROM orders CROSS JOIN (SELECT unnest(range(0, 2)) AS n) AS twice
";

fn run(shop: &Shop) {
    shop.windlass(&["run"]).assert().success();
}

fn named<'v>(list: &'v Value, key: &str, name: &str) -> &'v Value {
    let list_of = list.as_array().unwrap();
    list_of.iter().find(|item| item[key] == name).unwrap_or_else(|| panic!("no `{name}` in {list:#}"))
}

#[test]
fn the_causes_of_what_differs_are_named() {
    let shop = Shop::new();
    run(&shop);
    let itself = shop.document(&["runs", "diff", "latest", "latest"]);
    for part in ["verdicts", "params", "settings", "pins", "stages"] {
        assert_eq!(itself[part], serde_json::json!([]), "{itself:#}");
    }

    shop.write("orders.csv", &many_orders());
    run(&shop);
    let diff = shop.document(&["runs", "diff"]);
    let pin = named(&diff["pins"], "source", "orders");
    assert!(pin["before"]["bytes"].as_u64() < pin["after"]["bytes"].as_u64(), "{pin:#}");
    assert_eq!(diff["settings"], serde_json::json!([]));
    let verdict = named(&diff["verdicts"], "stage", "orders_clean");
    assert_eq!((&verdict["cause"], &verdict["bigger"]), (&"data".into(), &true.into()), "{diff:#}");
    assert!(verdict["evidence"].as_str().unwrap().starts_with("its inputs grew to "), "{verdict:#}");
    let stage = named(&diff["stages"], "stage", "orders_clean");
    let written = named(&stage["volumes"], "measure", "rows_written");
    assert_eq!((&written["before"], &written["after"]), (&2.into(), &1_002.into()));
    assert_eq!(stage["code"], Value::Null);
    let back = shop.document(&["runs", "diff", "latest", "previous"]);
    let stage = named(&back["stages"], "stage", "orders_clean");
    let written = named(&stage["volumes"], "measure", "rows_written");
    assert_eq!((&written["before"], &written["after"]), (&1_002.into(), &2.into()));

    shop.write("stages/orders_clean.sql", DOUBLED);
    run(&shop);
    let diff = shop.document(&["runs", "diff", "--stage", "orders_clean"]);
    assert_eq!(diff["pins"], serde_json::json!([]));
    let verdict = named(&diff["verdicts"], "stage", "orders_clean");
    assert_eq!(verdict["cause"], "code", "{diff:#}");
    assert!(verdict["evidence"].as_str().unwrap().starts_with("its SQL has changed"), "{verdict:#}");
    assert_eq!(diff["stages"].as_array().unwrap().len(), 1);
    assert_eq!(diff["stages"][0]["code"]["parts"], serde_json::json!(["its SQL"]));
    let plan = named(&diff["stages"][0]["plans"], "plan", "logical");
    assert!(!plan["changes"].as_array().unwrap().is_empty(), "{plan:#}");

    let manifest = std::fs::read_to_string(shop.dir().join("windlass.yaml")).unwrap();
    shop.write("windlass.yaml", &format!("{manifest}session: {{ target_partitions: 7 }}\n"));
    run(&shop);
    let diff = shop.document(&["runs", "diff", "latest~1", "latest"]);
    assert_ne!(named(&diff["settings"], "name", "session")["after"], Value::Null);
    assert_eq!(diff["pins"], serde_json::json!([]));
}

#[test]
fn people_read_the_causes_first() {
    let shop = Shop::new();
    run(&shop);
    shop.write("orders.csv", &many_orders());
    run(&shop);
    for (width, more) in [("80", None), ("80", Some("-v")), ("60", Some("--stage=orders_clean"))] {
        let mut command = shop.windlass(&["runs", "diff"]);
        let command = command.args(more).env("COLUMNS", width);
        let shown = text(&command.assert().success().get_output().stdout);
        let wide = shown.lines().find(|line| line.chars().count() > width.parse().unwrap());
        assert_eq!(wide, None, "{shown}");
        let place = |word: &str| shown.find(word).unwrap_or_else(|| panic!("no `{word}` in {shown}"));
        assert!(place("before") < place("orders_clean"), "{shown}");
        assert!(place("orders_clean") < place("source orders"), "{shown}");
        assert_eq!(shown.contains("MEASURE"), more.is_some(), "{shown}");
    }
    let same = shop.shown(&["runs", "diff", "latest", "latest"]);
    assert!(same.ends_with("the runs do not differ\n"), "{same}");
}

#[test]
fn runs_and_stages_that_there_are_not_are_refused() {
    let shop = Shop::new();
    let refused = |args: &[&str]| text(&shop.windlass(args).assert().code(1).get_output().stderr);
    assert!(refused(&["runs", "diff"]).contains("WL0713"), "{}", refused(&["runs", "diff"]));
    run(&shop);
    let too_few = refused(&["runs", "diff"]);
    assert!(too_few.contains("WL0713") && too_few.contains("too few runs for `previous`"), "{too_few}");
    let unknown = refused(&["runs", "diff", "latest", "latest", "--stage", "orders_claen"]);
    assert!(unknown.contains("WL0745") && unknown.contains("did you mean `orders_clean`?"), "{unknown}");
    shop.windlass(&["runs", "show", "latest~0"]).assert().success();
}
