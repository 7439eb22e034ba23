//! Selection: each form by example, and all of them against a naive model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::RenderStyle;

use super::{code_graph, graph_of};

fn selected(graph: &PipelineGraph, select: &[&str], exclude: &[&str]) -> String {
    let names =
        graph.select(select, exclude).unwrap_or_else(|problems| panic!("{}", problems.render(RenderStyle::default())));
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_form() {
    let graph = code_graph();
    let cases: &[(&[&str], &[&str], &str)] = &[
        (&[], &[], "cpg_edges cpg_nodes files files_clean history languages largest_files owners summary"),
        (&["cpg_nodes"], &[], "cpg_nodes"),
        (&["cpg_*"], &[], "cpg_edges cpg_nodes"),
        (&["cpg_nodes summary"], &[], "cpg_nodes summary"),
        (&["cpg_nodes", " summary  files "], &[], "cpg_nodes files summary"),
        (&["+cpg_nodes"], &[], "cpg_nodes files files_clean languages owners"),
        (&["1+cpg_nodes"], &[], "cpg_nodes files_clean languages"),
        (&["0+cpg_nodes"], &[], "cpg_nodes"),
        (&["files_clean+"], &[], "cpg_edges cpg_nodes files_clean largest_files summary"),
        (&["files_clean+1"], &[], "cpg_nodes files_clean largest_files"),
        (&["1+files_clean+1"], &[], "cpg_nodes files files_clean largest_files owners"),
        (&["@largest_files"], &[], "files files_clean largest_files owners"),
        (&["@cpg_edges"], &[], "cpg_edges cpg_nodes files files_clean history languages owners summary"),
        (&["source:*"], &[], "files history languages owners"),
        (&["source:history+"], &[], "cpg_edges history summary"),
        (&["tag:layer=semantic"], &[], "cpg_edges cpg_nodes"),
        (&["tag:layer=sem*+1"], &[], "cpg_edges cpg_nodes summary"),
        (&["tag:core"], &[], "largest_files"),
        (&["tag:graph"], &[], "cpg_edges cpg_nodes files_clean largest_files summary"),
        (&["tag:layer"], &["source:*"], "cpg_edges cpg_nodes files_clean largest_files summary"),
        (&["tag:layer=semantic,+summary"], &[], "cpg_edges cpg_nodes"),
        (&["cpg_nodes,summary"], &[], ""),
        (&["+summary"], &["+cpg_nodes", "history"], "cpg_edges summary"),
        (&[], &["*"], ""),
    ];
    for (select, exclude, expected) in cases {
        assert_eq!(selected(&graph, select, exclude), *expected, "{select:?} without {exclude:?}");
    }
}

#[test]
fn what_cannot_be_selected() {
    let graph = code_graph();
    let cases: &[(&[&str], &[&str])] = &[
        (&["cpg_node"], &[]),
        (&["summary", "+files_claen+2"], &["source:ownrs"]),
        (&["tag:layr"], &[]),
        (&["tag:layer=semantics"], &[]),
        (&["tag:"], &[]),
        (&["tag:=x"], &[]),
        (&["zz*"], &[]),
        (&["cpg_[", "a"], &[]),
        (&["state:modified+"], &[]),
        (&["result:error"], &[]),
        (&["tags:layer"], &[]),
        (&["a,,b"], &[]),
        (&["@cpg_nodes+"], &[]),
        (&["+"], &[]),
        (&["cpg+nodes"], &[]),
        (&["99999999999999999999+cpg_nodes"], &[]),
        (&["größe", "cpg_nodez"], &[]),
        (&[""], &[]),
    ];
    let mut reported = String::new();
    for (select, exclude) in cases {
        let problems = graph.select(select, exclude).expect_err("a selection that cannot be");
        reported.push_str(&format!("=== {select:?} {exclude:?}\n{}\n", problems.render(RenderStyle::default())));
    }
    insta::assert_snapshot!(reported);
}

/// A graph of stages `s0`, `s1`, …: each reads those of the previous ones that its bits select. Tags are by number.
fn numbered(reads: &[u16]) -> PipelineGraph {
    let mut files = vec![("windlass.yaml".to_owned(), "name: p\n".to_owned())];
    for (stage, bits) in reads.iter().enumerate() {
        let from: Vec<String> = (0..stage).filter(|other| bits & (1 << other) != 0).map(|n| format!("s{n}")).collect();
        let from = if from.is_empty() { String::new() } else { format!(" FROM {}", from.join(", ")) };
        let header = format!("/* windlass {{ tags: {{ third: r{} }} }} */", stage % 3);
        files.push((format!("stages/s{stage}.sql"), format!("{header} SELECT 1 AS x{from}")));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    graph_of(&files)
}

#[derive(Debug, Clone)]
struct ModelTerm {
    by_tag: bool,
    number: usize,
    reads: Option<Option<usize>>,
    readers: Option<Option<usize>>,
    at: bool,
}

impl ModelTerm {
    fn text(&self) -> String {
        let core = if self.by_tag { format!("tag:third=r{}", self.number % 3) } else { format!("s{}", self.number) };
        let hops = |hops: Option<usize>| hops.map(|count| count.to_string()).unwrap_or_default();
        if self.at {
            return format!("@{core}");
        }
        let before = self.reads.map(|count| format!("{}+", hops(count))).unwrap_or_default();
        let behind = self.readers.map(|count| format!("+{}", hops(count))).unwrap_or_default();
        format!("{before}{core}{behind}")
    }

    /// By the distances between all pairs of stages.
    fn nodes(&self, distance: &BTreeMap<(usize, usize), usize>, count: usize) -> BTreeSet<usize> {
        let matched = |n: &usize| if self.by_tag { n % 3 == self.number % 3 } else { *n == self.number };
        let within = |from: usize, to: usize, hops: Option<usize>| {
            distance.get(&(from, to)).is_some_and(|steps| hops.is_none_or(|hops| *steps <= hops))
        };
        let all = 0..count;
        let taken = |n: usize| {
            all.clone().filter(matched).any(|m| {
                n == m
                    || self.at && all.clone().any(|reader| within(reader, m, None) && within(reader, n, None))
                    || !self.at && self.reads.is_some_and(|hops| within(m, n, hops))
                    || !self.at && self.readers.is_some_and(|hops| within(n, m, hops))
            })
        };
        all.clone().filter(|n| taken(*n)).collect()
    }
}

/// The number of edges from each stage to each other stage.
fn distances(reads: &[u16]) -> BTreeMap<(usize, usize), usize> {
    let mut distance = BTreeMap::new();
    for from in 0..reads.len() {
        distance.insert((from, from), 0);
        for (via, bits) in reads.iter().enumerate().take(from + 1).rev() {
            let Some(steps) = distance.get(&(from, via)).copied() else { continue };
            for to in (0..via).filter(|to| bits & (1 << to) != 0) {
                let least = distance.entry((from, to)).or_insert(steps + 1);
                *least = (*least).min(steps + 1);
            }
        }
    }
    distance
}

fn term(count: usize) -> impl Strategy<Value = ModelTerm> {
    let hops = || proptest::option::of(proptest::option::of(0_usize..4));
    let tagged = proptest::bool::weighted(0.3).prop_map(move |by_tag| by_tag && count >= 3);
    (tagged, 0..count, hops(), hops(), proptest::bool::weighted(0.2))
        .prop_map(|(by_tag, number, reads, readers, at)| ModelTerm { by_tag, number, reads, readers, at })
}

type Union = Vec<Vec<ModelTerm>>;

fn union(count: usize, least: usize) -> impl Strategy<Value = Union> {
    proptest::collection::vec(proptest::collection::vec(term(count), 1..3), least..3)
}

fn graph_and_selection() -> impl Strategy<Value = (Vec<u16>, Union, Union)> {
    proptest::collection::vec(any::<u16>(), 1..10).prop_flat_map(|reads| {
        let count = reads.len();
        (Just(reads), union(count, 1), union(count, 0))
    })
}

fn model(union: &Union, distance: &BTreeMap<(usize, usize), usize>, count: usize) -> BTreeSet<usize> {
    let all: BTreeSet<usize> = (0..count).collect();
    let of_part = |part: &Vec<ModelTerm>| {
        part.iter()
            .fold(all.clone(), |common, term| common.intersection(&term.nodes(distance, count)).copied().collect())
    };
    union.iter().flat_map(of_part).collect()
}

fn text(union: &Union) -> Vec<String> {
    union.iter().map(|part| part.iter().map(ModelTerm::text).collect::<Vec<_>>().join(",")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model((reads, select, exclude) in graph_and_selection()) {
        let graph = numbered(&reads);
        let distance = distances(&reads);
        let found = graph.select(&text(&select), &text(&exclude)).expect("a selection that can be");
        let found: BTreeSet<String> = found.iter().map(|name| name.to_string()).collect();
        let kept = model(&select, &distance, reads.len());
        let dropped = model(&exclude, &distance, reads.len());
        let expected: BTreeSet<String> = kept.difference(&dropped).map(|n| format!("s{n}")).collect();
        prop_assert_eq!(found, expected);
    }
}
