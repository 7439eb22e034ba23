//! `windlass test` on projects that pass, that fail in every way, and that have no fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

use super::{without_variable_parts, write};
use crate::command::binary;

const MANIFEST: &str = "name: shop
sources:
  orders: { kind: listing, location: orders, format: csv, schema: { id: long, customer: string, amount: double } }
defaults: { incremental: auto }
";
const CLEAN: &str = "/* windlass
materialize: view
*/
SELECT id, customer, amount FROM orders WHERE amount > 0";
const TOTALS: &str = "/* windlass
io:
  key: [customer]
  location: /nowhere/totals
  constraints: { not_too_much: amount < 1000 }
*/
SELECT customer, count(*) AS orders, sum(amount) AS amount FROM clean GROUP BY customer";

/// A project of two stages, the second of which would write to a location that it cannot write to, and its fixtures.
fn project(dir: &Path, fixtures: &[(&str, &str)]) -> PathBuf {
    write(dir, &[("windlass.yaml", MANIFEST), ("stages/clean.sql", CLEAN), ("stages/totals.sql", TOTALS)]);
    write(dir, fixtures);
    dir.to_owned()
}

fn windlass(project: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("--project").arg(project).args(args).env_remove("WINDLASS_HOME");
    command
}

fn stdout(command: &mut Command, code: i32) -> String {
    String::from_utf8_lossy(&command.assert().code(code).get_output().stdout).into_owned()
}

const GOOD: &str = "given:
  orders: { file: orders.csv }
expect:
  clean: [{ id: 1, customer: ada, amount: 2.5 }, { id: 3, customer: bo, amount: 4.25 }]
  totals: { tolerance: 0.01, rows: [{ customer: ada, orders: 1, amount: 2.501 }, { customer: bo, orders: 1, amount: 4.25 }] }
";
const WRONG: &str = "turns:
  - given:
      clean:
        - { id: 1, customer: ada, amount: 2.5 }
        - { id: 2, customer: ada, amount: 1.5 }
        - { id: 3, customer: bo, amount: 4 }
    expect:
      totals:
        - { customer: ada, orders: 2, amount: 4 }
        - { customer: bo, orders: 1, amount: 4 }
  - given:
      clean:
        delete: [{ customer: bo }]
        insert: [{ id: 4, customer: ada, amount: 1 }, { id: 5, customer: 'null', amount: 1 }]
    expect:
      totals:
        - { customer: ada, orders: 2, amount: 5 }
        - { customer: bo, orders: 1, amount: 4 }
        - { customer: null, orders: 1, amount: 1 }
  - expect: { totals: [] }
";
const KEYLESS: &str = "given:
  orders: [{ id: 1, customer: ada, amount: 1 }, { id: 2, customer: ada, amount: 1 }]
expect:
  clean: { columns: [customer, amount], rows: [[ada, 1], [ada, 2]] }
";
const UNFIT: &str = "given:
  orders: [{ id: 1, customer: ada, amount: 1 }]
expect:
  totals: [{ costumer: ada }]
  clean: [{ id: one }]
strategies: { totals: append }
";
const REFUSED: &str = "given:
  orders: [{ id: 1, customer: ada, amount: 1500 }]
error: WL0404
expect:
  totals: []
";
const TOO_GOOD: &str = "given:
  orders: [{ id: 1, customer: ada, amount: 1 }]
error: WL0404
expect: { totals: { columns: [customer], rows: [[ada]] } }
";

/// A failed run leaves everything unchanged.
const UNTOUCHED: &str = "turns:
  - given: { clean: { columns: { id: long, customer: string, amount: double }, rows: [[1, ada, 2.5]] } }
    expect: { totals: [{ customer: ada, orders: 1, amount: 2.5 }] }
  - given: { clean: { insert: [[2, ada, 1500]] } }
    error: WL0427
    expect: { totals: [{ customer: ada, orders: 1, amount: 2.5 }] }
  - given: { clean: { delete: [{ id: 2 }] } }
    expect: { totals: [{ customer: ada, orders: 1, amount: 2.5 }] }
  - expect: { totals: [{ customer: ada, orders: 1, amount: 2.5 }] }
    strategies: { totals: reused }
";

#[test]
fn a_project_that_passes() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "id,customer,amount\n1,ada,2.5\n2,\"bo\",-1\n3,bo,4.25\n4,,\n";
    let project = project(
        dir.path(),
        &[("tests/good.yaml", GOOD), ("tests/orders.csv", csv), ("tests/deep/untouched.yml", UNTOUCHED)],
    );
    let printed = stdout(&mut windlass(&project, &["test"]), 0);
    insta::assert_snapshot!(without_variable_parts(&printed), @r"
    PASS untouched (4 turns)
    PASS good (1 turn)

    2 passed, 0 failed in a while
    ");
    let document: Value =
        serde_json::from_str(&stdout(&mut windlass(&project, &["test", "--output", "json"]), 0)).unwrap();
    assert_eq!((&document["passed"], &document["failed"]), (&2.into(), &0.into()));
    let checked: Value =
        serde_json::from_str(&stdout(&mut windlass(&project, &["check", "--output", "json"]), 0)).unwrap();
    assert_eq!(checked["fixtures"], 2);
    assert!(!project.join(".windlass").exists(), "a fixture wrote into the project's home");
}

#[test]
fn a_project_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let fixtures = [
        ("tests/a_wrong.yaml", WRONG),
        ("tests/b_keyless.yaml", KEYLESS),
        ("tests/c_unfit.yaml", UNFIT),
        ("tests/d_refused.yaml", REFUSED),
        ("tests/e_too_good.yaml", TOO_GOOD),
    ];
    let project = project(dir.path(), &fixtures);
    let printed = stdout(&mut windlass(&project, &["test"]), 1);
    insta::assert_snapshot!(without_variable_parts(&printed));
    let printed = stdout(&mut windlass(&project, &["test", "--fail-fast", "-s", "*_keyless", "-s", "c*"]), 1);
    assert!(printed.contains("b_keyless") && !printed.contains("c_unfit"), "{printed}");

    let args = ["test", "-s", "a_wrong", "--keep", "--output", "json"];
    let mut document: Value = serde_json::from_str(&stdout(&mut windlass(&project, &args), 1)).unwrap();
    let kept = PathBuf::from(document["fixtures"][0]["kept"].as_str().unwrap());
    assert!(kept.join("tables/totals/_delta_log").is_dir() && kept.join("given/clean/_delta_log").is_dir());
    fs::remove_dir_all(kept.parent().unwrap()).unwrap();
    document["duration_ms"] = Value::Null;
    for key in ["kept", "duration_ms"] {
        document["fixtures"][0][key] = Value::Null;
    }
    insta::assert_json_snapshot!(document);
}

#[test]
fn a_project_without_fixtures_and_unknown_names() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path(), &[]);
    let printed = stdout(&mut windlass(&project, &["test"]), 0);
    assert!(printed.contains("no fixtures") && printed.contains("tests/NAME.yaml"), "{printed}");
    write(&project, &[("tests/good.yaml", KEYLESS)]);
    let output = windlass(&project, &["test", "-s", "god"]).assert().code(1).get_output().clone();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains("WL1061") && printed.contains("did you mean `good`"), "{printed}");
    windlass(&project, &["test", "--cluster", "http://127.0.0.1:9"]).assert().code(2);
    write(&project, &[("tests/bad.yaml", "expcet: {}\n")]);
    for command in ["test", "check"] {
        let output = windlass(&project, &[command]).assert().code(1).get_output().clone();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(printed.contains("tests/bad.yaml:1:1") && printed.contains("did you mean `expect`"), "{printed}");
    }
}

#[test]
fn fixtures_export_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let manifest = format!(
        "name: p\nsources: {{ orders: {{ kind: delta, location: orders }} }}\ndatasets:\n  totals: {{ exports: [{{ format: csv, location: '{}' }}, {{ saver: mail, location: relative }}] }}\n",
        out.display()
    );
    let fixture = "given: { orders: [{ id: 1 }] }\nexpect: { totals: [{ n: 1 }] }\n";
    let files = [
        ("windlass.yaml", manifest.as_str()),
        ("stages/totals.sql", "SELECT count(*) AS n FROM orders"),
        ("tests/totals.yaml", fixture),
    ];
    write(dir.path(), &files);
    let reported = stdout(&mut windlass(dir.path(), &["test"]), 0);
    assert!(reported.contains("1 passed"), "{reported}");
    assert!(!out.exists() && !dir.path().join("relative").exists());
}
