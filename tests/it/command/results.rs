//! What plans and runs say: known numbers only, and the same numbers everywhere.

use serde_json::Value;

use super::shop::{ORDERS, Shop, text};

/// The stages of a table of text, by their first column, with their other cells.
fn cells<'t>(table: &'t str, name: &str) -> Vec<&'t str> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no line of {name}: {table}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn a_plan_is_short_and_tells_all_of_a_stage_that_is_asked_for() {
    let shop = Shop::new();
    let first = shop.shown(&["plan"]);
    assert!(first.starts_with("shop: 2 stages, 2 full\n"), "{first}");
    assert!(first.lines().all(|line| line.chars().count() <= 80), "{first}");
    // Neither the rows of files nor those of stages that run before are known.
    assert_eq!(cells(&first, "orders_clean")[1..], ["full", "?", "73 B", "not built yet"], "{first}");
    assert_eq!(cells(&first, "totals_of_each_customer")[1..], ["full", "?", "?", "not built yet"], "{first}");
    assert!(!first.contains("0 rows"), "{first}");

    shop.windlass(&["run"]).assert().success();
    let second = shop.shown(&["plan"]);
    assert!(second.starts_with("shop: 2 stages, 2 reuse\n"), "{second}");
    assert_eq!(cells(&second, "orders_clean")[1..], ["reuse", "-", "-", "nothing has changed"]);
    // Its own tables are pinned, and are no sources.
    assert!(shop.document(&["plan"])["pins"].as_array().unwrap().iter().any(|pin| pin["source"] == "orders_clean"));
    let (sources, _) = second.split_once("STAGE").unwrap();
    assert!(sources.contains("orders ") && !sources.contains("orders_clean"), "{second}");

    shop.write("orders.csv", &format!("{ORDERS}4,ada,1.5,EUR\n"));
    let third = shop.shown(&["plan"]);
    assert_eq!(cells(&third, "orders_clean").last(), Some(&"orders changed"));
    let whole = text(&shop.windlass(&["plan"]).env("COLUMNS", "200").assert().success().get_output().stdout);
    assert_eq!(cells(&whole, "totals_of_each_customer").last(), Some(&"orders_clean changed: affected_keys"));
    assert!(third.lines().all(|line| line.chars().count() <= 80), "{third}");
    assert!(!third.contains("location") && !third.contains("orders.csv"), "{third}");

    // Everything about one stage, or about all.
    let details = shop.shown(&["plan", "totals_of_each_customer"]);
    for part in ["waits for", "orders_clean", "rows of every (customer) that changes can touch", "COLUMN", "writes"] {
        assert!(details.contains(part), "{part}: {details}");
    }
    let verbose = shop.shown(&["plan", "-v"]);
    for part in ["orders.csv", "LOCATION", "does not ask to be incremental", "rows of every (customer)"] {
        assert!(verbose.contains(part), "{part}: {verbose}");
    }
    let unknown = shop.windlass(&["plan", "totals"]).assert().code(1);
    assert!(text(&unknown.get_output().stderr).contains("WL0741"));

    shop.write("stages/orders_clean.sql", "SELECT order_id, customer, amount, currency FROM orders");
    assert_eq!(cells(&shop.shown(&["plan"]), "orders_clean").last(), Some(&"definition changed"));
    assert_eq!(cells(&shop.shown(&["plan", "--full-refresh"]), "orders_clean").last(), Some(&"full refresh"));
}

#[test]
fn the_summary_of_a_run_counts_what_is_written_changed_and_there() {
    let shop = Shop::new();
    let run = |args: &[&str]| {
        let output = shop.windlass(&[&["run"], args].concat()).assert().success().get_output().clone();
        (text(&output.stdout), text(&output.stderr))
    };
    let stage = |record: &Value, name: &str| {
        let stages = record["stages"].as_array().unwrap();
        stages.iter().find(|stage| stage["stage"] == name).unwrap()["receipt"].clone()
    };
    let totals = "totals_of_each_customer";
    let (summary, progress) = run(&[]);
    assert!(progress.contains("run of shop: 2 stages\n"), "{progress}");
    assert!(
        summary.contains("2 stages run: 4 rows written, all of 2 tables replaced, 4 rows in all tables; "),
        "{summary}"
    );
    assert_eq!(cells(&summary, "orders_clean")[1..7], ["committed", "full", "1", "2", "all", "2"], "{summary}");

    let (summary, progress) = run(&[]);
    assert!(progress.contains("run of shop: 0 stages to run, 2 reused"), "{progress}");
    assert!(!progress.contains("pinned    orders_clean"), "{progress}");
    assert!(summary.contains("0 stages run, 2 reused: nothing written, 4 rows in all tables in "), "{summary}");
    let reused = cells(&summary, totals);
    assert_eq!(reused[1..8], ["reused", "-", "1", "-", "-", "2", "-"], "{summary}");

    shop.write("orders.csv", &format!("{ORDERS}4,ada,1.5,EUR\n"));
    let (summary, progress) = run(&["-s", totals]);
    assert!(progress.contains("0 stages to run, 1 reused"), "{progress} {summary}");
    let (summary, progress) = run(&[]);
    assert!(progress.contains("run of shop: 2 stages\n"), "{progress}");
    assert_eq!(cells(&summary, "orders_clean")[1..7], ["committed", "full", "2", "3", "all", "3"], "{summary}");
    let record = shop.document(&["runs", "show"]);
    let receipt = stage(&record, totals);
    assert_eq!((&receipt["changed_rows"], &receipt["table_rows"]), (&1.into(), &2.into()), "{record}");
    assert_eq!(cells(&summary, totals)[5..7], ["1", "2"], "{summary}");
    assert!(summary.contains(" 1 changed, all of 1 table replaced, 5 rows in all tables; "), "{summary}");

    // What is shown of the run later has the same numbers.
    let shown = shop.shown(&["runs", "show"]);
    assert_eq!(cells(&shown, totals), cells(&summary, totals));
}

#[test]
fn runs_are_shown_with_their_target_selection_and_zone() {
    let shop = Shop::new();
    shop.windlass(&["run"]).assert().success();
    shop.windlass(&["run", "--target", "dev", "-s", "orders_clean"]).assert().success();
    shop.windlass(&["run", "--target", "dev", "-s", "+totals_of_each_customer", "--exclude", "orders_clean"])
        .assert()
        .success();
    // A target without a home of its own shares the default one.
    shop.write(
        "windlass.yaml",
        &format!("{}  test: {{}}\n", std::fs::read_to_string(shop.dir().join("windlass.yaml")).unwrap()),
    );
    shop.windlass(&["run", "--target", "test"]).assert().success();
    let targets = |args: &[&str]| -> Vec<Value> {
        let runs = shop.document(&[&["runs", "list"], args].concat());
        runs.as_array().unwrap().iter().map(|run| run["target"].clone()).collect()
    };
    assert_eq!(targets(&[]), [Value::from("test"), Value::Null]);
    assert_eq!(targets(&["--target", "test"]), ["test"]);
    assert_eq!(targets(&["--target", "dev"]), ["dev", "dev"]);
    assert_eq!(targets(&["--target", "dev", "--limit", "1"]), ["dev"]);

    let listed = shop.shown(&["runs", "list", "--target", "dev"]);
    assert!(listed.contains("+totals_of_each_customer --exclude orders_clean"), "{listed}");
    let zone = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\dZ").unwrap();
    assert_eq!(zone.find_iter(&listed).count(), 2, "{listed}");
    // The listed id is enough to name the run.
    let id = listed.lines().nth(2).unwrap().split_whitespace().next().unwrap();
    let shown = shop.shown(&["runs", "show", id, "--target", "dev"]);
    assert!(shown.contains("target     dev\nselection  orders_clean\n"), "{shown}");
    assert!(regex::Regex::new(r"started    \S+ \d\d:\d\d:\d\dZ on ").unwrap().is_match(&shown), "{shown}");
    let log = shop.shown(&["runs", "log", "--target", "dev"]);
    let first = log.lines().next().unwrap();
    assert!(first.contains("target=dev") && first.contains("select=+totals_of_each_customer"), "{first}");
    assert!(regex::Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info ").unwrap().is_match(first), "{first}");
    // Details are shown on request; other programs get them unless they ask for less.
    let level = |level: &str| shop.shown(&["runs", "log", "--target", "dev", "--level", level]);
    assert!(!log.contains("Z debug ") && level("debug").contains("Z debug ") && level("info") == log, "{log}");
    assert_eq!(level("error"), "");
    let levels = |args: &[&str]| {
        let document = shop.document(&[&["runs", "log", "--target", "dev"], args].concat());
        document.as_array().unwrap().iter().any(|event| event["level"] == "debug")
    };
    assert!(levels(&[]) && !levels(&["--level", "info"]));
    let explain = ["explain", "latest", "totals_of_each_customer", "--target", "dev", "--plan", "logical"];
    let explained = shop.shown(&explain);
    let head = explained.lines().next().unwrap();
    assert!(head.starts_with("-- logical plan of totals_of_each_customer in run "), "{explained}");
    assert!(head.ends_with("target dev, selection +totals_of_each_customer --exclude orders_clean"), "{head}");

    let none = shop.windlass(&["runs", "show", "--target", "nothing"]).assert().code(1);
    assert!(!none.get_output().stderr.is_empty());
}

#[test]
fn a_run_that_computes_all_rows_instead_of_the_changes_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        std::fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(file), text).unwrap();
    };
    let rows = "{ kind: rows, columns: { id: long, v: long }, rows: [[1, 10], [2, 20]] }";
    write("windlass.yaml", &format!("name: p\nsources: {{ r: {rows} }}\ndefaults: {{ incremental: auto }}\n"));
    write("stages/a.sql", "/* windlass\nio: { key: [id] }\n*/\nSELECT id, v FROM r\n");
    write("stages/b.sql", "/* windlass\nio: { key: [id] }\n*/\nSELECT id, sum(v) AS s FROM a GROUP BY id\n");
    super::windlass(dir.path()).arg("run").assert().success();
    // The changes of `a` cannot be read across a change of its columns, which only the run makes.
    write("stages/a.sql", "/* windlass\nio: { key: [id], not_null: [id, v] }\n*/\nSELECT id, v FROM r\n");
    let planned = super::json(super::windlass(dir.path()).arg("plan"));
    assert_eq!(planned["stages"][1]["decision"], "incremental", "{planned}");
    let run = super::windlass(dir.path()).arg("run").output().unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    assert!(printed.contains("b computed all rows instead of what had changed: the columns of"), "{printed}");
    let shown = super::json(super::windlass(dir.path()).args(["runs", "show"]));
    assert!(shown.to_string().contains("\"fallback\":\"the columns of"), "{shown}");
    // The next run has changes to apply again, or nothing to do.
    let next = super::windlass(dir.path()).arg("run").output().unwrap();
    assert!(!String::from_utf8(next.stdout).unwrap().contains("instead of what had changed"));
}

#[test]
fn a_run_shows_where_its_time_went() {
    let shop = Shop::new();
    shop.windlass(&["run"]).assert().success();
    let shown = shop.shown(&["runs", "show"]);
    let path = shown.lines().find(|line| line.starts_with("critical path")).unwrap_or_else(|| panic!("{shown}"));
    assert!(path.contains("orders_clean → totals_of_each_customer"), "{shown}");
    let after = shown.split("COSTLIEST OPERATORS").nth(1).unwrap_or_else(|| panic!("{shown}"));
    let operators: Vec<&str> = after.lines().skip(1).take_while(|line| !line.is_empty()).collect();
    assert_eq!(operators.len(), 3, "{shown}");
    assert!(operators.iter().all(|line| line.contains("Exec") && line.ends_with('%')), "{shown}");
}
