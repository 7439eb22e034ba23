//! `windlass registry`, and the project of docs/tags.md.

use std::fs;
use std::path::Path;

use super::{json, windlass};

const PAGE: &str = include_str!("../../../docs/tags.md");

/// The blocks of the page in a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn write(project: &Path, path: &str, text: &str) {
    let path = project.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn the_project_of_the_page_has_the_registry_of_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path();
    let yaml = blocks("yaml");
    write(project, "windlass.yaml", yaml[0]);
    write(project, "policies/acme.yaml", yaml[1]);
    write(project, "stages/marts/customer_totals.sql", blocks("sql")[0]);
    assert_eq!(json(windlass(project).arg("check"))["problems"], serde_json::json!([]));

    let shown = windlass(project).arg("registry").assert().success();
    let shown = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&shown), lines(blocks("text")[0]));
    insta::assert_json_snapshot!(json(windlass(project).arg("registry"))["entries"][0], @r#"
    {
      "semantic_id": "sales.customer_total",
      "version": "v1",
      "entity": "customer",
      "grain": "per_customer",
      "layer": "mart",
      "stability": null,
      "contract": null,
      "entity_keys": [
        "customer_id"
      ],
      "join_keys": {},
      "producer": "customer_totals",
      "kind": "table",
      "description": null,
      "reads": [
        "orders"
      ],
      "readers": []
    }
    "#);

    // The default of the folder and that of the name can be used in selections.
    for selection in ["tag:layer=mart", "tag:artifact=customer_totals", "tag:entity_keys=customer_id"] {
        let listed = json(windlass(project).args(["ls", "-s", selection]));
        assert_eq!(listed.as_array().unwrap().len(), 1, "{selection}: {listed}");
        assert_eq!(listed[0]["name"], "customer_totals");
    }
    // Without its rule's file the project is refused.
    fs::remove_dir_all(project.join("policies")).unwrap();
    let refused = windlass(project).arg("registry").assert().code(1);
    assert!(String::from_utf8_lossy(&refused.get_output().stderr).contains("WL0218"));
}

#[test]
fn tags_go_with_what_a_run_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path();
    write(project, "windlass.yaml", "name: p\ntag_policy:\n  defaults: [{ select: a, tags: { layer: mart } }]\n");
    write(project, "stages/a.sql", "SELECT 1 AS x");
    windlass(project).arg("run").assert().success();
    let log = json(windlass(project).args(["runs", "log"]));
    let planned = log.as_array().unwrap().iter().find(|line| line["event"] == "stage_planned").unwrap();
    assert_eq!(planned["tags"], serde_json::json!({ "artifact": "a", "layer": "mart" }));
    let commit = fs::read_to_string(project.join(".windlass/tables/a/_delta_log/00000000000000000001.json")).unwrap();
    assert!(commit.contains("\"windlass.tag.layer\":\"mart\""), "{commit}");

    // Different SQL for the same rows: the table is reused.
    write(project, "windlass.yaml", "name: p\ntag_policy:\n  defaults: [{ select: a, tags: { layer: core } }]\n");
    let plan = json(windlass(project).arg("plan"));
    assert_eq!(
        (&plan["stages"][0]["decision"], &plan["stages"][0]["tags"]["layer"]),
        (&"reuse".into(), &"core".into())
    );
}
