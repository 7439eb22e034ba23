//! Cycles: listed in the order of their edges, each edge shown where the SQL creates it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::spec::codes;
use crate::spec::pipeline::StageSpec;
use crate::spec::{Problem, Span};

/// One problem for each group of stages that depend on each other in a cycle.
///
/// `edges` contains, per stage, the stages that it reads and where.
pub(super) fn problems(stages: &[StageSpec], edges: &[BTreeMap<usize, Span>]) -> Vec<Problem> {
    let mut graph = DiGraphMap::<usize, ()>::new();
    for (from, reads) in edges.iter().enumerate() {
        graph.add_node(from);
        for to in reads.keys() {
            graph.add_edge(from, *to, ());
        }
    }
    let mut problems = Vec::new();
    for group in tarjan_scc(&graph) {
        let group: BTreeSet<usize> = group.into_iter().collect();
        let Some(first) = group.iter().copied().min_by_key(|stage| &stages[*stage].name.value) else { continue };
        if let Some(cycle) = shortest_cycle(first, &group, edges) {
            problems.push(problem(&cycle, stages, edges));
        }
    }
    problems
}

/// The shortest way along `edges` from a stage back to itself, inside a group.
fn shortest_cycle(start: usize, group: &BTreeSet<usize>, edges: &[BTreeMap<usize, Span>]) -> Option<Vec<usize>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(stage) = queue.pop_front() {
        for next in edges[stage].keys().copied().filter(|next| group.contains(next)) {
            if next == start {
                let mut path = vec![stage];
                let mut at = stage;
                while let Some(before) = came_from.get(&at) {
                    path.push(*before);
                    at = *before;
                }
                path.reverse();
                return Some(path);
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(next) {
                entry.insert(stage);
                queue.push_back(next);
            }
        }
    }
    None
}

fn problem(cycle: &[usize], stages: &[StageSpec], edges: &[BTreeMap<usize, Span>]) -> Problem {
    let name = |stage: usize| stages[stage].name.value.as_str();
    if let [only] = cycle {
        let message = format!("stage `{}` reads itself", name(*only));
        let problem = Problem::new(codes::CYCLE, message).help("read the stages or sources that it is made from");
        return edges[*only].get(only).into_iter().fold(problem, |problem, span| problem.at(span));
    }
    let ring = cycle.iter().chain(cycle.first());
    let path = ring.map(|stage| format!("`{}`", name(*stage))).collect::<Vec<_>>().join(" reads ");
    let mut problem = Problem::new(codes::CYCLE, format!("stages depend on each other in a cycle: {path}"))
        .help("remove one of these reads");
    for (index, from) in cycle.iter().enumerate() {
        let to = cycle[(index + 1) % cycle.len()];
        if let Some(span) = edges[*from].get(&to) {
            problem = problem.label(span, format!("`{}` reads `{}`", name(*from), name(to)));
        }
    }
    problem
}
