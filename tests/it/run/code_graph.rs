//! The example project `code_graph` over a few small repositories with known content.
//!
//! [`facts`] is what any engine that has run the project must answer; here plain DataFusion does.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, BooleanArray, RecordBatch};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::collect_partitioned;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::TryStreamExt;
use windlass_base::config::SessionSettings;
use windlass_client::Project;
use windlass_client::project::load_project;
use windlass_client::{QueryOptions, RunOptions, Windlass};
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, TableInput, register};
use windlass_evidence::artifact::RunStatus;
use windlass_project::graph::{PipelineGraph, Stage, check};
use windlass_project::spec::ParamValue;
use windlass_project::spec::source::SourceKind;
use windlass_project::spec::table::Materialize;
use windlass_storage::Location;

/// The queries on the project's tables, each with a heading. The rows of a result have a fixed order.
const FACTS: [(&str, &str); 9] = [
    ("nodes", "SELECT kind, syntax_kind, count(*) AS nodes FROM cpg_nodes GROUP BY ALL ORDER BY 1, 2 NULLS FIRST"),
    (
        "definitions, and what contains them",
        "SELECT node.repo, file.name AS file, node.start_line AS line, node.name, node.syntax_kind,
             container.kind || ' ' || container.name AS \"in\", owner.value AS owner, symbol.value AS symbol
         FROM cpg_nodes AS node
         JOIN cpg_nodes AS file ON node.file_id = file.node_id
         JOIN cpg_edges AS edge ON node.node_id = edge.dst_id AND edge.kind = 'contains'
         JOIN cpg_nodes AS container ON edge.src_id = container.node_id
         LEFT JOIN cpg_props AS owner ON node.node_id = owner.node_id AND owner.key = 'owner'
         LEFT JOIN cpg_props AS symbol ON node.node_id = symbol.node_id AND symbol.key = 'symbol'
         WHERE node.kind = 'definition'
         ORDER BY file, line, node.start_byte",
    ),
    (
        "calls, and what they mean",
        "SELECT file.name || ':' || call.start_line AS call, call.name, definition_file.name || ':' || \
             definition.start_line AS means, confidence
         FROM cpg_nodes AS call
         JOIN cpg_nodes AS file ON call.file_id = file.node_id
         LEFT JOIN cpg_edges AS edge ON call.node_id = edge.src_id AND edge.kind = 'calls'
         LEFT JOIN cpg_nodes AS definition ON edge.dst_id = definition.node_id
         LEFT JOIN cpg_nodes AS definition_file ON definition.file_id = definition_file.node_id
         WHERE call.kind = 'call'
         ORDER BY file.name, call.start_byte, call.end_byte, means",
    ),
    (
        "imports",
        "SELECT file.name || ':' || import.start_line AS import, import.name, repo.name AS of, confidence
         FROM cpg_nodes AS import
         JOIN cpg_nodes AS file ON import.file_id = file.node_id
         LEFT JOIN cpg_edges AS edge ON import.node_id = edge.src_id AND edge.kind = 'imports'
         LEFT JOIN cpg_nodes AS repo ON edge.dst_id = repo.node_id
         WHERE import.kind = 'import'
         ORDER BY file.name, import.start_byte, repo.name",
    ),
    ("repo_summary", "SELECT * FROM repo_summary ORDER BY repo"),
    ("import_matrix", "SELECT * FROM import_matrix ORDER BY repo, imported_repo"),
    (
        "hot_definitions",
        "SELECT owner, name, path, line, calls, calls_of_others, caller_repos, expected_calls
         FROM hot_definitions ORDER BY path, line, name",
    ),
    (
        "properties of files and repositories",
        "SELECT node.name, prop.key, CASE WHEN prop.key = 'content_hash' THEN substr(value, 1, 8) ELSE value END AS value
         FROM cpg_props AS prop JOIN cpg_nodes AS node ON prop.node_id = node.node_id
         WHERE node.kind IN ('repo', 'file') ORDER BY node.name, prop.key",
    ),
    (
        "what must not be: ids that are not unique, edges without ends, nodes without a place",
        "SELECT
             (SELECT count(*) - count(DISTINCT node_id) FROM cpg_nodes) AS nodes_twice,
             (SELECT count(*) - count(DISTINCT edge_id) FROM cpg_edges) AS edges_twice,
             (SELECT count(*) FROM cpg_edges LEFT ANTI JOIN cpg_nodes ON src_id = node_id) AS without_src,
             (SELECT count(*) FROM cpg_edges LEFT ANTI JOIN cpg_nodes ON dst_id = node_id) AS without_dst,
             (SELECT count(*) FROM cpg_props AS p LEFT ANTI JOIN cpg_nodes AS n ON p.node_id = n.node_id) AS without_node,
             (SELECT count(*) FROM cpg_nodes WHERE kind <> 'repo')
                 - (SELECT count(DISTINCT dst_id) FROM cpg_edges WHERE kind = 'contains') AS without_place,
             (SELECT count(*) - count(DISTINCT dst_id) FROM cpg_edges WHERE kind = 'contains') AS with_two_places",
    ),
];

/// The results of all queries in [`FACTS`] from `ask`, as one text, which must equal the snapshot `code_graph`.
pub(crate) async fn facts(ask: impl AsyncFn(&str) -> String) -> String {
    let mut text = String::new();
    for (heading, sql) in FACTS {
        text.push_str(&format!("{heading}\n{}\n\n", ask(sql).await));
    }
    text
}

/// The folder of the example project.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/code_graph")
}

/// The folder of the small repositories.
pub(crate) fn repositories() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/code_graph")
}

/// The project's stages as tables and views of a session of plain DataFusion.
async fn run_plainly(partitions: usize, batch_size: usize) -> SessionContext {
    let graph = check(&load_project(&project()).unwrap()).unwrap();
    let settings = SessionSettings { target_partitions: partitions, batch_size, ..graph.session.clone() };
    let sessions = Sessions::new(settings, Functions::standard()).unwrap();
    let ctx = sessions.context().unwrap();
    for (name, source) in &graph.sources {
        let SourceKind::TextFiles(source) = source.kind.clone() else { panic!("`{name}` is of another kind") };
        let location = Location::from_path(&repositories()).unwrap();
        let input = TableInput::TextFiles { source, location };
        register(&ctx, sessions.stores(), name, input).await.unwrap();
    }
    for stage in &graph.stages {
        let query = query_of(&ctx, &graph, stage).await;
        if stage.materialize == Materialize::View {
            let input = TableInput::Plan(query.into_unoptimized_plan());
            register(&ctx, sessions.stores(), &stage.name, input).await.unwrap();
            continue;
        }
        // The planner determines the types while it plans, so they are those of the plan that runs.
        let plan = query.create_physical_plan().await.unwrap();
        let schema = plan.schema();
        let rows = collect_partitioned(plan, ctx.task_ctx()).await.unwrap();
        ctx.register_table(stage.name.as_str(), Arc::new(MemTable::try_new(schema, rows).unwrap())).unwrap();
        check_rows(&ctx, stage).await;
    }
    ctx
}

async fn query_of(ctx: &SessionContext, graph: &PipelineGraph, stage: &Stage) -> DataFrame {
    let no_values: &[(String, String)] = &[];
    let params = graph.bind_params(no_values).unwrap();
    let value = |name: &String| match &params[name] {
        ParamValue::Long(value) => ScalarValue::from(*value),
        ParamValue::Double(value) => ScalarValue::from(*value),
        other => panic!("`{name}` is {other}"),
    };
    let values: HashMap<String, ScalarValue> = stage.params.iter().map(|name| (name.clone(), value(name))).collect();
    ctx.sql(&stage.query.sql().unwrap().text).await.unwrap().with_param_values(values).unwrap()
}

/// The rows satisfy the stage's contract in `io`.
async fn check_rows(ctx: &SessionContext, stage: &Stage) {
    let not_null = stage.table.not_null.iter().map(|column| format!("{column} IS NOT NULL"));
    for condition in not_null.chain(stage.table.constraints.values().cloned()) {
        let sql = format!("SELECT coalesce(bool_and({condition}), true) FROM {}", stage.name);
        let batches = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
        let kept = batches[0].column(0).as_any().downcast_ref::<BooleanArray>().unwrap();
        assert!(kept.is_valid(0) && kept.value(0), "{}: {condition}", stage.name);
    }
    if !stage.table.key.is_empty() {
        let key = stage.table.key.join(", ");
        let sql = format!("SELECT {key} FROM {} GROUP BY {key} HAVING count(*) > 1", stage.name);
        let twice = ctx.sql(&sql).await.unwrap().collect().await.unwrap();
        assert_eq!(twice.iter().map(RecordBatch::num_rows).sum::<usize>(), 0, "{}: {key} is not a key", stage.name);
    }
}

async fn answer(ctx: &SessionContext, sql: &str) -> String {
    let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

#[tokio::test]
async fn the_graph_of_small_repositories_is_as_expected() {
    let ctx = run_plainly(2, 8192).await;
    insta::assert_snapshot!("code_graph", facts(async |sql| answer(&ctx, sql).await).await);
}

/// The whole product on the same repositories: planned in stages, written as Delta tables, queried through the command.
/// The snapshot is the same as that of plain DataFusion.
#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_cluster_builds_the_same_graph() {
    let home = tempfile::tempdir().unwrap();
    let sources = [("source_files".to_owned(), repositories().display().to_string())];
    let project = Project::open(&project(), None, &sources).unwrap();
    let settings = SessionSettings { target_partitions: 3, ..project.graph.session.clone() };
    let config = windlass_tests::embedded(Location::from_path(home.path()).unwrap(), settings);
    let windlass = Windlass::embedded(config).await.unwrap();
    let record = windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    let ask = async |sql: &str| {
        let rows = windlass.query(&project, sql, &QueryOptions::default()).await.unwrap();
        let batches: Vec<RecordBatch> = rows.stream().try_collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    };
    insta::assert_snapshot!("code_graph", facts(ask).await);
    windlass.stop().await;
}

#[tokio::test]
async fn the_graph_does_not_depend_on_partitions_or_batches() {
    let one = run_plainly(1, 8192).await;
    let many = run_plainly(5, 3).await;
    for table in ["cpg_nodes", "cpg_edges", "cpg_props", "repo_summary", "hot_definitions", "import_matrix"] {
        let sql = format!("SELECT * FROM {table}");
        let rows = async |ctx| {
            let text = answer(ctx, &sql).await;
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(rows(&one).await, rows(&many).await, "{table}");
    }
}

#[tokio::test]
async fn the_questions_have_short_answers() {
    let ctx = run_plainly(2, 8192).await;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(project().join("questions")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    let mut text = String::new();
    for file in files {
        let sql = std::fs::read_to_string(&file).unwrap();
        let question = sql.lines().next().unwrap();
        assert!(question.starts_with("-- ") && question.ends_with('?'), "{question}");
        text.push_str(&format!("{question}\n{}\n\n", answer(&ctx, &sql).await));
    }
    insta::assert_snapshot!("code_graph_questions", text);
}
