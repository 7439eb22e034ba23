//! A built project equals one written by hand.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use chrono::{TimeZone, Utc};
use proptest::prelude::*;
use windlass_base::error::Coded;
use windlass_client::Project;
use windlass_client::builder::{Param, ProjectBuilder, Source, StageBuilder};
use windlass_project::contract::ContractType;
use windlass_project::graph::draw::DrawFormat;
use windlass_project::graph::{PipelineGraph, check};
use windlass_project::literal_rows::Cell;
use windlass_project::maintenance::{
    KeepSettings, MaintenanceSettings, OptimizeSettings, ProjectMaintenance, Readers, VacuumSettings, Window,
};
use windlass_project::spec::column_type::ColumnType;
use windlass_project::spec::pipeline::{SessionPatch, SourceOverride};
use windlass_project::spec::source::{DeltaSource, FileFormat, PinAt, SortColumn, SourceKind};
use windlass_project::spec::table::{
    Export, Incremental, Materialize, MergeWrite, OnDefinitionChange, TableSettings, WriteMode,
};
use windlass_project::spec::{ParamValue, ProjectFiles, RunSettings, TargetSpec};

use super::{plan, shop};

const MANIFEST: &str = r#"
name: everything
description: "All there is: \"quoted\", *starred*, and # more"
sources:
  history: { kind: delta, location: "s3://lake/history", version: 7, tags: { layer: raw } }
  past: { kind: delta, location: past, timestamp: "2026-01-31T12:00:00Z", description: as of then }
  code:
    kind: text_files
    location: ../src
    include: ["**/*.rs", "**/*.py"]
    exclude: ["target/**"]
    max_file_bytes: 1048576
  days:
    kind: listing
    location: days
    format: csv
    has_header: false
    delimiter: "\t"
    partition_columns: { day: date, "odd name": string }
    schema: { id: long, price: "decimal(10,2)", ts: timestamp }
    file_sort_order: [id, "ts desc nulls last"]
  flat: { kind: listing, location: flat, format: parquet }
  names:
    kind: rows
    columns: { id: long, name: string, born: date, tags: "array<string>" }
    rows:
      - [1, "true", 2022-01-08, [a b, "1"]]
      - { id: 2, tags: [] }
  upstream: { kind: project_table, home: ../other/.windlass, table: orders, version: 2 }
  answers: { kind: custom, loader: web, options: { url: "http://localhost/x" }, tags: { layer: raw } }
params:
  least: { type: long, default: 10, description: at least }
  repo: { type: string }
  label: { type: string, default: "true" }
  ratio: { type: double, default: 0.5 }
  full: { type: boolean, default: false }
  since: { type: date, default: 2026-01-01 }
  price: { type: "decimal(10,2)", default: -12.50 }
defaults:
  tags: { team: graph }
  materialize: view
  properties: { delta.appendOnly: "true" }
  target_file_size: 1MiB
  incremental: auto
  merge: rewrite
  on_definition_change: refuse
session: { target_partitions: 4, parquet_pushdown: false, memory_limit_bytes: 1GiB, spill_dir: /tmp/spill }
run: { max_parallel_stages: 3, retries: 1, fail_fast: true }
targets:
  prod:
    params: { least: 100, repo: main }
    session: { batch_size: 1024 }
    sources:
      history: { location: "s3://prod/history" }
      flat: { kind: delta, location: flat, version: 3 }
    home: "s3://prod/windlass"
"#;

const CLEAN: &str = r#"/* windlass
description: "Ends no comment: *\x2F"
tags: { layer: clean, team: other }
materialize: table
retries: 5
io:
  location: tables/clean
  mode: append
  partition_by: [day, odd name]
  key: [id]
  not_null: [id]
  constraints: { positive: "price > 0 -- { [" }
  properties: { delta.enableChangeDataFeed: "true" }
  target_file_size: 2MiB
  incremental: strict
  merge: deletion_vectors
  exports:
    - { format: csv, location: out/clean, options: { delimiter: ";" } }
    - { name: index, saver: search, location: out/index }
*/
SELECT * FROM days WHERE price > $price
"#;

const LAST: &str = "-- no header\nSELECT count(*) AS n FROM clean, history\n";

fn built() -> ProjectBuilder {
    let csv = FileFormat::Csv { has_header: false, delimiter: b'\t' };
    let decimal = ColumnType::Decimal { precision: 10, scale: 2 };
    let sorted = |column: &str, descending| SortColumn { column: column.into(), descending, nulls_first: false };
    let table = TableSettings {
        location: Some("tables/clean".into()),
        mode: WriteMode::Append,
        partition_by: vec!["day".into(), "odd name".into()],
        key: vec!["id".into()],
        not_null: vec!["id".into()],
        constraints: BTreeMap::from([("positive".into(), "price > 0 -- { [".into())]),
        properties: BTreeMap::from([("delta.enableChangeDataFeed".into(), "true".into())]),
        target_file_bytes: Some(2 * 1024 * 1024),
        incremental: Incremental::Strict,
        merge: MergeWrite::DeletionVectors,
        on_definition_change: OnDefinitionChange::Rebuild,
        exports: vec![
            Export {
                name: "csv".into(),
                saver: "csv".into(),
                location: "out/clean".into(),
                options: BTreeMap::from([("delimiter".into(), ";".into())]),
            },
            Export {
                name: "index".into(),
                saver: "search".into(),
                location: "out/index".into(),
                options: BTreeMap::new(),
            },
        ],
    };
    let target = TargetSpec {
        params: BTreeMap::from([
            ("least".into(), ParamValue::Long(100)),
            ("repo".into(), ParamValue::String("main".into())),
        ]),
        session: SessionPatch { batch_size: Some(1024), ..SessionPatch::default() },
        sources: BTreeMap::from([
            ("history".into(), SourceOverride::Location("s3://prod/history".into())),
            (
                "flat".into(),
                SourceOverride::Kind(SourceKind::Delta(DeltaSource {
                    location: "flat".into(),
                    pin: PinAt::Version(3),
                })),
            ),
        ]),
        datasets: BTreeMap::new(),
        home: Some("s3://prod/windlass".into()),
    };
    let session = SessionPatch {
        target_partitions: Some(4),
        parquet_pushdown: Some(false),
        memory_limit_bytes: Some(1024 * 1024 * 1024),
        spill_dir: Some("/tmp/spill".into()),
        ..SessionPatch::default()
    };
    let primitive = ContractType::Primitive;
    let columns = vec![
        ("id".to_owned(), primitive(ColumnType::Long)),
        ("name".to_owned(), primitive(ColumnType::String)),
        ("born".to_owned(), primitive(ColumnType::Date)),
        ("tags".to_owned(), ContractType::Array(Box::new(primitive(ColumnType::String)))),
    ];
    let text = |text: &str| Cell::Text(text.to_owned());
    let rows = vec![
        vec![Cell::Integer(1), text("true"), Cell::Date(19_000), Cell::List(vec![text("a b"), text("1")])],
        vec![Cell::Integer(2), Cell::Null, Cell::Null, Cell::List(Vec::new())],
    ];
    ProjectBuilder::new("everything")
        .description("All there is: \"quoted\", *starred*, and # more")
        .source("history", Source::delta("s3://lake/history").version(7).tag("layer", "raw"))
        .source(
            "past",
            Source::delta("past")
                .timestamp(Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap())
                .description("as of then"),
        )
        .source(
            "code",
            Source::text_files("../src")
                .include("**/*.rs")
                .include("**/*.py")
                .exclude("target/**")
                .max_file_bytes(1_048_576),
        )
        .source(
            "days",
            Source::listing("days", &csv)
                .partition_column("day", ColumnType::Date)
                .partition_column("odd name", ColumnType::String)
                .column("id", ColumnType::Long)
                .column("price", decimal)
                .column("ts", ColumnType::Timestamp)
                .sorted_by(&sorted("id", false))
                .sorted_by(&sorted("ts", true)),
        )
        .source("flat", Source::listing("flat", &FileFormat::Parquet))
        .source("names", Source::rows(&columns, &rows))
        .source("upstream", Source::project_table("../other/.windlass/", "orders").version(2))
        .source("answers", Source::custom("web").option("url", "http://localhost/x").tag("layer", "raw"))
        .param("least", Param::from(ParamValue::Long(10)).description("at least"))
        .param("repo", Param::required(ColumnType::String))
        .param("label", ParamValue::String("true".into()))
        .param("ratio", ParamValue::Double(0.5))
        .param("full", ParamValue::Boolean(false))
        .param("since", ParamValue::Date("2026-01-01".parse().unwrap()))
        .param("price", ParamValue::Decimal { unscaled: -1250, precision: 10, scale: 2 })
        .default_tag("team", "graph")
        .default_materialize(Materialize::View)
        .default_property("delta.appendOnly", "true")
        .default_target_file_bytes(1024 * 1024)
        .default_incremental(Incremental::Auto)
        .default_merge(MergeWrite::Rewrite)
        .default_on_definition_change(OnDefinitionChange::Refuse)
        .session(&session)
        .run(&RunSettings { max_parallel_stages: 3, retries: 1, fail_fast: true })
        .target("prod", &target)
        .stage(
            StageBuilder::sql("clean", "SELECT * FROM days WHERE price > $price\n")
                .description("Ends no comment: */")
                .tag("layer", "clean")
                .tag("team", "other")
                .materialize(Materialize::Table)
                .retries(5)
                .table(&table),
        )
        .stage(StageBuilder::sql("last", LAST))
}

/// Everything in a graph except the source locations.
fn summary_of(graph: &PipelineGraph) -> String {
    let mut text = format!("{} {:?}\n", graph.name, graph.description);
    for source in graph.sources.values() {
        text.push_str(&format!("{} {:?} {:?} {:?}\n", source.name.value, source.kind, source.tags, source.description));
    }
    for param in &graph.params {
        text.push_str(&format!("{} {} {:?} {:?}\n", param.name, param.data_type, param.default, param.description));
    }
    text.push_str(&format!("{:?}\n{:?}\n{:?}\n", graph.session, graph.run, graph.targets));
    for stage in &graph.stages {
        text.push_str(&format!(
            "{} {:?} {:?} {:?} {:?} {} {:?} {:?} {} {}\n",
            stage.name,
            stage.description,
            stage.tags,
            stage.materialize,
            stage.table,
            stage.retries,
            stage.reads,
            stage.params,
            stage.code_fingerprint(),
            stage.query.file(),
        ));
    }
    text + &graph.draw(DrawFormat::Json, None)
}

#[test]
fn a_built_project_equals_a_written_one() {
    let files: ProjectFiles =
        [("windlass.yaml", MANIFEST), ("stages/clean.sql", CLEAN), ("stages/last.sql", LAST)].into_iter().collect();
    let written = check(&files).unwrap();
    let project = built().build().unwrap();
    assert_eq!(summary_of(&project.graph), summary_of(&written));
    insta::assert_snapshot!(built().files().unwrap().get("windlass.yaml").unwrap());
    insta::assert_snapshot!(built().files().unwrap().get("stages/clean.sql").unwrap());
}

#[tokio::test]
async fn a_project_that_is_written_to_a_folder_is_read_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let totals =
        plan("SELECT customer, sum(amount) AS total FROM orders WHERE amount > $least GROUP BY customer").await;
    let builder = shop(dir.path())
        .param("least", ParamValue::Long(1))
        .stage(StageBuilder::plan("totals", totals).tag("layer", "summary").description("An amount a customer"))
        .stage(StageBuilder::sql("best", "SELECT * FROM totals WHERE total > 10"));
    let folder = dir.path().join("project");
    let written = builder.write_to(&folder).unwrap();
    let read = Project::open(&folder, None, &[]).unwrap();
    assert_eq!(summary_of(&read.graph), summary_of(&builder.build().unwrap().graph));
    assert_eq!(summary_of(&read.graph), summary_of(&written.graph));
    assert_eq!(read.graph.files.fingerprint(), builder.files().unwrap().fingerprint());
    assert_eq!(read.dir, folder);

    let text = fs::read_to_string(folder.join("stages/totals.plan")).unwrap();
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    let header = text.split_once("*/").unwrap().0;
    insta::assert_snapshot!(header, @r#"
    /* windlass
    tags:
      layer: summary
    description: "An amount a customer"
    reads: [orders]
    params: [least]
    engine: "55.2.0"
    "#);

    // An older project's stages would be part of a newer one in the same folder.
    let error = builder.write_to(&folder).unwrap_err();
    assert_eq!(error.code().to_string(), "WL0731");
}

/// A git checkout with other line ends, or an editor that indents, changes nothing.
#[tokio::test]
async fn white_space_in_a_plan_makes_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let builder = shop(dir.path()).stage(StageBuilder::plan("s", plan("SELECT * FROM orders").await));
    let files = builder.files().unwrap();
    let graph = check(&files).unwrap();
    for (from, to) in [("\n", "\r\n"), ("\n", "\n  "), ("\n", "\n\n")] {
        let mut edited = files.clone();
        edited.insert("stages/s.plan", &files.get("stages/s.plan").unwrap().replace(from, to));
        let edited = check(&edited).unwrap();
        assert_eq!(edited.stages[0].code_fingerprint(), graph.stages[0].code_fingerprint());
    }
}

#[test]
fn problems_are_reported_as_for_a_project_on_disk() {
    let project = ProjectBuilder::new("my pipeline")
        .source("orders", Source::delta("s3://key:secret@lake/orders").include("*.rs"))
        .source("orders", Source::text_files("src").include("[").include("[").version(1))
        .param("p", ParamValue::Double(f64::NAN))
        .stage(StageBuilder::sql("../../escape", "SELECT 1"))
        .stage(StageBuilder::sql("twice", "SELECT 1"))
        .stage(StageBuilder::sql("Twice", "SELECT 2"))
        .stage(StageBuilder::sql("wrong", "SELEC 1").tag("a b", "c").retries(1_000));
    let files = project.files().unwrap();
    let paths: Vec<&str> = files.iter().map(|(path, _)| &**path).collect();
    assert_eq!(
        paths,
        ["stages/stage-0.sql", "stages/stage-2.sql", "stages/twice.sql", "stages/wrong.sql", "windlass.yaml"]
    );
    let error = project.build().unwrap_err();
    let reported = error.problems().unwrap().to_string();
    assert!(!reported.contains("secret"), "{reported}");
    insta::assert_snapshot!(reported);
    let dir = tempfile::tempdir().unwrap();
    assert!(project.write_to(&dir.path().join("p")).is_err());
    assert!(!dir.path().join("p").exists());
}

#[test]
fn a_stage_can_override_the_projects_default_with_a_full_refresh() {
    let project = ProjectBuilder::new("p")
        .default_incremental(Incremental::Strict)
        .stage(
            StageBuilder::sql("kept", "SELECT 1 AS x")
                .table(&TableSettings { key: vec!["x".into()], ..TableSettings::default() }),
        )
        .stage(StageBuilder::sql("whole", "SELECT 1 AS x").incremental(Incremental::Off))
        .build()
        .unwrap();
    let of = |name: &str| project.graph.stage(&name.into()).unwrap().table.incremental;
    assert_eq!((of("kept"), of("whole")), (Incremental::Strict, Incremental::Off));
}

#[test]
fn maintenance_arrives_as_it_is() {
    let hours = |hours: u64| Some(Duration::from_secs(hours * 60 * 60));
    let stage = MaintenanceSettings {
        optimize: OptimizeSettings {
            enabled: Some(true),
            target_file_bytes: Some(64 * 1024 * 1024),
            small_files: Some(4),
            deleted_ratio: Some(0.125),
            zorder: Some(vec!["x".into(), "odd name".into()]),
        },
        vacuum: VacuumSettings { enabled: Some(false), retention: hours(36), full_every: hours(0) },
        checkpoint_every: Some(20),
        log_retention: hours(48),
        keep: KeepSettings { runs: Some(0), days: Some(30), versions: Some(vec![3, 1]) },
        readers: Some(Readers::Any),
    };
    let layer = MaintenanceSettings {
        optimize: OptimizeSettings { zorder: Some(Vec::new()), ..OptimizeSettings::default() },
        ..MaintenanceSettings::default()
    };
    let project = ProjectMaintenance {
        tables: MaintenanceSettings { keep: KeepSettings { versions: None, ..stage.keep.clone() }, ..stage.clone() },
        layers: BTreeMap::from([("odd: layer".into(), layer)]),
        after_runs: Some(true),
        window: Some(Window { from: 22 * 60, to: 24 * 60 }),
        max_bytes: Some(1 << 40),
    };
    let built = ProjectBuilder::new("p")
        .maintenance(&project)
        .default_tag("layer", "mart")
        .stage(StageBuilder::sql("a", "SELECT 1 AS x").maintenance(&stage))
        .stage(StageBuilder::sql("b", "SELECT 1 AS x"));
    // A tag is written without white space, so no stage can have that layer.
    let error = built.build().unwrap_err();
    assert_eq!(error.code().to_string(), "WL0130");
    let layers = BTreeMap::from([("mart".into(), project.layers["odd: layer"].clone())]);
    let project = ProjectMaintenance { layers, ..project };
    let graph = built.maintenance(&project).build().unwrap().graph;
    assert_eq!(graph.maintenance, project);
    assert_eq!(graph.stage(&"a".into()).unwrap().maintenance, stage);
    assert_eq!(graph.stage(&"b".into()).unwrap().maintenance, MaintenanceSettings::default());
}

proptest! {
    #[test]
    fn every_text_arrives_as_it_was(text in any::<String>(), key in "\\PC{1,20}") {
        let project = ProjectBuilder::new("p")
            .description(text.clone())
            .param("a", ParamValue::String(text.clone()))
            .stage(StageBuilder::sql("s", "SELECT 1").description(format!("*/{text}*/")).table(&TableSettings {
                properties: BTreeMap::from([(key.clone(), text.clone())]),
                ..TableSettings::default()
            }))
            .build();
        let project = project.unwrap_or_else(|error| panic!("{error}"));
        prop_assert_eq!(project.graph.description.as_deref(), Some(text.as_str()));
        prop_assert_eq!(&project.graph.params[0].default, &Some(ParamValue::String(text.clone())));
        let stage = &project.graph.stages[0];
        let described = format!("*/{text}*/");
        prop_assert_eq!(stage.description.as_deref(), Some(described.as_str()));
        prop_assert_eq!(stage.table.properties.get(&key), Some(&text));
    }
}
