//! The example project gives the same rows on every kind of cluster.

use super::cluster::{Cluster, FIRST, SECOND};
use super::pipeline::{Pipeline, fixtures};

const TABLES: [&str; 6] = ["cpg_nodes", "cpg_edges", "cpg_props", "repo_summary", "import_matrix", "hot_definitions"];

#[test]
fn code_graph_has_the_same_rows_in_one_process_and_on_one_and_two_executors() {
    let Some(cluster) = Cluster::start(&[FIRST]) else { return };
    let project = fixtures().join("../../examples/code_graph");
    let pipeline = Pipeline::of(project, "source_files", fixtures().join("code_graph"));
    pipeline.put(&cluster);
    let expected = pipeline.rows_embedded(&TABLES);

    pipeline.run(&cluster);
    assert_eq!(pipeline.rows(&cluster, &TABLES), expected, "one executor");

    cluster.add(SECOND);
    cluster.has_executors(2);
    pipeline.run(&cluster);
    assert_eq!(pipeline.rows(&cluster, &TABLES), expected, "two executors");
    assert!(cluster.tasks_done(SECOND) > 0, "the second executor did nothing");
}
