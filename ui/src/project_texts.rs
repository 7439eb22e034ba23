//! What the project says about its stages, which bundles do not repeat.

use std::collections::BTreeMap;

use windlass_base::ids::{NodeName, PipelineName};
use windlass_evidence::artifact::RunRecord;
use windlass_project::graph::PipelineGraph;

/// The descriptions and queries of a project.
#[derive(Debug, Clone)]
pub struct ProjectTexts {
    pipeline: PipelineName,
    fingerprint: String,
    stages: BTreeMap<NodeName, StageText>,
}

/// What a project says about a stage.
#[derive(Debug, Clone)]
pub(crate) struct StageText {
    /// What it computes.
    pub(crate) description: Option<String>,
    /// Its file, below the project's folder.
    pub(crate) file: String,
    /// Its query; none for a stage that is a plan.
    pub(crate) sql: Option<String>,
}

impl ProjectTexts {
    /// The texts of a project.
    pub fn of(graph: &PipelineGraph) -> Self {
        let stages = graph.stages.iter().map(|stage| {
            let text = StageText {
                description: stage.description.clone(),
                file: stage.query.file().to_string(),
                sql: stage.query.sql().map(|sql| sql.text.trim().to_owned()),
            };
            (stage.name.clone(), text)
        });
        Self { pipeline: graph.name.clone(), fingerprint: graph.files.fingerprint(), stages: stages.collect() }
    }

    /// What it says about a stage of a run, if the run is one of this pipeline.
    pub(crate) fn stage(&self, record: &RunRecord, stage: &NodeName) -> Option<&StageText> {
        self.stages.get(stage).filter(|_| record.pipeline == self.pipeline)
    }

    /// Whether the project's files are those that the run had.
    pub(crate) fn are_those_of(&self, record: &RunRecord) -> bool {
        record.project_fingerprint == self.fingerprint
    }
}
