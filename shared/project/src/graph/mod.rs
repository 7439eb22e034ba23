//! The pipeline as a graph: dependencies, order, selection, drawings.
//!
//! [`check`] reads a project and resolves it, or returns every problem. A [`PipelineGraph`] is therefore always valid:
//! every name that a stage reads is a node, there is no cycle, every parameter in SQL is declared.

mod bind;
mod cycle;
pub mod draw;
mod exports;
mod maintenance;
mod order;
mod part;
mod policy;
mod resolve;
pub mod select;
mod semantics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_base::config::SessionSettings;
use windlass_base::ids::{NodeName, PipelineName};

use crate::contract::{Contract, Contracts};
use crate::expect::{Expectation, QUARANTINE_SUFFIX, Severity};
use crate::maintenance::{MaintenanceSettings, ProjectMaintenance};
use crate::spec::pipeline::{StageQuery, SubdagInstance};
use crate::spec::table::{Materialize, TableSettings};
use crate::spec::{
    ParamSpec, Position, ProjectFiles, RunSettings, SourceSpec, Span, Spanned, TargetSpec, place_of_word,
};
use crate::tag::Tags;

pub use resolve::check;

/// A resolved pipeline.
#[derive(Debug, Clone)]
pub struct PipelineGraph {
    /// The pipeline's name.
    pub name: PipelineName,
    /// What the pipeline is for.
    pub description: Option<String>,
    /// The sources by name.
    pub sources: BTreeMap<NodeName, SourceSpec>,
    /// The stages in topological order: each after everything that it reads. Equal projects have equal orders.
    pub stages: Vec<Stage>,
    /// The declared parameters in the order of the file.
    pub params: Vec<ParamSpec>,
    /// The session's settings.
    pub session: SessionSettings,
    /// How runs behave.
    pub run: RunSettings,
    /// How tables are maintained; [`PipelineGraph::maintenance_of`] is the policy of one.
    pub maintenance: ProjectMaintenance,
    /// The schema contracts of the project.
    pub contracts: Contracts,
    /// The targets that [`PipelineGraph::apply_target`] takes.
    pub targets: BTreeMap<String, TargetSpec>,
    /// The target that was applied.
    pub target: Option<String>,
    /// Where state, bundles and tables are stored, if the target specifies it.
    pub home: Option<String>,
    /// The files that the graph was read from.
    pub files: ProjectFiles,
    /// Where each stage is in `stages`.
    index: BTreeMap<NodeName, usize>,
    /// The readers of each node.
    readers: BTreeMap<NodeName, Vec<NodeName>>,
    /// Per stage, the longest path to a stage without readers.
    weights: BTreeMap<NodeName, u32>,
}

/// A stage of a [`PipelineGraph`].
#[derive(Debug, Clone)]
pub struct Stage {
    /// The name, which is also the table's name in SQL.
    pub name: NodeName,
    /// What it computes.
    pub description: Option<String>,
    /// Its tags.
    pub tags: Tags,
    /// How its rows are materialized.
    pub materialize: Materialize,
    /// Its Delta table, if it is materialized as one.
    pub table: TableSettings,
    /// How its table is maintained, as far as it says so itself. It does not affect rows.
    pub maintenance: MaintenanceSettings,
    /// How often it is retried after a transient error.
    pub retries: u32,
    /// Its contract, and where it is named.
    pub contract: Option<Spanned<Arc<Contract>>>,
    /// Its expectations.
    pub expectations: Vec<Expectation>,
    /// The sub-DAG instance that it belongs to.
    pub instance: Option<Arc<SubdagInstance>>,
    /// What it computes, with its position in the file.
    pub query: StageQuery,
    /// The sources and stages that its query reads, sorted.
    pub reads: Vec<NodeName>,
    /// The parameters that its query uses, sorted, without the `$`.
    pub params: Vec<String>,
    /// Where its name is given: in the header, or the start of the file.
    pub span: Span,
}

impl Stage {
    /// A hash of the query and of how its rows are materialized, in 32 hexadecimal digits. White space and comments do
    /// not affect it.
    pub fn code_fingerprint(&self) -> String {
        let query = match &self.query {
            StageQuery::Plan(plan) => format!("plan {}", blake3::hash(&plan.bytes).to_hex()),
            StageQuery::Sql(sql) => {
                let dialect = sqlparser::dialect::GenericDialect {};
                match sqlparser::parser::Parser::parse_sql(&dialect, &sql.text) {
                    Ok(statements) => statements.iter().map(ToString::to_string).collect::<Vec<_>>().join(";"),
                    // A graph only contains queries that can be parsed.
                    Err(_) => sql.text.to_string(),
                }
            }
        };
        let settings = serde_json::json!({ "materialize": self.materialize, "table": self.table });
        blake3::hash(format!("{query}\n{settings}").as_bytes()).to_hex()[..32].to_owned()
    }
}

/// A node of a [`PipelineGraph`].
#[derive(Debug, Clone, Copy)]
pub enum Node<'g> {
    /// A source.
    Source(&'g SourceSpec),
    /// A stage.
    Stage(&'g Stage),
}

impl<'g> Node<'g> {
    /// The node's name.
    pub fn name(&self) -> &'g NodeName {
        match self {
            Self::Source(source) => &source.name.value,
            Self::Stage(stage) => &stage.name,
        }
    }

    /// The node's tags.
    pub fn tags(&self) -> &'g Tags {
        match self {
            Self::Source(source) => &source.tags,
            Self::Stage(stage) => &stage.tags,
        }
    }

    /// The node's description.
    pub fn description(&self) -> Option<&'g str> {
        match self {
            Self::Source(source) => source.description.as_deref(),
            Self::Stage(stage) => stage.description.as_deref(),
        }
    }
}

impl PipelineGraph {
    /// The stage of that name.
    pub fn stage(&self, name: &NodeName) -> Option<&Stage> {
        self.index.get(name).and_then(|index| self.stages.get(*index))
    }

    /// The source or stage of that name.
    pub fn node(&self, name: &NodeName) -> Option<Node<'_>> {
        self.sources.get(name).map(Node::Source).or_else(|| self.stage(name).map(Node::Stage))
    }

    /// The name under which the quarantine of a stage's table is read, if one of its expectations sends rows there and no
    /// source or stage has that name.
    pub fn quarantine(&self, stage: &Stage) -> Option<NodeName> {
        let is_kept = |rule: &Expectation| rule.severity == Severity::Quarantine;
        if stage.materialize != Materialize::Table || !stage.expectations.iter().any(is_kept) {
            return None;
        }
        let name = NodeName::new(format!("{}{QUARANTINE_SUFFIX}", stage.name));
        self.node(&name).is_none().then_some(name)
    }

    /// The stage whose quarantine is read under a name, if it is one.
    pub fn quarantined_stage(&self, name: &NodeName) -> Option<&Stage> {
        let stage = self.stage(&NodeName::new(name.as_str().strip_suffix(QUARANTINE_SUFFIX)?))?;
        self.quarantine(stage).is_some_and(|quarantine| quarantine == *name).then_some(stage)
    }

    /// The tags of a node, to be filled in while the graph is built.
    fn tags_mut(&mut self, name: &NodeName) -> Option<&mut Tags> {
        if let Some(source) = self.sources.get_mut(name) {
            return Some(&mut source.tags);
        }
        let index = *self.index.get(name)?;
        self.stages.get_mut(index).map(|stage| &mut stage.tags)
    }

    /// Every node: the sources by name, then the stages in topological order.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.sources.values().map(Node::Source).chain(self.stages.iter().map(Node::Stage))
    }

    /// The nodes that a node reads, sorted; none for a source.
    pub fn reads(&self, name: &NodeName) -> &[NodeName] {
        self.stage(name).map(|stage| stage.reads.as_slice()).unwrap_or_default()
    }

    /// The stages that read a node, sorted.
    pub fn readers(&self, name: &NodeName) -> &[NodeName] {
        self.readers.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many stages that write are on the longest path from a stage to one without readers, itself included. Among
    /// the stages that could start, the one with the largest weight blocks the most.
    pub fn weight(&self, name: &NodeName) -> u32 {
        self.weights.get(name).copied().unwrap_or_default()
    }

    /// Every node that can be reached from one of `from` by reading or by being read, within `hops` steps if given; `from`
    /// itself included.
    pub fn reach(&self, from: &BTreeSet<NodeName>, direction: Direction, hops: Option<usize>) -> BTreeSet<NodeName> {
        let mut reached = from.clone();
        let mut frontier: Vec<NodeName> = from.iter().cloned().collect();
        let mut left = hops.unwrap_or(usize::MAX);
        while left > 0 && !frontier.is_empty() {
            let mut next = Vec::new();
            for name in &frontier {
                let neighbours = match direction {
                    Direction::Reads => self.reads(name),
                    Direction::Readers => self.readers(name),
                };
                next.extend(neighbours.iter().filter(|name| reached.insert((*name).clone())).cloned());
            }
            frontier = next;
            left -= 1;
        }
        reached
    }

    /// Where something that `message` names in backticks stands in a stage's file; the stage itself if nothing of it does.
    pub fn place_of(&self, stage: &Stage, message: &str) -> Span {
        let file = stage.query.file();
        let names =
            message.split('`').skip(1).step_by(2).filter(|name| !name.is_empty() && *name != stage.name.as_str());
        let text = self.files.get(file).filter(|_| stage.query.sql().is_some()).unwrap_or_default();
        let place = names.into_iter().find_map(|name| place_of_word(text, name));
        place.map_or_else(|| stage.span.clone(), |place| Span::new(file, place.start, place.end))
    }

    /// The position in a stage's file of a line and column of its query, both counted from 1, as in the engine's
    /// errors. A plan has no lines: its position is its beginning.
    pub fn position_in_sql(&self, stage: &Stage, line: usize, column: usize) -> Position {
        self.files.position(&match &stage.query {
            StageQuery::Sql(sql) => sql.span_at(line, column),
            StageQuery::Plan(plan) => plan.span.clone(),
        })
    }
}

/// A direction along the edges of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards the inputs of a node.
    Reads,
    /// Towards the readers of a node.
    Readers,
}
