//! A part of a pipeline as a pipeline of its own.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::{NodeName, PipelineName};

use super::{PipelineGraph, order};
use crate::spec::SourceSpec;

impl PipelineGraph {
    /// The stages of `stages` alone, under another name, reading `sources` in place of whatever had their names. Everything
    /// that those stages read must be among the two.
    pub fn part(&self, name: PipelineName, stages: &BTreeSet<NodeName>, sources: Vec<SourceSpec>) -> Self {
        let stages: Vec<_> = self.stages.iter().filter(|stage| stages.contains(&stage.name)).cloned().collect();
        let readers = order::readers_of(&stages);
        let weights = order::weights(&stages, &readers);
        let index = stages.iter().enumerate().map(|(index, stage)| (stage.name.clone(), index)).collect();
        let sources = sources.into_iter().map(|source| (source.name.value.clone(), source)).collect();
        Self { name, sources, stages, index, readers, weights, targets: BTreeMap::new(), home: None, ..self.clone() }
    }
}
