//! What the system tables need of a bundle.

use std::collections::BTreeSet;

use windlass_base::ids::RunId;

use crate::artifact::{PinRecord, RunRecord, StageDecision, StageLineage, StageRecord};
use crate::bundle::{BundleReader, RecordError};

/// A part of a bundle, besides `run.json`, which all tables need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// `pins.json`.
    Pins,
    /// `plan.json`.
    Plan,
    /// The `stage.json` of each stage.
    Stages,
    /// `lineage.json`, or what the stages have of it while the run has not ended.
    Lineage,
}

/// A bundle, as far as it was read.
#[derive(Debug)]
pub(super) struct RunParts {
    pub(super) run: RunRecord,
    pub(super) pins: Vec<PinRecord>,
    pub(super) decisions: Vec<StageDecision>,
    pub(super) stages: Vec<StageRecord>,
    pub(super) lineage: Vec<StageLineage>,
}

impl RunParts {
    /// Only `run.json`.
    pub(super) fn without_parts(run: RunRecord) -> Self {
        Self { pins: Vec::new(), decisions: Vec::new(), stages: Vec::new(), lineage: Vec::new(), run }
    }

    /// Reads the parts `wanted` of the bundle of `run`.
    pub(super) async fn read(
        reader: &BundleReader,
        run: RunRecord,
        wanted: &BTreeSet<Part>,
    ) -> Result<Self, RecordError> {
        let mut parts = Self::without_parts(run);
        let run_id = parts.run.run_id.clone();
        if wanted.contains(&Part::Pins) {
            parts.pins = reader.pins(&run_id).await?.unwrap_or_default().pins;
        }
        if wanted.contains(&Part::Plan) {
            parts.decisions = reader.plan(&run_id).await?.unwrap_or_default().stages;
        }
        let lineage = match wanted.contains(&Part::Lineage) {
            true => reader.lineage(&run_id).await?,
            false => None,
        };
        let lineage_of_stages = wanted.contains(&Part::Lineage) && lineage.is_none();
        if wanted.contains(&Part::Stages) || lineage_of_stages {
            parts.read_stages(reader, &run_id).await?;
        }
        parts.lineage = match lineage {
            Some(lineage) => lineage.stages,
            None => parts.stages.iter().filter_map(|record| record.lineage.clone()).collect(),
        };
        Ok(parts)
    }

    async fn read_stages(&mut self, reader: &BundleReader, run_id: &RunId) -> Result<(), RecordError> {
        for summary in &self.run.stages {
            if let Some(record) = reader.stage(run_id, &summary.stage).await? {
                self.stages.push(record);
            }
        }
        Ok(())
    }
}
