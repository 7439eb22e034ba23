//! Which part of the graph a run is about, and the ranges of versions that were asked for.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;
use windlass_evidence::artifact::Refresh;
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::source::SourceKind;
use windlass_project::spec::table::Materialize;

use super::error::PlanError;
use super::query::QueryInputs;
use super::request::PlanRequest;

/// Which part of the graph a run is about.
pub(super) struct Scope {
    /// Everything selected.
    pub(super) selected: BTreeSet<NodeName>,
    /// The selected stages that keep a table.
    pub(super) tables: BTreeSet<NodeName>,
    /// Selected caches that no selected table reads: they are asked for by themselves.
    pub(super) lone_caches: BTreeSet<NodeName>,
    /// Stages whose rows are all to be computed again.
    pub(super) refreshed: BTreeSet<NodeName>,
}

impl Scope {
    pub(super) fn of(request: &PlanRequest) -> Result<Self, PlanError> {
        let graph = &request.graph;
        let selected = graph.select(&request.select, &request.exclude)?;
        let of_kind = |kind: Materialize| -> BTreeSet<NodeName> {
            let stages = graph.stages.iter().filter(|stage| stage.materialize == kind);
            stages.map(|stage| stage.name.clone()).filter(|name| selected.contains(name)).collect()
        };
        let tables = of_kind(Materialize::Table);
        let mut seen_through = BTreeSet::new();
        for stage in graph.stages.iter().filter(|stage| tables.contains(&stage.name)) {
            seen_through.extend(QueryInputs::lasting(graph, &stage.reads).views);
        }
        let mut lone_caches = of_kind(Materialize::Cache);
        lone_caches.retain(|name| !seen_through.contains(name));
        let refreshed = match request.refresh.full.as_slice() {
            [] => BTreeSet::new(),
            terms if terms.iter().any(|term| term == Refresh::EVERYTHING) => tables.clone(),
            terms => graph.select(terms, &[])?.intersection(&tables).cloned().collect(),
        };
        let range = !request.refresh.from_versions.is_empty() || !request.refresh.to_versions.is_empty();
        if range && tables.len() != 1 {
            return Err(PlanError::Range {
                reason: format!("{} tables are selected", tables.len()),
                help: "select one stage: `--select STAGE --from-version N`".to_owned(),
            });
        }
        Ok(Self { selected, tables, lone_caches, refreshed })
    }

    /// What the run reads that it does not make, with one of its readers.
    pub(super) fn outside(&self, graph: &PipelineGraph) -> BTreeMap<NodeName, NodeName> {
        let mut read_by = BTreeMap::new();
        for stage in &graph.stages {
            if !self.tables.contains(&stage.name) && !self.lone_caches.contains(&stage.name) {
                continue;
            }
            for table in QueryInputs::lasting(graph, &stage.reads).base_tables {
                if !self.tables.contains(&table) {
                    read_by.entry(table).or_insert_with(|| stage.name.clone());
                }
            }
        }
        read_by
    }
}

/// Versions that someone asked for, by the names of the sources that they are of.
pub(super) fn range_ends(
    request: &PlanRequest,
    scope: &Scope,
    asked: &[(Option<NodeName>, u64)],
) -> Result<BTreeMap<NodeName, u64>, PlanError> {
    let graph = &request.graph;
    let is_table = |name: &NodeName| match graph.sources.get(name) {
        Some(source) => matches!(source.kind, SourceKind::Delta(_)),
        None => graph.stage(name).is_some(),
    };
    let outside = scope.outside(graph);
    let tables: Vec<&NodeName> = outside.keys().filter(|name| is_table(name)).collect();
    let known = || tables.iter().map(|name| name.as_str()).collect::<Vec<_>>().join("`, `");
    asked
        .iter()
        .map(|(name, version)| match (name, tables.as_slice()) {
            (Some(name), tables) if tables.contains(&name) => Ok((name.clone(), *version)),
            (None, [only]) => Ok(((*only).clone(), *version)),
            (Some(name), _) => Err(PlanError::Range {
                reason: format!("the stage reads no Delta table `{name}`"),
                help: format!("it reads `{}`", known()),
            }),
            (None, []) => Err(PlanError::Range {
                reason: "the stage reads no Delta table".to_owned(),
                help: "only tables have versions; run it without a range".to_owned(),
            }),
            (None, _) => Err(PlanError::Range {
                reason: "the stage reads several Delta tables".to_owned(),
                help: format!("say which is meant, as in `--from-version NAME=N`: `{}`", known()),
            }),
        })
        .collect()
}
