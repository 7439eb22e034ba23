//! Reading bundles, finished or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use serde::de::DeserializeOwned;
use windlass_base::ids::{NodeName, RunId};

use crate::artifact::{
    BUNDLE_FORMAT, LineageRecord, LogEvent, PinsRecord, PlanRecord, PlanText, RegistrationsRecord, RunLayout,
    RunRecord, RunRequestRecord, RunStatus, StageRecord, StageSummary,
};

use super::error::RecordError;
use super::files::BundleFiles;
use super::metrics::decode_metrics;

/// Reads the bundles of a home.
///
/// A part that a run has not written, because it failed before or still runs, is `None`, not an error.
#[derive(Debug, Clone)]
pub struct BundleReader {
    bundles: Arc<dyn BundleFiles>,
}

/// A run as a list shows it.
#[derive(Debug)]
pub struct ListedRun {
    /// The run.
    pub run_id: RunId,
    /// Its record, or why there is none that can be read.
    pub record: Result<RunRecord, RecordError>,
}

impl BundleReader {
    /// Reads the bundles of `bundles`.
    pub fn new(bundles: Arc<dyn BundleFiles>) -> Self {
        Self { bundles }
    }

    /// The newest runs first, at most `limit` of them. `live` are the runs that a process is driving, by their leases:
    /// any other without an end shows as interrupted. What is left of a bundle that is being removed is no run.
    pub async fn list(&self, live: &BTreeSet<RunId>, limit: Option<usize>) -> Result<Vec<ListedRun>, RecordError> {
        let mut runs = Vec::new();
        for run_id in self.run_ids().await? {
            if limit.is_some_and(|limit| runs.len() == limit) {
                break;
            }
            let record = self.run(&run_id, live).await;
            if !record.as_ref().is_err_and(RecordError::is_no_such_run) {
                runs.push(ListedRun { run_id, record });
            }
        }
        Ok(runs)
    }

    /// The runs that have a bundle, the newest first.
    pub async fn run_ids(&self) -> Result<Vec<RunId>, RecordError> {
        let mut run_ids = self.bundles.run_ids().await?;
        run_ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(run_ids)
    }

    /// One run; `live` as for [`BundleReader::list`].
    pub async fn run(&self, run_id: &RunId, live: &BTreeSet<RunId>) -> Result<RunRecord, RecordError> {
        let path = RunLayout::new(run_id.clone()).run();
        let Some(value) = self.part::<serde_json::Value>(path.clone()).await? else {
            return Err(RecordError::NoSuchRun { run_id: run_id.clone() });
        };
        let found = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        if found > BUNDLE_FORMAT {
            return Err(RecordError::Format { run_id: run_id.clone(), found, supported: BUNDLE_FORMAT });
        }
        let mut record: RunRecord = serde_json::from_value(value).map_err(|source| malformed(&path, source))?;
        if !record.status.is_over() && !live.contains(run_id) {
            record.status = RunStatus::Interrupted;
        }
        if !record.status.is_over() && record.stages.is_empty() {
            record.stages = self.stages_so_far(run_id).await?;
        }
        Ok(record)
    }

    /// The stages of a run that has not ended, as far as they have: in its record they stand at its end.
    async fn stages_so_far(&self, run_id: &RunId) -> Result<Vec<StageSummary>, RecordError> {
        let plan = self.plan(run_id).await?.unwrap_or_default();
        let mut stages = Vec::new();
        for decision in plan.stages.iter().filter(|stage| stage.decision.is_scheduled()) {
            if let Some(record) = self.stage(run_id, &decision.stage).await? {
                stages.push(StageSummary::of(&record));
            }
        }
        Ok(stages)
    }

    /// What a run was asked to do; none for runs of earlier versions of Windlass.
    pub async fn request(&self, run_id: &RunId) -> Result<Option<RunRequestRecord>, RecordError> {
        self.part(RunLayout::new(run_id.clone()).request()).await
    }

    /// The versions that a run reads.
    pub async fn pins(&self, run_id: &RunId) -> Result<Option<PinsRecord>, RecordError> {
        self.part(RunLayout::new(run_id.clone()).pins()).await
    }

    /// What was decided for each stage.
    pub async fn plan(&self, run_id: &RunId) -> Result<Option<PlanRecord>, RecordError> {
        self.part(RunLayout::new(run_id.clone()).plan()).await
    }

    /// What each version was made of.
    pub async fn lineage(&self, run_id: &RunId) -> Result<Option<LineageRecord>, RecordError> {
        self.part(RunLayout::new(run_id.clone()).lineage()).await
    }

    /// The tables as they were registered.
    pub async fn registrations(&self, run_id: &RunId) -> Result<Option<RegistrationsRecord>, RecordError> {
        self.part(RunLayout::new(run_id.clone()).registrations()).await
    }

    /// The log so far. A last line that is being written, or was cut short, is left out.
    pub async fn log(&self, run_id: &RunId) -> Result<Vec<LogEvent>, RecordError> {
        let path = RunLayout::new(run_id.clone()).log();
        let content = self.bundles.get(&path).await?.unwrap_or_default();
        let lines = complete_lines(&content).split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|source| malformed(&path, source))).collect()
    }

    /// A stage's attempts, tasks and operators.
    pub async fn stage(&self, run_id: &RunId, stage: &NodeName) -> Result<Option<StageRecord>, RecordError> {
        self.part(RunLayout::new(run_id.clone()).stage(stage)).await
    }

    /// A stage's operator metrics, in the columns of [`metrics_schema`](super::metrics_schema).
    pub async fn metrics(&self, run_id: &RunId, stage: &NodeName) -> Result<Option<Vec<RecordBatch>>, RecordError> {
        let path = RunLayout::new(run_id.clone()).metrics(stage);
        let Some(content) = self.bundles.get(&path).await? else { return Ok(None) };
        decode_metrics(content).map(Some).map_err(|source| RecordError::Arrow { path, source })
    }

    /// One of a stage's plan texts.
    pub async fn plan_text(
        &self,
        run_id: &RunId,
        stage: &NodeName,
        which: PlanText,
    ) -> Result<Option<String>, RecordError> {
        let path = RunLayout::new(run_id.clone()).plan_text(stage, which);
        let Some(content) = self.bundles.get(&path).await? else { return Ok(None) };
        String::from_utf8(content.into()).map(Some).map_err(|_| RecordError::NotText { path })
    }

    async fn part<T: DeserializeOwned>(&self, path: String) -> Result<Option<T>, RecordError> {
        let Some(content) = self.bundles.get(&path).await? else { return Ok(None) };
        serde_json::from_slice(&content).map(Some).map_err(|source| malformed(&path, source))
    }
}

/// The part of a log that a crash has not cut short.
pub fn complete_lines(content: &[u8]) -> &[u8] {
    let end = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    &content[..end]
}

fn malformed(path: &str, source: serde_json::Error) -> RecordError {
    RecordError::Malformed { path: path.to_owned(), source }
}
