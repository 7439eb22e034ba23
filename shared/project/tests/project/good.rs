//! Valid projects: what is parsed, inferred and bound.

use std::sync::Arc;

use windlass_base::ids::NodeName;
use windlass_project::graph::check;
use windlass_project::literal_rows::Cell;
use windlass_project::spec::column_type::ColumnType;
use windlass_project::spec::source::{FileFormat, ListingSource, PinAt, SortColumn, SourceKind};
use windlass_project::spec::table::{
    Incremental, Materialize, MergeWrite, OnDefinitionChange, TableSettings, WriteMode,
};
use windlass_project::spec::{ParamValue, Problems, ProjectFiles, RenderStyle, parse_project};

use super::{CODE_GRAPH, code_graph, graph_of};

fn names(list: &[NodeName]) -> Vec<&str> {
    list.iter().map(NodeName::as_str).collect()
}

fn reads(graph_files: &[(&str, &str)], stage: &str) -> Vec<String> {
    let graph = graph_of(graph_files);
    graph.reads(&stage.into()).iter().map(ToString::to_string).collect()
}

#[test]
fn the_least_project() {
    let graph = graph_of(&[("windlass.yaml", "name: p"), ("stages/one.sql", "SELECT 1 AS x")]);
    let stage = &graph.stages[0];
    assert_eq!((stage.name.as_str(), stage.materialize, stage.retries), ("one", Materialize::Table, 2));
    assert_eq!(&*stage.query.sql().unwrap().text, "SELECT 1 AS x");
    assert_eq!(graph.run.max_parallel_stages, 4);
}

#[test]
fn order_is_topological_and_by_name() {
    let graph = code_graph();
    let order: Vec<&str> = graph.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(order, ["files_clean", "cpg_nodes", "cpg_edges", "largest_files", "summary"]);
    assert_eq!(names(graph.reads(&"cpg_nodes".into())), ["files_clean", "languages"]);
    assert_eq!(names(graph.readers(&"cpg_nodes".into())), ["cpg_edges", "summary"]);
    assert_eq!(names(graph.readers(&"files".into())), ["files_clean"]);
    let weights: Vec<u32> = graph.stages.iter().map(|stage| graph.weight(&stage.name)).collect();
    // A view writes nothing and costs nothing.
    assert_eq!(weights, [3, 3, 2, 1, 1]);
}

/// A project with one source of rows: written in `windlass.yaml`, and in a seed.
fn with_rows(source: &str, seed: &str) -> ProjectFiles {
    let manifest = format!("name: p\nsources:\n  t: {{ kind: rows, {source} }}\n");
    [("windlass.yaml", manifest.as_str()), ("seeds/a.csv", seed), ("stages/s.sql", "SELECT * FROM t")]
        .into_iter()
        .collect()
}

#[test]
fn rows_of_the_project_keep_every_digit() {
    for (source, seed, expected) in [
        ("file: a.csv", "a\n9007199254740993\n1.5\n", "string: 9007199254740993 1.5"),
        ("file: a.csv", "a\n9007199254740993\n1\n", "long: 9007199254740993 1"),
        ("file: a.csv", "a\n9223372036854775808\n1\n", "decimal(38,0): 9223372036854775808 1"),
        ("file: a.csv", "a\n007\n12\n", "string: 007 12"),
        ("file: a.csv", "a\n1e400\n", "string: 1e400"),
        ("file: a.csv", "a\n1\n2.5\n", "double: 1.0 2.5"),
        ("file: a.csv, columns: { a: long }", "a\n1.0\n", "long: 1"),
        ("columns: [a], rows: [[18446744073709551615]]", "", "decimal(38,0): 18446744073709551615"),
    ] {
        let graph = check(&with_rows(source, seed)).unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
        let SourceKind::Rows(rows) = &graph.sources["t"].kind else { panic!("no rows") };
        let plain = |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { cell.to_string() };
        let cells: Vec<String> = rows.rows.iter().map(|row| plain(&row[0])).collect();
        assert_eq!(format!("{}: {}", rows.columns[0].1, cells.join(" ")), expected, "{source} {seed:?}");
    }
    for (source, seed, place, expected) in [
        (
            "file: a.csv, columns: { a: double }",
            "a\n9007199254740993\n",
            "seeds/a.csv:2:1",
            "not a value of type double",
        ),
        ("file: a.csv, columns: { b: float }", "b\n16777217\n", "seeds/a.csv:2:1", "not a value of type float"),
        (
            "file: a.csv, columns: { a: timestamp }",
            "a\n2026-01-31T12:00:00.123456789Z\n",
            "seeds/a.csv:2:1",
            "not a value of type timestamp",
        ),
        ("file: a.csv, columns: { a: long, b: long }", "a\n1\n", "windlass.yaml:3:", "seeds/a.csv, has no column `b`"),
        ("columns: [a], rows: [[9007199254740993], [2.5]]", "", "windlass.yaml:3:", "would lose digits"),
        ("columns: [a], rows: [[007]]", "", "windlass.yaml:3:", "would lose digits"),
    ] {
        let problems = check(&with_rows(source, seed)).expect_err(source);
        let reports: Vec<String> = problems.reports().iter().map(ToString::to_string).collect();
        let is_reported = |reported: &String| reported.starts_with(place) && reported.contains(expected);
        assert!(reports.iter().any(is_reported), "{source}: {reports:?}");
    }
}

#[test]
fn sources_are_read_in_full() {
    let graph = code_graph();
    let kind = |name: &str| &graph.sources[name].kind;
    let SourceKind::TextFiles(files) = kind("files") else { panic!("not text files") };
    assert_eq!((files.include.len(), files.exclude.len(), files.max_file_bytes), (2, 1, 1024 * 1024));
    let SourceKind::Listing(owners) = kind("owners") else { panic!("not a listing") };
    assert_eq!(owners.format, FileFormat::Csv { has_header: false, delimiter: b'\t' });
    assert_eq!(owners.schema.as_ref().map(Vec::len), Some(2));
    let sorted = |column: &str, descending, nulls_first| SortColumn { column: column.into(), descending, nulls_first };
    assert_eq!(
        *kind("languages"),
        SourceKind::Listing(ListingSource {
            location: "data/languages/".into(),
            format: FileFormat::Parquet,
            partition_columns: vec![("day".into(), ColumnType::Date), ("region".into(), ColumnType::String)],
            file_sort_order: vec![sorted("id", false, false), sorted("ts", true, false), sorted("name", false, false)],
            schema: None,
        })
    );
    let SourceKind::Delta(history) = kind("history") else { panic!("not a delta table") };
    assert_eq!((history.location.as_str(), history.pin), ("s3://lake/history", PinAt::Version(7)));
}

#[test]
fn stages_have_their_own_settings_over_the_defaults() {
    let graph = code_graph();
    let nodes = graph.stage(&"cpg_nodes".into()).unwrap();
    assert_eq!(nodes.tags.get("layer"), Some("semantic"));
    assert_eq!(nodes.tags.get("team"), Some("graph"));
    assert_eq!(nodes.tags.get("version"), Some("1"));
    assert_eq!(nodes.retries, 0);
    assert_eq!(nodes.params, ["label", "since"]);
    let table = &nodes.table;
    assert_eq!((table.location.as_deref(), table.mode), (Some("out/cpg_nodes"), WriteMode::Append));
    assert_eq!((table.partition_by.join(","), table.key.join(",")), ("repo_id".into(), "node_id".into()));
    assert_eq!(table.not_null, ["node_id", "repo_id"]);
    assert_eq!(table.constraints["has_id"], "node_id <> ''");
    assert_eq!(table.properties["delta.enableChangeDataFeed"], "true");
    assert_eq!(table.properties["delta.appendOnly"], "true");
    assert_eq!(table.target_file_bytes, Some(64 * 1024 * 1024));
    let clean = graph.stage(&"files_clean".into()).unwrap();
    assert_eq!((clean.materialize, clean.retries), (Materialize::View, 3));
    assert_eq!(graph.stage(&"largest_files".into()).unwrap().tags.get("core"), Some("yes"));
    assert_eq!((graph.session.target_partitions, graph.session.memory_limit_bytes), (4, Some(1_610_612_736)));
    assert!(graph.run.fail_fast);
}

#[test]
fn a_stage_defines_how_its_table_is_updated() {
    let manifest = "name: p\ndefaults: { incremental: auto, merge: deletion_vectors, properties: { owner: me } }";
    let graph = graph_of(&[
        ("windlass.yaml", manifest),
        ("stages/a.sql", "/* windlass io: { key: [x, y], not_null: [y] } */ SELECT 1 AS x, 2 AS y"),
        (
            "stages/b.sql",
            "/* windlass\nio:\n  key: [x]\n  incremental: off\n  merge: rewrite\n  on_definition_change: refuse\n\
             \x20 properties: { delta.enableChangeDataFeed: false }\n*/ SELECT 1 AS x",
        ),
        ("stages/c.sql", "/* windlass io: { mode: append, incremental: strict } */ SELECT 1 AS x"),
        ("stages/d.sql", "/* windlass materialize: view */ SELECT 1 AS x"),
    ]);
    let table = |name: &str| &graph.stage(&name.into()).unwrap().table;
    let settings_of = |table: &TableSettings| (table.incremental, table.merge, table.on_definition_change);
    let properties = |table: &TableSettings| -> Vec<String> {
        table.properties.iter().map(|(key, value)| format!("{key}={value}")).collect()
    };
    let (vectors, rebuild) = (MergeWrite::DeletionVectors, OnDefinitionChange::Rebuild);
    assert_eq!(settings_of(table("a")), (Incremental::Auto, vectors, rebuild));
    // The rows of an incremental table are distinguished by their key, so it holds no nulls.
    assert_eq!(table("a").not_null, ["y", "x"]);
    assert_eq!(
        properties(table("a")),
        ["delta.enableChangeDataFeed=true", "delta.enableDeletionVectors=true", "owner=me"]
    );
    assert_eq!(settings_of(table("b")), (Incremental::Off, MergeWrite::Rewrite, OnDefinitionChange::Refuse));
    assert!(table("b").not_null.is_empty());
    assert_eq!(properties(table("b")), ["delta.enableChangeDataFeed=false", "owner=me"]);
    assert_eq!(settings_of(table("c")), (Incremental::Strict, vectors, rebuild));
    assert_eq!(settings_of(table("d")), (Incremental::Off, MergeWrite::Auto, rebuild));
    assert_eq!(properties(table("d")), ["owner=me"]);
}

#[test]
fn the_query_is_the_rest_of_the_file() {
    let graph = code_graph();
    let nodes = graph.stage(&"cpg_nodes".into()).unwrap();
    let nodes_sql = nodes.query.sql().unwrap();
    assert!(nodes_sql.text.starts_with("WITH Languages") && nodes_sql.text.ends_with("AS g"), "{}", nodes_sql.text);
    let file = graph.files.get(&nodes_sql.file).unwrap();
    assert!(file[nodes_sql.offset..].starts_with(&*nodes_sql.text));
    // The engine counts lines in the query, users in the file.
    let place = graph.position_in_sql(nodes, 3, 8);
    assert_eq!(place.to_string(), "stages/cpg_nodes.sql:19:8");
    let beyond = graph.position_in_sql(nodes, 999, 1);
    assert_eq!(beyond.file, "stages/cpg_nodes.sql");
}

#[test]
fn common_table_expressions_shadow_by_scope() {
    let manifest =
        ("windlass.yaml", "name: p\nsources: { t: { kind: delta, location: x }, u: { kind: delta, location: y } }");
    let cases: &[(&str, &[&str])] = &[
        ("WITH t AS (SELECT 1) SELECT * FROM t", &[]),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", &["t"]),
        ("WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) SELECT * FROM t", &[]),
        ("WITH a AS (SELECT * FROM t), t AS (SELECT * FROM u) SELECT * FROM a, t", &["t", "u"]),
        ("SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) AS x, t", &["t"]),
        ("(WITH t AS (SELECT 1) SELECT * FROM t) UNION ALL (SELECT * FROM t)", &["t"]),
        ("WITH t AS (WITH u AS (SELECT 1) SELECT * FROM u) SELECT * FROM t, u", &["u"]),
        ("WITH t AS (SELECT 1) SELECT (SELECT max(x) FROM (SELECT * FROM t) AS y) FROM u", &["u"]),
        ("SELECT * FROM T", &["t"]),
        ("SELECT * FROM \"t\" WHERE x IN (SELECT x FROM U)", &["t", "u"]),
        ("SELECT t.x FROM u AS t", &["u"]),
        ("SELECT * FROM generate_series(1, 2) AS t", &[]),
        ("VALUES (1), (2)", &[]),
        ("FROM t SELECT *", &["t"]),
        ("SELECT * FROM (t JOIN u ON true)", &["t", "u"]),
        ("SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.x = t.x) AS l", &["t", "u"]),
        (
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM u) THEN 1 END FROM t ORDER BY (SELECT 1 FROM u) LIMIT 1;",
            &["t", "u"],
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(reads(&[manifest, ("stages/s.sql", sql)], "s"), *expected, "{sql}");
    }
}

#[test]
fn names_are_kept_as_written_without_folding() {
    let manifest =
        "name: p\nsession: { normalize_identifiers: false }\nsources: { Files: { kind: delta, location: x } }";
    assert_eq!(reads(&[("windlass.yaml", manifest), ("stages/S.sql", "SELECT * FROM Files")], "S"), ["Files"]);
}

#[test]
fn parameters_are_bound_by_type() {
    let graph = code_graph();
    let values = graph.bind_params(&[("label", "x y"), ("least_bytes", "-5")]).unwrap();
    assert_eq!(values["label"], ParamValue::String("x y".into()));
    assert_eq!(values["least_bytes"], ParamValue::Long(-5));
    assert_eq!(values["since"].to_string(), "2026-01-01");
    let reported = |problems: Problems| problems.render(RenderStyle::default());
    let wrong =
        [("least_bytes", "many"), ("lable", "x"), ("since", "today"), ("since", "2026-01-01"), ("since", "2026-01-02")];
    insta::assert_snapshot!(reported(graph.bind_params(&wrong).unwrap_err()));
}

#[test]
fn a_target_changes_places_and_settings() {
    let graph = code_graph().apply_target("prod").unwrap();
    assert_eq!(graph.target.as_deref(), Some("prod"));
    assert_eq!(graph.home.as_deref(), Some("s3://prod/windlass"));
    assert_eq!(graph.session.target_partitions, 32);
    assert_eq!(graph.session.memory_limit_bytes, Some(1_610_612_736));
    let SourceKind::Delta(history) = &graph.sources["history"].kind else { panic!("not a delta table") };
    assert_eq!((history.location.as_str(), history.pin), ("s3://prod/history", PinAt::Version(7)));
    let values = graph.bind_params::<&str, &str>(&[]).unwrap();
    assert_eq!((values["label"].to_string(), values["least_bytes"].to_string()), ("production".into(), "100".into()));
    insta::assert_snapshot!(code_graph().apply_target("prd").unwrap_err().render(RenderStyle::default()));
}

#[test]
fn values_keep_every_digit_as_text() {
    let cases = [
        (ColumnType::Long, "-9223372036854775808"),
        (ColumnType::Byte, "-128"),
        (ColumnType::Double, "0.1"),
        (ColumnType::Double, "-1e300"),
        (ColumnType::Float, "16777216"),
        (ColumnType::Boolean, "false"),
        (ColumnType::Date, "1969-12-31"),
        (ColumnType::Timestamp, "2026-01-31T12:00:00.123456Z"),
        (ColumnType::TimestampNtz, "2026-01-31T12:00:00.5"),
        (ColumnType::Decimal { precision: 38, scale: 10 }, "-1234567890123456789012345678.0123456789"),
        (ColumnType::Decimal { precision: 3, scale: 3 }, "0.007"),
        (ColumnType::Decimal { precision: 5, scale: 0 }, "-42"),
        (ColumnType::String, " as it is "),
    ];
    for (data_type, text) in cases {
        let value = ParamValue::parse(data_type, text).unwrap();
        let sent = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<ParamValue>(&sent).unwrap(), value, "{sent}");
        assert_eq!(ParamValue::parse(data_type, &value.to_string()).unwrap(), value, "{text}");
        if !matches!(data_type, ColumnType::Double | ColumnType::Float | ColumnType::TimestampNtz) {
            assert_eq!(value.to_string(), text);
        }
    }
}

#[test]
fn only_files_are_sent_and_their_problems_are_few() {
    let files: ProjectFiles = CODE_GRAPH.iter().map(|(path, text)| (*path, *text)).collect();
    let sent = serde_json::to_string(&files).unwrap();
    assert_eq!(serde_json::from_str::<ProjectFiles>(&sent).unwrap(), files);
    let spec = parse_project(&files).unwrap();
    assert_eq!((spec.stages.len(), spec.sources.len(), spec.params.len()), (5, 4, 3));
    // An unknown name is not a problem of a single file.
    let mut files = files;
    files.insert(Arc::<str>::from("stages/more.sql"), "SELECT * FROM nowhere");
    assert!(parse_project(&files).is_ok() && check(&files).is_err());
}

/// The text between the fences of the first code block of `language` after the text `behind`.
fn example<'t>(page: &'t str, behind: &str, language: &str) -> &'t str {
    let (_, rest) = page.split_once(behind).expect("the words");
    let (_, rest) = rest.split_once(&format!("```{language}\n")).expect("a code block");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_documented_project_is_good() {
    let page = include_str!("../../../../docs/project-format.md");
    let manifest = example(page, "A complete `windlass.yaml`", "yaml");
    let stage = example(page, "A complete stage", "sql");
    let graph = graph_of(&[("windlass.yaml", manifest), ("stages/cpg_nodes.sql", stage)]);
    assert_eq!(names(graph.reads(&"cpg_nodes".into())), ["files"]);
    let params = example(page, "A parameter is a value alone", "yaml");
    let graph = graph_of(&[("windlass.yaml", &format!("name: p\n{params}")), ("stages/a.sql", "SELECT 1")]);
    let types: Vec<String> = graph.params.iter().map(|param| param.data_type.to_string()).collect();
    assert_eq!(types, ["long", "double", "boolean", "string", "date", "string"]);
}
