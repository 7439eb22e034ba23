//! The result of a plain run.

use serde::{Deserialize, Serialize};
use windlass_base::ids::NodeName;
use windlass_project::graph::Stage;
use windlass_project::spec::table::Materialize;

/// The result of a plain run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlainReport {
    /// The stages in the order in which they ran.
    pub stages: Vec<PlainStage>,
    /// Seconds until every source was listed and registered, including reading the project.
    pub sources_seconds: f64,
    /// Seconds in all.
    pub seconds: f64,
}

/// The result of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlainStage {
    /// The stage.
    pub stage: NodeName,
    /// What happened to its rows.
    pub materialize: Materialize,
    /// Rows of its table or cache; 0 for a view.
    pub rows: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// How many data files it has.
    pub files: u64,
    /// Seconds for planning, running and writing it.
    pub seconds: f64,
}

/// The data files of a table or cache.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Files {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
}

impl PlainStage {
    pub(super) fn view(stage: &Stage) -> Self {
        Self::written(stage, Files::default())
    }

    pub(super) fn written(stage: &Stage, files: Files) -> Self {
        let Files { rows, bytes, files } = files;
        Self { stage: stage.name.clone(), materialize: stage.materialize, rows, bytes, files, seconds: 0.0 }
    }
}
