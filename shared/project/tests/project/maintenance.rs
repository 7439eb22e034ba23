//! The maintenance policy of each table: what the project, its layers, its stages and table properties say.

use std::time::Duration;

use windlass_project::graph::PipelineGraph;
use windlass_project::maintenance::{KeepPolicy, MaintenancePolicy, OptimizePolicy, Readers, VacuumPolicy, Window};

use super::graph_of;

const PAGE: &str = include_str!("../../../../docs/maintenance.md");
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn policy(graph: &PipelineGraph, stage: &str) -> MaintenancePolicy {
    graph.maintenance_of(graph.stage(&stage.into()).unwrap())
}

const MANIFEST: &str = r#"
name: p
tag_policy: { defaults: [{ folder: stages/marts, tags: { layer: mart } }] }
datasets:
  c: { maintenance: { readers: any } }
maintenance:
  optimize: { target_file_size: 64MiB, small_files: 4, deleted_ratio: 1, zorder: [repo_id, day] }
  vacuum: { retention: 2d, full_every: 0s }
  checkpoint_every: 20
  log_retention: 60d
  keep: { runs: 3, days: 0 }
  window: "22:00-05:00"
  max_bytes: 100GiB
  after_runs: true
  layers:
    mart: { optimize: off, vacuum: { retention: 12h }, keep: { days: 30 } }
"#;

#[test]
fn stages_refine_layers_and_layers_refine_the_project() {
    let graph = graph_of(&[
        ("windlass.yaml", MANIFEST),
        ("stages/a.sql", "SELECT 1 AS x"),
        (
            "stages/marts/b.sql",
            "/* windlass\nio:\n  partition_by: [day]\n  maintenance: { optimize: { enabled: true }, keep: { versions: [3, 1] }, \
             vacuum: { enabled: false } }\n*/ SELECT 1 AS day",
        ),
        ("stages/c.sql", "SELECT 1 AS x"),
    ]);
    let project = MaintenancePolicy {
        after_runs: true,
        optimize: OptimizePolicy {
            enabled: true,
            target_file_bytes: Some(64 * 1024 * 1024),
            small_files: 4,
            deleted_ratio: 1.0,
            zorder: vec!["repo_id".into(), "day".into()],
        },
        vacuum: VacuumPolicy { enabled: true, retention: 2 * DAY, full_every: Duration::ZERO },
        checkpoint_every: 20,
        log_retention: 60 * DAY,
        keep: KeepPolicy { runs: 3, days: 0, versions: Vec::new() },
        readers: Readers::DeletionVectors,
        window: Some(Window { from: 22 * 60, to: 5 * 60 }),
        max_bytes: Some(100 * 1024 * 1024 * 1024),
    };
    assert_eq!(policy(&graph, "a"), project);
    assert_eq!(policy(&graph, "c"), MaintenancePolicy { readers: Readers::Any, ..project.clone() });
    // The layer is a default of the tag policy. A column that partitions the table is not one to lay out rows by.
    let mart = MaintenancePolicy {
        optimize: OptimizePolicy { zorder: vec!["repo_id".into()], ..project.optimize.clone() },
        vacuum: VacuumPolicy { enabled: false, retention: 12 * HOUR, ..project.vacuum.clone() },
        keep: KeepPolicy { days: 30, versions: vec![3, 1], ..project.keep.clone() },
        ..project
    };
    assert_eq!(policy(&graph, "b"), mart);
    let quarantine = graph.maintenance_of_quarantine(graph.stage(&"b".into()).unwrap());
    let expected = MaintenancePolicy {
        optimize: OptimizePolicy { zorder: Vec::new(), ..mart.optimize.clone() },
        keep: KeepPolicy { versions: Vec::new(), ..mart.keep.clone() },
        ..mart
    };
    assert_eq!(quarantine, expected);
}

#[test]
fn without_maintenance_the_policy_is_the_default() {
    let graph = graph_of(&[("windlass.yaml", "name: p\nmaintenance: {}"), ("stages/a.sql", "SELECT 1")]);
    assert_eq!(policy(&graph, "a"), MaintenancePolicy::default());
}

#[test]
fn what_is_switched_off_is_switched_on_by_name() {
    let manifest = "name: p\nmaintenance: { optimize: off, vacuum: false }";
    let graph = graph_of(&[
        ("windlass.yaml", manifest),
        ("stages/a.sql", "/* windlass io: { maintenance: { optimize: on, vacuum: { retention: 1h } } } */ SELECT 1"),
    ]);
    let policy = policy(&graph, "a");
    assert_eq!((policy.optimize.enabled, policy.vacuum.enabled, policy.vacuum.retention), (true, false, HOUR));
}

#[test]
fn properties_of_a_table_are_its_defaults() {
    let properties = "properties: { delta.logRetentionDuration: interval 3 days, delta.checkpointInterval: 10 }";
    let manifest = format!(
        "name: p\ndefaults: {{ {properties} }}\ntargets:\n  dev: {{ datasets: {{ a: {{ properties: \
         {{ delta.deletedFileRetentionDuration: interval 1 hours }} }} }} }}\n"
    );
    let graph = graph_of(&[
        ("windlass.yaml", &manifest),
        ("stages/a.sql", "SELECT 1"),
        ("stages/b.sql", "/* windlass io: { maintenance: { checkpoint_every: 10, log_retention: 72h } } */ SELECT 1"),
    ]);
    let of = |graph: &PipelineGraph, stage: &str| {
        let policy = policy(graph, stage);
        (policy.vacuum.retention, policy.log_retention, policy.checkpoint_every)
    };
    // No file is kept longer than the log that names it.
    assert_eq!(of(&graph, "a"), (3 * DAY, 3 * DAY, 10));
    assert_eq!(of(&graph, "b"), (3 * DAY, 3 * DAY, 10));
    assert_eq!(of(&graph.apply_target("dev").unwrap(), "a"), (HOUR, 3 * DAY, 10));
}

#[test]
fn nothing_stays_by_time_where_it_is_said_what_stays() {
    let stage = "/* windlass io: { maintenance: { vacuum: { retention: 0s }, keep: { runs: 1 } } } */ SELECT 1";
    let graph = graph_of(&[("windlass.yaml", "name: p"), ("stages/a.sql", stage)]);
    assert_eq!(policy(&graph, "a").vacuum.retention, Duration::ZERO);
}

#[test]
fn maintenance_is_no_part_of_the_code() {
    let with = |header: &str, manifest: &str| {
        let stage = format!("/* windlass\nio: {{ key: [x]{header} }}\n*/ SELECT 1 AS x");
        graph_of(&[("windlass.yaml", manifest), ("stages/a.sql", &stage)]).stages[0].code_fingerprint()
    };
    let plain = with("", "name: p");
    assert_eq!(with(", maintenance: { optimize: { zorder: [x] }, readers: any }", "name: p"), plain);
    assert_eq!(with("", "name: p\nmaintenance: { vacuum: off }"), plain);
}

/// The code blocks of a language on the page.
fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("```{language}\n");
    PAGE.split(open.as_str()).skip(1).map(|block| block.split_once("```").unwrap().0).collect()
}

#[test]
fn the_documented_policy_is_good() {
    let (manifest, stage) = (blocks("yaml")[0], blocks("sql")[0]);
    let graph = graph_of(&[("windlass.yaml", manifest), ("stages/cpg_nodes.sql", stage)]);
    let policy = policy(&graph, "cpg_nodes");
    assert_eq!((policy.optimize.zorder, policy.keep.versions), (vec!["node_id".to_owned()], vec![3]));
    assert_eq!((policy.vacuum.retention, policy.log_retention), (2 * DAY, 30 * DAY));
}

/// The page has every default as it is.
#[test]
fn the_documented_defaults_are_right() {
    let defaults = MaintenancePolicy::default();
    for (key, default) in [
        ("optimize.enabled", defaults.optimize.enabled.to_string()),
        ("optimize.small_files", defaults.optimize.small_files.to_string()),
        ("optimize.deleted_ratio", defaults.optimize.deleted_ratio.to_string()),
        ("vacuum.enabled", defaults.vacuum.enabled.to_string()),
        ("vacuum.retention", "7d".to_owned()),
        ("vacuum.full_every", "1d".to_owned()),
        ("checkpoint_every", defaults.checkpoint_every.to_string()),
        ("log_retention", "30d".to_owned()),
        ("keep.runs", defaults.keep.runs.to_string()),
        ("keep.days", defaults.keep.days.to_string()),
        ("readers", defaults.readers.as_str().to_owned()),
        ("after_runs", defaults.after_runs.to_string()),
    ] {
        let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).unwrap();
        assert_eq!(row.split(" | ").nth(2).unwrap().trim_matches('`'), default, "{key}");
    }
    assert_eq!((defaults.vacuum.retention, defaults.vacuum.full_every), (7 * DAY, DAY));
    assert_eq!(defaults.log_retention, 30 * DAY);
}
