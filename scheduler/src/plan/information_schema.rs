//! What a project says of itself, as tables that questions can read: `information_schema` and the semantic registry in it.
//!
//! ```text
//! graph, and every stage planned as if nothing were built ─→ tables, columns, column_lineage, semantic_registry
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::ParamValues;
use windlass_base::ids::NodeName;
use windlass_delta::table::contract_columns;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::ColumnLineage;
use windlass_project::contract::ContractType;
use windlass_project::graph::Node;
use windlass_project::literal_rows::{Cell, Row};
use windlass_project::spec::column_type::ColumnType;
use windlass_project::spec::source::{RowsSource, SourceKind};
use windlass_project::spec::table::Materialize;
use windlass_project::tag::{NodeKind, SemanticRegistry};

use super::checks::optimized;
use super::definition::as_nullable;
use super::error::PlanError;
use super::input::{Input, Inputs};
use super::lineage::column_lineage;
use super::pins::pin_for_query;
use super::query::{QueryInputs, logical_plan};
use super::request::PlanRequest;
use super::stage_error::StageError;

/// The schema that has the tables.
pub const INFORMATION_SCHEMA: &str = "information_schema";

/// The tables.
pub const TABLES: [&str; 4] = ["tables", "columns", "column_lineage", "semantic_registry"];

/// The tables of [`TABLES`] that are named in `wanted`.
///
/// # Errors
/// [`PlanError`] if a source cannot be pinned, or a stage not be planned.
pub async fn information_tables(
    request: &PlanRequest,
    sessions: &Sessions,
    params: &ParamValues,
    wanted: &BTreeSet<String>,
) -> Result<Vec<(String, RowsSource)>, PlanError> {
    let mut described = Described::default();
    // Nodes and their tags are known from the project; only columns need plans.
    if wanted.contains("columns") || wanted.contains("column_lineage") {
        let found = describe(request, sessions, params).await;
        described = found.map_err(|error| error.in_files(&request.graph.files))?;
    }
    let tables = TABLES.iter().filter(|table| wanted.contains(**table)).map(|table| {
        let rows = match *table {
            "tables" => tables(request),
            "columns" => described.columns_table(),
            "column_lineage" => described.lineage_table(),
            _ => registry(&request.graph.semantic_registry()),
        };
        ((*table).to_owned(), rows)
    });
    Ok(tables.collect())
}

/// The columns of every node, and where those of stages come from.
#[derive(Default)]
struct Described {
    columns: Vec<Row>,
    lineage: Vec<Row>,
}

async fn describe(request: &PlanRequest, sessions: &Sessions, params: &ParamValues) -> Result<Described, StageError> {
    let graph = &request.graph;
    let mut described = Described::default();
    let mut inputs = Inputs::default();
    for (name, source) in &graph.sources {
        if matches!(source.kind, SourceKind::Rows(_)) {
            let session = QueryInputs::of(graph, [name]).session(graph, sessions, &inputs, params).await?;
            let provider = session.context.table_provider(name.as_str()).await;
            let provider = provider.map_err(|source| PlanError::Engine { stage: name.clone(), source })?;
            described.columns_of(request, name, &provider.schema())?;
            continue;
        }
        let input = pin_for_query(request, sessions, name, None).await?;
        if let Input::Pinned(pinned) = &input {
            described.columns_of(request, name, &pinned.provider.schema())?;
        }
        inputs.set(name.clone(), input);
    }
    for stage in &graph.stages {
        let session = QueryInputs::of(graph, &stage.reads).session(graph, sessions, &inputs, params).await?;
        let logical = logical_plan(&session.context, stage, params).await?;
        let plan = optimized(&session.context, stage, &logical)?;
        let schema = as_nullable(plan.schema().as_arrow());
        described.columns_of(request, &stage.name, &schema)?;
        if stage.materialize != Materialize::View {
            inputs.set(stage.name.clone(), Input::Planned(Arc::clone(&schema)));
        }
        let engine = |source| PlanError::Engine { stage: stage.name.clone(), source };
        let is_view = |name: &NodeName| graph.stage(name).is_some_and(|read| read.materialize == Materialize::View);
        let (views, tables): (BTreeSet<_>, _) = stage.reads.iter().cloned().partition(is_view);
        described.lineage_of(&stage.name, &column_lineage(&logical, &tables, &views).map_err(engine)?);
    }
    Ok(described)
}

impl Described {
    fn columns_of(&mut self, request: &PlanRequest, name: &NodeName, schema: &Schema) -> Result<(), PlanError> {
        let stage = request.graph.stage(name);
        let contract = match stage {
            Some(stage) => stage.contract.as_ref(),
            None => request.graph.sources.get(name).and_then(|source| source.contract.as_ref()),
        };
        let contract = contract.map(|contract| contract.value.as_ref());
        for (place, field) in schema.fields().iter().enumerate() {
            let said = contract.and_then(|contract| contract.column(field.name()));
            // A type that Delta does not have is shown as the engine calls it.
            let single = Schema::new(vec![Arc::clone(field)]);
            let data_type = contract_columns(&single).ok().and_then(|columns| columns.into_iter().next());
            let data_type =
                data_type.map_or_else(|| field.data_type().to_string(), |column| column.data_type.to_string());
            let not_null = stage.is_some_and(|stage| stage.table.not_null.contains(field.name()));
            self.columns.push(vec![
                text(name.as_str()),
                text(field.name()),
                Cell::Integer(i64::try_from(place + 1).unwrap_or(i64::MAX)),
                text(&data_type),
                text(if not_null { "NO" } else { "YES" }),
                maybe(contract.map(|contract| contract.label()).as_deref()),
                maybe(said.and_then(|said| said.semantic_type.as_deref())),
                maybe(said.and_then(|said| said.description.as_deref())),
            ]);
        }
        Ok(())
    }

    fn lineage_of(&mut self, stage: &NodeName, lineage: &ColumnLineage) {
        let of_columns = lineage.columns.iter().map(|column| (Some(column.name.as_str()), &column.origins));
        for (column, origins) in of_columns.chain([(None, &lineage.rows)]) {
            self.lineage.extend(origins.iter().map(|origin| {
                vec![
                    text(stage.as_str()),
                    maybe(column),
                    text(origin.table.as_str()),
                    text(&origin.column),
                    text(origin.how.kind()),
                    text(origin.how.as_str()),
                ]
            }));
        }
    }

    fn columns_table(&mut self) -> RowsSource {
        let mut columns = texts(&["table_name", "column_name", "data_type", "is_nullable"]);
        columns.insert(2, ("ordinal_position".to_owned(), ContractType::Primitive(ColumnType::Long)));
        columns.extend(texts(&["contract", "semantic_type", "description"]));
        RowsSource { columns, rows: std::mem::take(&mut self.columns) }
    }

    fn lineage_table(&mut self) -> RowsSource {
        let columns = texts(&["table_name", "column_name", "from_table", "from_column", "kind", "how"]);
        RowsSource { columns, rows: std::mem::take(&mut self.lineage) }
    }
}

fn tables(request: &PlanRequest) -> RowsSource {
    let row = |node: Node<'_>| {
        let (kind, instance) = match node {
            Node::Source(_) => ("source", None),
            Node::Stage(stage) => {
                let kind = match stage.materialize {
                    Materialize::Table => "table",
                    Materialize::View => "view",
                    Materialize::Cache => "cache",
                };
                (kind, stage.instance.as_ref().map(|instance| instance.name.as_str()))
            }
        };
        vec![text(node.name().as_str()), text(kind), maybe(instance), maybe(node.description())]
    };
    RowsSource {
        columns: texts(&["table_name", "table_type", "subdag_instance", "description"]),
        rows: request.graph.nodes().map(row).collect(),
    }
}

fn registry(registry: &SemanticRegistry) -> RowsSource {
    let list = |items: &[String]| Cell::List(items.iter().map(|item| text(item)).collect());
    let names = |names: &[NodeName]| Cell::List(names.iter().map(|name| text(name.as_str())).collect());
    let rows = registry.entries.iter().map(|entry| {
        let kind = match entry.kind {
            NodeKind::Source => "source",
            NodeKind::Table => "table",
            NodeKind::View => "view",
            NodeKind::Cache => "cache",
        };
        vec![
            text(&entry.semantic_id),
            maybe(entry.version.as_deref()),
            maybe(entry.entity.as_deref()),
            maybe(entry.grain.as_deref()),
            maybe(entry.layer.as_deref()),
            maybe(entry.stability.as_deref()),
            maybe(entry.contract.as_deref()),
            text(entry.producer.as_str()),
            text(kind),
            list(&entry.entity_keys),
            names(&entry.reads),
            names(&entry.readers),
            maybe(entry.description.as_deref()),
        ]
    });
    let mut columns =
        texts(&["semantic_id", "version", "entity", "grain", "layer", "stability", "contract", "producer", "kind"]);
    let list_of_texts = || ContractType::Array(Box::new(ContractType::Primitive(ColumnType::String)));
    columns.extend(["entity_keys", "reads", "readers"].map(|name| (name.to_owned(), list_of_texts())));
    columns.extend(texts(&["description"]));
    RowsSource { columns, rows: rows.collect() }
}

fn texts(names: &[&str]) -> Vec<(String, ContractType)> {
    names.iter().map(|name| ((*name).to_owned(), ContractType::Primitive(ColumnType::String))).collect()
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn maybe(value: Option<&str>) -> Cell {
    value.map_or(Cell::Null, text)
}
