//! Order and weights of an acyclic graph.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;

use super::Stage;
use crate::spec::table::Materialize;

/// Who reads each node, sorted.
pub(super) fn readers_of(stages: &[Stage]) -> BTreeMap<NodeName, Vec<NodeName>> {
    let mut readers: BTreeMap<NodeName, BTreeSet<NodeName>> = BTreeMap::new();
    for stage in stages {
        for read in &stage.reads {
            readers.entry(read.clone()).or_default().insert(stage.name.clone());
        }
    }
    readers.into_iter().map(|(name, readers)| (name, readers.into_iter().collect())).collect()
}

/// The stages, each after everything that it reads; ties are broken by name. Stages on a cycle are omitted.
pub(super) fn sort(stages: Vec<Stage>, readers: &BTreeMap<NodeName, Vec<NodeName>>) -> Vec<Stage> {
    let mut stages: BTreeMap<NodeName, Stage> = stages.into_iter().map(|stage| (stage.name.clone(), stage)).collect();
    let mut waiting: BTreeMap<NodeName, usize> = stages
        .values()
        .map(|stage| (stage.name.clone(), stage.reads.iter().filter(|read| stages.contains_key(*read)).count()))
        .collect();
    let mut ready: BTreeSet<NodeName> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| name.clone()).collect();
    let mut sorted = Vec::with_capacity(stages.len());
    while let Some(name) = ready.pop_first() {
        for reader in readers.get(&name).map(Vec::as_slice).unwrap_or_default() {
            if let Some(count) = waiting.get_mut(reader) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(reader.clone());
                }
            }
        }
        sorted.extend(stages.remove(&name));
    }
    sorted
}

/// Per stage, how many stages that write are on the longest path from it to one without readers, itself included.
pub(super) fn weights(sorted: &[Stage], readers: &BTreeMap<NodeName, Vec<NodeName>>) -> BTreeMap<NodeName, u32> {
    let mut weights: BTreeMap<NodeName, u32> = BTreeMap::new();
    for stage in sorted.iter().rev() {
        let behind = readers.get(&stage.name).map(Vec::as_slice).unwrap_or_default();
        let longest = behind.iter().filter_map(|reader| weights.get(reader)).max().copied().unwrap_or_default();
        let own = u32::from(stage.materialize != Materialize::View);
        weights.insert(stage.name.clone(), longest + own);
    }
    weights
}
