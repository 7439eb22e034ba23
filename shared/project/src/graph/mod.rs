//! The pipeline as a graph: dependencies, order, selection, drawings.
//!
//! [`check`] reads a project and resolves it, or says everything that is wrong with it. A [`PipelineGraph`] is therefore
//! always sound: every name that a stage reads is a node, there is no cycle, every parameter in SQL is declared.

mod bind;
mod cycle;
pub mod draw;
mod exports;
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
use crate::expect::Expectation;
use crate::spec::pipeline::{StageQuery, SubdagInstance};
use crate::spec::table::{Materialize, TableSettings};
use crate::spec::{ParamSpec, Position, ProjectFiles, RunSettings, SourceSpec, Span, Spanned, TargetSpec};
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
    /// The stages in topological order: each behind everything that it reads. Equal projects have equal orders.
    pub stages: Vec<Stage>,
    /// The declared parameters in the order of the file.
    pub params: Vec<ParamSpec>,
    /// The session's settings.
    pub session: SessionSettings,
    /// How runs behave.
    pub run: RunSettings,
    /// The schema contracts of the project.
    pub contracts: Contracts,
    /// The targets that [`PipelineGraph::apply_target`] takes.
    pub targets: BTreeMap<String, TargetSpec>,
    /// The target that was applied.
    pub target: Option<String>,
    /// Where state, bundles and tables go, if the target says so.
    pub home: Option<String>,
    /// The files that the graph was read from.
    pub files: ProjectFiles,
    /// Where each stage is in `stages`.
    index: BTreeMap<NodeName, usize>,
    /// Who reads each node.
    readers: BTreeMap<NodeName, Vec<NodeName>>,
    /// Per stage, the longest path to a stage that nobody reads.
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
    /// What becomes of its rows.
    pub materialize: Materialize,
    /// Its Delta table, when it is one.
    pub table: TableSettings,
    /// How often it is tried again after an error that may pass.
    pub retries: u32,
    /// What its columns must be, and where that is said.
    pub contract: Option<Spanned<Arc<Contract>>>,
    /// What its rows should be like.
    pub expectations: Vec<Expectation>,
    /// The instance of a sub-DAG that it is a stage of.
    pub instance: Option<Arc<SubdagInstance>>,
    /// What it computes, and where in its file that stands.
    pub query: StageQuery,
    /// The sources and stages that its query reads, sorted.
    pub reads: Vec<NodeName>,
    /// The parameters that its query uses, sorted, without the `$`.
    pub params: Vec<String>,
    /// Where its name is given: in the header, or the start of the file.
    pub span: Span,
}

impl Stage {
    /// A hash of the query and of what becomes of its rows, in 32 hexadecimal digits: white space and comments do not
    /// change it.
    pub fn code_fingerprint(&self) -> String {
        let query = match &self.query {
            StageQuery::Plan(plan) => format!("plan {}", blake3::hash(&plan.bytes).to_hex()),
            StageQuery::Sql(sql) => {
                let dialect = sqlparser::dialect::GenericDialect {};
                match sqlparser::parser::Parser::parse_sql(&dialect, &sql.text) {
                    Ok(statements) => statements.iter().map(ToString::to_string).collect::<Vec<_>>().join(";"),
                    // A graph holds only queries that can be parsed.
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

    /// What the node is about.
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

    /// The tags of a node, to be filled in while the graph is made.
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

    /// How many stages that write are on the longest path from a stage to one that nobody reads, itself included. Among
    /// stages that could start, the one with the greatest weight holds up the most.
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

    /// The place in a stage's file of a line and column of its query, both counted from 1, as the engine's errors give
    /// them. A plan has no lines: its place is its beginning.
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
    /// To what a node reads.
    Reads,
    /// To those that read a node.
    Readers,
}
