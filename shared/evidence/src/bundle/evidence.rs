//! What a comparison of runs needs of a bundle, read at once.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::{NodeName, RunId};

use super::error::RecordError;
use super::reader::BundleReader;
use crate::diff::{RunEvidence, StageEvidence};

impl BundleReader {
    /// What [`diff`](crate::diff::diff) needs of a run: with what its stages left behind, or only `stage`. `live` as for
    /// [`BundleReader::list`].
    ///
    /// # Errors
    /// [`RecordError`] if there is no such run, or a part of its bundle cannot be read.
    pub async fn evidence(
        &self,
        run_id: &RunId,
        live: &BTreeSet<RunId>,
        stage: Option<&NodeName>,
    ) -> Result<RunEvidence, RecordError> {
        let run = self.run(run_id, live).await?;
        let mut stages = BTreeMap::new();
        for summary in &run.stages {
            if stage.is_none_or(|stage| *stage == summary.stage) {
                stages.insert(summary.stage.clone(), self.stage_evidence(run_id, &summary.stage).await?);
            }
        }
        Ok(RunEvidence {
            run,
            pins: self.pins(run_id).await?,
            plan: self.plan(run_id).await?,
            lineage: self.lineage(run_id).await?,
            registrations: self.registrations(run_id).await?,
            stages,
        })
    }

    async fn stage_evidence(&self, run_id: &RunId, stage: &NodeName) -> Result<StageEvidence, RecordError> {
        let mut plans = BTreeMap::new();
        for which in StageEvidence::PLANS {
            if let Some(text) = self.plan_text(run_id, stage, which).await? {
                plans.insert(which, text);
            }
        }
        Ok(StageEvidence { record: self.stage(run_id, stage).await?, plans })
    }
}
