//! A part of a pipeline as a separate pipeline.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::{NodeName, PipelineName};

use super::{PipelineGraph, order};
use crate::spec::SourceSpec;

impl PipelineGraph {
    /// Only the stages in `stages`, under another name, with `sources` replacing the nodes of the same names. Together
    /// they must contain everything that these stages read.
    pub fn part(&self, name: PipelineName, stages: &BTreeSet<NodeName>, sources: Vec<SourceSpec>) -> Self {
        let stages: Vec<_> = self.stages.iter().filter(|stage| stages.contains(&stage.name)).cloned().collect();
        let readers = order::readers_of(&stages);
        let weights = order::weights(&stages, &readers);
        let index = stages.iter().enumerate().map(|(index, stage)| (stage.name.clone(), index)).collect();
        let sources = sources.into_iter().map(|source| (source.name.value.clone(), source)).collect();
        Self { name, sources, stages, index, readers, weights, targets: BTreeMap::new(), home: None, ..self.clone() }
    }
}
