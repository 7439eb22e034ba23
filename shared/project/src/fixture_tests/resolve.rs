//! Resolves fixtures against the graph of their project: what runs, with which inputs, and every problem.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::error::ErrorCode;
use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;

use super::inputs::{Inputs, resolve_inputs};
use super::spec::{ExpectSpec, FixtureSpec};
use super::{Expected, Fixture, Turn};
use crate::contract::{ContractType, Evolution};
use crate::graph::{Node, PipelineGraph, Stage};
use crate::literal_rows::{Literal, LiteralValue, check_name, report_mismatch};
use crate::spec::source::SourceKind;
use crate::spec::{Problem, Span, Spanned, codes};

/// Resolves every valid fixture, and reports the problems of the others.
pub(super) fn resolve_all(specs: &[FixtureSpec], graph: &PipelineGraph, problems: &mut Vec<Problem>) -> Vec<Fixture> {
    let mut first: BTreeMap<&str, &Span> = BTreeMap::new();
    let mut fixtures = Vec::new();
    for spec in specs {
        if let Some(other) = first.insert(&spec.name.value, &spec.name.span) {
            let message = format!("there are two fixtures `{}`", spec.name.value);
            let problem = Problem::new(codes::FIXTURE_TWICE, message).label(&spec.name.span, "this one");
            problems.push(problem.label(other, "and this one").help("give one of them another `name`"));
        }
        let before = problems.len();
        let fixture = Resolver { spec, graph, problems }.run();
        if problems.len() == before {
            fixtures.push(fixture);
        }
    }
    fixtures
}

struct Resolver<'a> {
    spec: &'a FixtureSpec,
    graph: &'a PipelineGraph,
    problems: &'a mut Vec<Problem>,
}

impl Resolver<'_> {
    fn run(mut self) -> Fixture {
        let Inputs { inputs, changes } = resolve_inputs(self.spec, self.graph, self.problems);
        let given: BTreeSet<NodeName> =
            self.spec.turns.iter().flat_map(|turn| &turn.given).map(|given| NodeName::new(&given.name.value)).collect();
        let params = self.params();
        let wanted = self.expected_stages(&given);
        let stages = self.stages(&wanted, &given);
        self.check_path(&stages, &given);
        let turns = self.spec.turns.iter().zip(changes).map(|(turn, changes)| {
            if turn.expect.is_empty() && turn.strategies.is_empty() && turn.error.is_none() {
                let problem = Problem::new(codes::FIXTURE_NOTHING, "the turn expects nothing").at(&turn.span);
                self.problems.push(problem.help("add `expect: { stage: rows }`"));
            }
            let expect = turn.expect.iter().filter_map(|expect| self.expected(expect)).collect();
            let strategies =
                turn.strategies.iter().map(|(stage, word)| (NodeName::new(&stage.value), word.clone())).collect();
            let error = turn.error.as_ref().and_then(|code| ErrorCode::parse(&code.value));
            Turn { changes, expect, strategies, error }
        });
        let turns = turns.collect();
        Fixture {
            name: self.spec.name.value.clone(),
            file: self.spec.file.clone(),
            description: self.spec.description.clone(),
            params,
            stages,
            inputs,
            turns,
        }
    }

    fn refuse(&mut self, code: ErrorCode, span: &Span, message: String, help: Option<String>) {
        let mut problem = Problem::new(code, message).at(span);
        problem.help = help;
        self.problems.push(problem);
    }

    /// The values of the parameters; each must be present and of its type.
    fn params(&mut self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        for (name, value) in &self.spec.params {
            let pair = (name.value.clone(), value.clone());
            if let Err(found) = self.graph.bind_params(std::slice::from_ref(&pair)) {
                // Other parameters without a value may get one from a target.
                for problem in found.iter().filter(|problem| problem.code != codes::PARAM_MISSING) {
                    self.problems.push(Problem { labels: Vec::new(), ..problem.clone() }.at(&name.span));
                }
            }
            params.push(pair);
        }
        params
    }

    /// The stages with expectations, each with the first position that mentions it.
    fn expected_stages(&mut self, given: &BTreeSet<NodeName>) -> BTreeMap<NodeName, Span> {
        let mut wanted = BTreeMap::new();
        let spec = self.spec;
        let mut want = |stage: NodeName, name: &Spanned<String>| {
            wanted.entry(stage).or_insert_with(|| name.span.clone());
        };
        for turn in &spec.turns {
            for name in turn.expect.iter().map(|expect| &expect.name) {
                let node = NodeName::new(&name.value);
                match self.graph.quarantined_stage(&node).map(|stage| stage.name.clone()) {
                    // Rows go to quarantine where they are computed.
                    Some(stage) if !given.contains(&stage) => want(stage, name),
                    Some(stage) => self.refuse_given(name, &stage),
                    None if self.is_stage(name, given) => want(node, name),
                    None => {}
                }
            }
            for (name, _) in &turn.strategies {
                if self.is_stage(name, given) {
                    want(NodeName::new(&name.value), name);
                }
            }
        }
        wanted
    }

    fn refuse_given(&mut self, name: &Spanned<String>, stage: &NodeName) {
        let help = "remove one of the two: what is given is not computed".to_owned();
        let message = match name.value == stage.as_str() {
            true => format!("`{stage}` is given and expected"),
            false => format!("`{stage}` is given, and rows of `{}` are expected", name.value),
        };
        self.refuse(codes::FIXTURE_NODE, &name.span, message, Some(help));
    }

    fn is_stage(&mut self, name: &Spanned<String>, given: &BTreeSet<NodeName>) -> bool {
        let node = NodeName::new(&name.value);
        if given.contains(&node) {
            self.refuse_given(name, &node);
            return false;
        }
        match self.graph.node(&node) {
            Some(Node::Stage(_)) => true,
            Some(Node::Source(_)) => {
                let help = "expect rows of stages only".to_owned();
                self.refuse(codes::FIXTURE_NODE, &name.span, format!("`{node}` is a source"), Some(help));
                false
            }
            None => {
                let help =
                    did_you_mean(&name.value, "stages are", self.graph.stages.iter().map(|stage| stage.name.as_str()));
                self.refuse(codes::FIXTURE_NODE, &name.span, format!("`{node}` is not a stage"), help);
                false
            }
        }
    }

    /// The stages that run: the selected ones, else all that the expected stages need.
    fn stages(&mut self, wanted: &BTreeMap<NodeName, Span>, given: &BTreeSet<NodeName>) -> BTreeSet<NodeName> {
        let select: Vec<&str> = self.spec.select.iter().map(|term| term.value.as_str()).collect();
        let Some(first) = self.spec.select.first() else { return self.required_stages(wanted, given) };
        match self.graph.select(&select, &[]) {
            Ok(selected) => {
                let stages = selected.into_iter().filter(|name| self.graph.stage(name).is_some());
                let stages: BTreeSet<NodeName> = stages.filter(|name| !given.contains(name)).collect();
                for (name, span) in wanted.iter().filter(|(name, _)| !stages.contains(*name)) {
                    let help = "extend `select`, or leave it out".to_owned();
                    self.refuse(codes::FIXTURE_UNUSED, span, format!("`{name}` is not selected"), Some(help));
                }
                stages
            }
            Err(found) => {
                let at = |problem: &Problem| Problem { labels: Vec::new(), ..problem.clone() }.at(&first.span);
                self.problems.extend(found.iter().map(at));
                BTreeSet::new()
            }
        }
    }

    fn required_stages(&self, wanted: &BTreeMap<NodeName, Span>, given: &BTreeSet<NodeName>) -> BTreeSet<NodeName> {
        let mut needed = BTreeSet::new();
        let mut waiting: Vec<&Stage> = wanted.keys().filter_map(|name| self.graph.stage(name)).collect();
        while let Some(stage) = waiting.pop() {
            if !given.contains(&stage.name) && needed.insert(stage.name.clone()) {
                waiting.extend(stage.reads.iter().filter_map(|name| self.graph.stage(name)));
            }
        }
        needed
    }

    /// Whether a source has inline rows.
    fn has_inline_rows(&self, name: &NodeName) -> bool {
        self.graph.sources.get(name).is_some_and(|source| matches!(source.kind, SourceKind::Rows(_)))
    }

    /// Everything that is read must be given or computed, and everything that is given must be read.
    fn check_path(&mut self, stages: &BTreeSet<NodeName>, given: &BTreeSet<NodeName>) {
        let Some(first) = self.spec.turns.first() else { return };
        if stages.is_empty() {
            // A stage that does not exist was already reported.
            if first.expect.is_empty() && self.spec.select.is_empty() {
                let help = "name stages under `expect` or `select`".to_owned();
                self.refuse(codes::FIXTURE_NOTHING, &first.span, "no stage is to run".to_owned(), Some(help));
            }
            return;
        }
        let mut missing: BTreeMap<&NodeName, &NodeName> = BTreeMap::new();
        let mut read = BTreeSet::new();
        for stage in stages.iter().filter_map(|name| self.graph.stage(name)) {
            read.extend(&stage.reads);
            let is_there =
                |name: &NodeName| given.contains(name) || stages.contains(name) || self.has_inline_rows(name);
            for name in stage.reads.iter().filter(|name| !is_there(name)) {
                missing.entry(name).or_insert(&stage.name);
            }
        }
        let place = self.spec.select.first().map_or(&first.span, |select| &select.span);
        for (name, reader) in missing {
            let help = format!("add it under `given` of the first turn, or another stage between it and `{reader}`");
            let message = format!("`{reader}` reads `{name}`, which is neither given nor computed");
            self.refuse(codes::FIXTURE_PATH, place, message, Some(help));
        }
        for given in &first.given {
            let name = NodeName::new(&given.name.value);
            if !read.contains(&name) && self.graph.node(&name).is_some() {
                let help = "remove it, or expect something that needs it".to_owned();
                let message = format!("`{name}` is given, and no stage that runs reads it");
                self.refuse(codes::FIXTURE_UNUSED, &given.name.span, message, Some(help));
            }
        }
    }

    /// The expected content of a table. What its contract defines is checked now, the rest when the table exists.
    fn expected(&mut self, spec: &ExpectSpec) -> Option<Expected> {
        let name = NodeName::new(&spec.name.value);
        let stage = self.graph.stage(&name).or_else(|| self.graph.quarantined_stage(&name))?;
        let compared = spec.columns.as_ref().unwrap_or(&spec.rows.columns);
        // Rows in quarantine have more columns, and several may have the same key.
        let is_quarantine = stage.name != name;
        let contract = stage.contract.as_ref().map(|contract| &contract.value).filter(|_| !is_quarantine);
        if let Some(contract) = contract.filter(|contract| contract.evolution != Evolution::Additive) {
            let columns: Vec<(String, ContractType)> =
                contract.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect();
            compared.iter().for_each(|column| check_name(column, stage.name.as_str(), &columns, self.problems));
            for (column, literal) in spec.rows.rows.iter().flat_map(|row| &row.values) {
                if let Some((_, of)) = columns.iter().find(|(name, _)| *name == column.value)
                    && let Err(error) = literal.to_cell(of)
                {
                    report_mismatch(error, self.problems);
                }
            }
        }
        let columns: Vec<String> = compared.iter().map(|column| column.value.clone()).collect();
        for column in spec.key.iter().filter(|column| !columns.contains(&column.value)) {
            let message = format!("the key names `{}`, which is not among the expected columns", column.value);
            self.refuse(codes::ROWS_COLUMN, &column.span, message, None);
        }
        let key = match spec.key.is_empty() {
            false => spec.key.iter().map(|column| column.value.clone()).collect(),
            true if is_quarantine => Vec::new(),
            true if stage.table.key.iter().all(|column| columns.contains(column)) => stage.table.key.clone(),
            true => Vec::new(),
        };
        let null = |span: &Span| Literal { span: span.clone(), value: LiteralValue::Null };
        let rows = spec.rows.rows.iter().map(|row| {
            columns.iter().map(|column| row.get(column).cloned().unwrap_or_else(|| null(&row.span))).collect()
        });
        let rows = rows.collect();
        Some(Expected { stage: name, columns, key, tolerance: spec.tolerance, rows })
    }
}
