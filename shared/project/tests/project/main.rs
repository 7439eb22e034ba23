//! Projects: the result of valid ones, the messages of invalid ones. No engine and no runtime, so they are built and run
//! within seconds: `cargo test -p windlass-project`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad;
mod contract;
mod difference;
mod draw;
mod error_codes;
mod good;
mod grammar;
mod maintenance;
mod mutate;
mod pages;
mod select;
mod subdag;
mod travel;

use windlass_project::graph::{PipelineGraph, check};
use windlass_project::spec::{ProjectFiles, RenderStyle};

/// The graph of a project that must be good.
fn graph_of(files: &[(&str, &str)]) -> PipelineGraph {
    let files: ProjectFiles = files.iter().map(|(path, text)| (*path, *text)).collect();
    check(&files).unwrap_or_else(|problems| panic!("{}", problems.render(RenderStyle::default())))
}

/// A project with a bit of everything: a small code graph.
fn code_graph() -> PipelineGraph {
    graph_of(CODE_GRAPH)
}

const CODE_GRAPH: &[(&str, &str)] = &[
    ("windlass.yaml", include_str!("code_graph/windlass.yaml")),
    ("stages/files_clean.sql", include_str!("code_graph/stages/files_clean.sql")),
    ("stages/cpg_nodes.sql", include_str!("code_graph/stages/cpg_nodes.sql")),
    ("stages/cpg_edges.sql", include_str!("code_graph/stages/cpg_edges.sql")),
    ("stages/reports/summary.sql", include_str!("code_graph/stages/reports/summary.sql")),
    ("stages/reports/largest.sql", include_str!("code_graph/stages/reports/largest.sql")),
];
