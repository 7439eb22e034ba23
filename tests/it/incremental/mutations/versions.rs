//! The versions of the stages' code, as they are judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::{ViewTable, empty::EmptyTable};
use windlass_client::Project;
use windlass_scheduler::plan::engine_params;
use windlass_shared::function::Functions;
use windlass_shared::graph::PipelineGraph;
use windlass_shared::ids::NodeName;
use windlass_shared::session::Sessions;
use windlass_shared::spec::source::SourceKind;
use windlass_shared::spec::table::Materialize;

use crate::delta_read::tables::{append, array, batch};

/// The tables that the mutants read, and how the versions of a project over them are found.
pub(super) struct Versions {
    dir: PathBuf,
}

impl Versions {
    /// Makes the tables below `dir`.
    pub(super) async fn new(dir: &Path) -> Self {
        for name in ["orders", "orders_2"] {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("id", array(Int64Array::from(vec![1, 2]))),
                ("customer", array(Int64Array::from(vec![1, 1]))),
                ("amount", array(Int64Array::from(vec![5, 6]))),
                ("day", array(Date32Array::from(vec![20_460, 20_461]))),
                ("status", array(StringArray::from(vec!["paid", "open"]))),
                ("currency", array(StringArray::from(vec!["x", "y"]))),
            ];
            append(&dir.join(name), batch(columns), &[]).await;
        }
        for name in ["customers", "customers_2"] {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("id", array(Int64Array::from(vec![1]))),
                ("name", array(StringArray::from(vec!["ada"]))),
                ("region", array(StringArray::from(vec!["north"]))),
            ];
            append(&dir.join(name), batch(columns), &[]).await;
        }
        for name in ["rates.csv", "rates_2.csv"] {
            fs::write(dir.join(name), "currency,rate\nx,1.5\n").unwrap();
        }
        for name in ["notes", "notes_2"] {
            fs::create_dir(dir.join(name)).unwrap();
            fs::write(dir.join(name).join("one.txt"), "one note").unwrap();
        }
        Self { dir: dir.to_owned() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The version of every stage that has a table.
    pub(super) async fn of(&self, project: &Project) -> BTreeMap<String, String> {
        plainly(&project.graph).await
    }
}

/// What a version has to tell apart, taken plainly: the optimized plan with views inlined, the table's settings, the
/// sources that are read and the session.
async fn plainly(graph: &PipelineGraph) -> BTreeMap<String, String> {
    let sessions = Sessions::new(graph.session.clone(), Functions::standard()).unwrap();
    let ctx = sessions.context().unwrap();
    let given: [(String, String); 0] = [];
    let params = engine_params(&graph.bind_params(&given).unwrap());
    for (name, source) in &graph.sources {
        ctx.register_table(name.as_str(), Arc::new(EmptyTable::new(Arc::new(columns(name, &source.kind))))).unwrap();
    }
    let mut versions = BTreeMap::new();
    for stage in &graph.stages {
        let plan = ctx.state().create_logical_plan(&stage.query.sql().unwrap().text).await.unwrap();
        let plan = plan.with_param_values(params.clone()).unwrap();
        if stage.materialize == Materialize::View {
            ctx.register_table(stage.name.as_str(), Arc::new(ViewTable::new(plan, None))).unwrap();
            continue;
        }
        let plan = ctx.state().optimize(&plan).unwrap();
        let mut version = format!("{}\n{}\n", plan.display_indent_schema(), sessions.session_identity());
        write!(version, "{:?} {:?} {:?}", stage.table.mode, stage.table.key, stage.table.partition_by).unwrap();
        write!(version, "{:?} {:?}", stage.table.not_null, stage.table.constraints).unwrap();
        for source in sources(graph, &stage.reads) {
            write!(version, "\n{:?}", graph.sources[&source].kind).unwrap();
        }
        versions.insert(stage.name.to_string(), version);
        let schema = Arc::new(plan.schema().as_arrow().clone());
        ctx.register_table(stage.name.as_str(), Arc::new(EmptyTable::new(schema))).unwrap();
    }
    versions
}

/// The sources among `reads`, views seen through.
fn sources(graph: &PipelineGraph, reads: &[NodeName]) -> Vec<NodeName> {
    let mut sources = Vec::new();
    for name in reads {
        match graph.stage(name) {
            Some(view) if view.materialize == Materialize::View => sources.extend(self::sources(graph, &view.reads)),
            Some(_) => {}
            None => sources.push(name.clone()),
        }
    }
    sources
}

fn columns(source: &NodeName, kind: &SourceKind) -> Schema {
    let of = |columns: &[(&str, DataType)]| {
        Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
    };
    match kind {
        SourceKind::Listing(_) => of(&[("currency", DataType::Utf8), ("rate", DataType::Float64)]),
        SourceKind::TextFiles(_) => {
            of(&[("path", DataType::Utf8), ("size", DataType::Int64), ("content", DataType::Utf8)])
        }
        SourceKind::Delta(_) if source.as_str() == "orders" => of(&[
            ("id", DataType::Int64),
            ("customer", DataType::Int64),
            ("amount", DataType::Int64),
            ("day", DataType::Date32),
            ("status", DataType::Utf8),
            ("currency", DataType::Utf8),
        ]),
        SourceKind::Delta(_) => of(&[("id", DataType::Int64), ("name", DataType::Utf8), ("region", DataType::Utf8)]),
    }
}
