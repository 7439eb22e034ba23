//! Past and present runs.

use std::collections::BTreeSet;

use windlass_base::ids::{NodeName, RunId};
use windlass_base::suggest::did_you_mean;
use windlass_evidence::bundle::{BundleReader, ListedRun};
use windlass_evidence::diff::{RunDiff, diff};
use windlass_evidence::lineage::LineageMap;
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::table::Materialize;

use crate::error::{ClientError, runs_back};

/// How many runs are looked at to know the lineage of all tables.
const MOST_RUNS: usize = 100;

/// The runs of a pipeline: their bundles, with the plans and metrics of every stage, and which are active.
#[derive(Debug)]
pub struct Runs {
    /// Reads the bundles.
    pub bundles: BundleReader,
    /// The active runs.
    pub live: BTreeSet<RunId>,
    /// The runs that wait in the cluster's queue and have no bundle yet, newest first.
    pub queued: Vec<QueuedRun>,
}

/// A run that waits in the queue of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedRun {
    /// The run.
    pub run_id: RunId,
    /// Its place in the queue, counted from 1. Runs of other pipelines are in the same queue.
    pub position: u32,
    /// The target of the project, if it has one.
    pub target: Option<String>,
}

impl Runs {
    /// The newest runs first, at most `limit`: of one target of the project, or of all.
    ///
    /// # Errors
    /// [`ClientError::Bundle`] if the runs cannot be listed. A run that cannot be read is among all, with the reason.
    pub async fn list(&self, target: Option<&str>, limit: usize) -> Result<Vec<ListedRun>, ClientError> {
        let Some(target) = target else { return Ok(self.bundles.list(&self.live, Some(limit)).await?) };
        let mut listed = Vec::new();
        for run_id in self.bundles.run_ids().await? {
            if listed.len() == limit {
                break;
            }
            let record = self.bundles.run(&run_id, &self.live).await;
            if record.as_ref().is_ok_and(|record| record.target.as_deref() == Some(target)) {
                listed.push(ListedRun { run_id, record });
            }
        }
        Ok(listed)
    }

    /// Finds the run for `wanted`: an id, a prefix of one, `latest`, `previous`, or `latest~3` for the third before the
    /// newest.
    ///
    /// # Errors
    /// [`ClientError::NoSuchRun`] if none or several match.
    pub async fn find(&self, wanted: &str) -> Result<RunId, ClientError> {
        self.find_for(wanted, None).await
    }

    /// As [`Runs::find`]; `latest` is the newest run of `target`, if that is given, and so on.
    ///
    /// # Errors
    /// As [`Runs::find`].
    pub async fn find_for(&self, wanted: &str, target: Option<&str>) -> Result<RunId, ClientError> {
        if let Some(back) = runs_back(wanted) {
            let found = match target {
                Some(_) => self.list(target, back.saturating_add(1)).await?.into_iter().map(|run| run.run_id).nth(back),
                None => self.bundles.run_ids().await?.into_iter().nth(back),
            };
            return found.ok_or_else(|| ClientError::NoSuchRun { wanted: wanted.to_owned(), several: false });
        }
        only_match(&self.bundles.run_ids().await?, wanted)
    }

    /// As [`Runs::find_for`], also among the runs that wait in the queue; `latest` and the like are runs that have begun.
    ///
    /// # Errors
    /// As [`Runs::find`].
    pub async fn find_to_cancel(&self, wanted: &str, target: Option<&str>) -> Result<RunId, ClientError> {
        if runs_back(wanted).is_some() {
            return self.find_for(wanted, target).await;
        }
        let mut ids = self.bundles.run_ids().await?;
        ids.extend(self.queued.iter().map(|run| run.run_id.clone()));
        only_match(&ids, wanted)
    }

    /// What the tables of a pipeline were made of, by the newest runs of its target: as many as it takes to know all of its
    /// tables, and no more than the newest 100 of this home.
    ///
    /// # Errors
    /// [`ClientError::Bundle`] if the runs cannot be listed, or a lineage cannot be read. Runs that cannot be read are left out.
    pub async fn lineage(&self, graph: &PipelineGraph) -> Result<LineageMap, ClientError> {
        let tables = graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
        let tables: Vec<&NodeName> = tables.map(|stage| &stage.name).collect();
        let mut map = LineageMap::default();
        for run_id in self.bundles.run_ids().await?.into_iter().take(MOST_RUNS) {
            if tables.iter().all(|table| map.is_complete(table)) {
                break;
            }
            let record = self.bundles.run(&run_id, &self.live).await;
            if !record.is_ok_and(|record| record.pipeline == graph.name && record.target == graph.target) {
                continue;
            }
            // A run that has not ended has none yet.
            if let Some(lineage) = self.bundles.lineage(&run_id).await? {
                map.add(&run_id, lineage);
            }
        }
        Ok(map)
    }

    /// What differs between two runs, and the likeliest cause of each slowdown; with `stage` only of that one.
    ///
    /// # Errors
    /// [`ClientError::Bundle`] if a bundle cannot be read, and [`ClientError::NotInRuns`] if neither run has the stage.
    pub async fn diff(&self, before: &RunId, after: &RunId, stage: Option<&NodeName>) -> Result<RunDiff, ClientError> {
        let before = self.bundles.evidence(before, &self.live, stage).await?;
        let after = self.bundles.evidence(after, &self.live, stage).await?;
        let Some(stage) = stage else { return Ok(diff(&before, &after)) };
        let mut names: Vec<&NodeName> =
            before.run.stages.iter().chain(&after.run.stages).map(|summary| &summary.stage).collect();
        names.sort_unstable();
        names.dedup();
        if !names.contains(&stage) {
            let help = did_you_mean(stage.as_str(), "the runs have", names.into_iter().map(NodeName::as_str));
            return Err(ClientError::NotInRuns { stage: stage.clone(), help });
        }
        Ok(diff(&before, &after).of_stage(stage))
    }
}

/// The run with that id, or the only one whose id begins so.
fn only_match(ids: &[RunId], wanted: &str) -> Result<RunId, ClientError> {
    if let Some(run) = ids.iter().find(|run| run.as_str() == wanted) {
        return Ok(run.clone());
    }
    let mut matching = ids.iter().filter(|run| run.as_str().starts_with(wanted));
    match (matching.next(), matching.next()) {
        (Some(run), None) => Ok(run.clone()),
        (found, _) => Err(ClientError::NoSuchRun { wanted: wanted.to_owned(), several: found.is_some() }),
    }
}
