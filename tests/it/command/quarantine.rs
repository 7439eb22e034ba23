//! The quarantine of a stage is a table like others: listed, counted, queried, and expected by fixtures.

use serde_json::{Value, json};

use super::shop::{ORDERS, Shop, text};

const NAME: &str = "orders_clean__quarantine";

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let found = list.as_array().unwrap().iter().find(|item| item["name"] == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {list}"))
}

#[test]
fn a_quarantine_is_listed_and_queried() {
    let shop = Shop::new();
    let listed = shop.document(&["ls"]);
    let quarantine = named(&listed, NAME);
    assert_eq!((&quarantine["kind"], &quarantine["quarantine_of"]), (&json!("quarantine"), &json!("orders_clean")));
    assert!(shop.shown(&["ls", "-s", "orders_clean"]).contains(NAME));
    assert!(!shop.shown(&["ls", "-s", "totals_of_each_customer"]).contains(NAME));
    assert_eq!(named(&shop.document(&["tables"]), NAME)["version"], Value::Null);
    // Without its stage's table there is no quarantine either.
    let unbuilt = shop.windlass(&["query", &format!("SELECT * FROM {NAME}")]).assert().code(1);
    assert!(text(&unbuilt.get_output().stderr).contains("`orders_clean` is not built yet"));
    let table = shop.shown(&["tables"]);
    assert!(table.lines().any(|line| line.starts_with(NAME) && line.contains("not built")), "{table}");

    // No row goes there: it is empty.
    shop.write("orders.csv", &ORDERS.replace("XYZ", "EUR"));
    shop.windlass(&["run"]).assert().success();
    let count = format!("SELECT count(*) AS n, count(_windlass_rules) AS rules FROM {NAME}");
    assert_eq!(shop.document(&["query", &count]), json!([{ "n": 0, "rules": 0 }]));
    assert_eq!(named(&shop.document(&["tables"]), NAME)["version"], Value::Null);
    let table = shop.shown(&["tables"]);
    assert!(table.lines().any(|line| line.starts_with(NAME) && line.contains("empty")), "{table}");

    // A row does.
    shop.write("orders.csv", ORDERS);
    shop.windlass(&["run"]).assert().success();
    let rows = format!("SELECT order_id, currency, _windlass_rules AS rules FROM {NAME}");
    let bad = json!({ "order_id": 3, "currency": "XYZ", "rules": "accepted_values_currency" });
    assert_eq!(shop.document(&["query", &rows]), json!([bad]));
    let tables = shop.document(&["tables"]);
    let quarantine = named(&tables, NAME);
    assert_eq!((&quarantine["rows"], &quarantine["quarantine_of"]), (&json!(1), &json!("orders_clean")));
    assert!(quarantine["location"].as_str().unwrap().ends_with("/tables/orders_clean__quarantine"), "{quarantine}");
    // It joins with others, and is read at a version.
    let joined = format!("SELECT count(*) AS n FROM {NAME} AS q JOIN orders AS o USING (order_id)");
    assert_eq!(shop.document(&["query", &joined])[0]["n"], 1);
    let version = quarantine["version"].as_u64().unwrap();
    let at = |version: u64| shop.windlass(&["query", &rows, "--at", &format!("{NAME}={version}")]).assert();
    at(version).success();
    let refused = at(version + 1).code(1);
    assert!(text(&refused.get_output().stderr).contains("WL0403"));
    let misspelt = shop.windlass(&["query", "SELECT * FROM orders_claen__quarantine"]).assert().code(1);
    assert!(text(&misspelt.get_output().stderr).contains(NAME));
}

#[test]
fn a_fixture_expects_rows_in_quarantine() {
    let shop = Shop::new();
    let fixture = |quarantine: &str| {
        let text = format!(
            "given:\n  orders:\n    - {{ order_id: 1, customer: ada, amount: 20.0, currency: EUR }}\n    - {{ order_id: 2, \
             customer: bo, amount: 5.0, currency: XYZ }}\nexpect:\n  {NAME}: {quarantine}\n"
        );
        shop.write("tests/bad_currency.yaml", &text);
    };
    fixture("[{ order_id: 2, currency: XYZ, _windlass_rules: accepted_values_currency }]");
    shop.windlass(&["check"]).assert().success();
    let passed = shop.document(&["test"]);
    assert_eq!((&passed["passed"], &passed["failed"]), (&json!(1), &json!(0)), "{passed}");
    fixture("[]");
    let failed = shop.windlass(&["test"]).assert().code(1);
    assert!(text(&failed.get_output().stdout).contains(NAME), "{failed:?}");

    // What is given is not computed, so nothing goes to quarantine; other stages have none.
    shop.write(
        "tests/bad_currency.yaml",
        &format!("given: {{ orders_clean: [{{ order_id: 1 }}] }}\nexpect: {{ {NAME}: [] }}\n"),
    );
    let refused = shop.windlass(&["check"]).assert().code(1);
    assert!(text(&refused.get_output().stderr).contains("`orders_clean` is given"));
    shop.write(
        "tests/bad_currency.yaml",
        "given: { orders: [] }\nexpect: { totals_of_each_customer__quarantine: [] }\n",
    );
    let refused = shop.windlass(&["check"]).assert().code(1);
    assert!(text(&refused.get_output().stderr).contains("is not a stage"));
}
