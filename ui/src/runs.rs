//! Reads runs for pages: only those that a page shows, and sealed ones once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use parking_lot::Mutex;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{RunRecord, RunStatus, StageSummary};
use windlass_evidence::bundle::{BundleReader, RecordError};

use crate::error::UiError;
use crate::source::{OpenRuns, RunSource};

/// As many runs are on one page.
pub(crate) const PAGE_RUNS: usize = 50;
/// As many runs are read in search of those that a filter lets pass, before the page ends.
const MAX_SEARCHED: usize = 2_000;
/// As many records are kept.
const MAX_KEPT: usize = 5_000;

/// The records of runs that have ended, which do not change any more.
#[derive(Debug, Default)]
pub(crate) struct SealedRecords(Mutex<BTreeMap<RunId, Arc<RunRecord>>>);

impl SealedRecords {
    fn get(&self, run_id: &RunId) -> Option<Arc<RunRecord>> {
        self.0.lock().get(run_id).cloned()
    }

    fn keep(&self, record: &Arc<RunRecord>) {
        if record.status.is_over() {
            let mut kept = self.0.lock();
            kept.insert(record.run_id.clone(), record.clone());
            if kept.len() > MAX_KEPT {
                kept.pop_first();
            }
        }
    }

    /// The pipelines of the runs that were read until now.
    fn pipelines(&self) -> BTreeSet<String> {
        self.0.lock().values().map(|record| record.pipeline.to_string()).collect()
    }
}

/// The runs of a home at the time of a request.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    /// Reads the bundles.
    pub(crate) bundles: BundleReader,
    live: Arc<BTreeSet<RunId>>,
    sealed: Arc<SealedRecords>,
}

/// A run of a page: its record, or why there is none that can be read.
#[derive(Debug)]
pub(crate) struct ReadRun {
    /// The run.
    pub(crate) run_id: RunId,
    /// Its record.
    pub(crate) record: Result<Arc<RunRecord>, RecordError>,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RunFilter {
    /// Those of one pipeline.
    pub(crate) pipeline: Option<String>,
    /// Those that ended so, or are under way.
    pub(crate) status: Option<RunStatus>,
    /// Those with a stage of this name.
    pub(crate) stage: Option<NodeName>,
}

/// A page of runs, the newest first.
#[derive(Debug, Default)]
pub(crate) struct RunPage {
    /// The runs.
    pub(crate) runs: Vec<ReadRun>,
    /// Where the next page begins: with the runs before this one. None if there is no older run.
    pub(crate) older: Option<RunId>,
}

impl RunFilter {
    /// Whether a run is wanted. A run that cannot be read is among all, and under no filter.
    fn accepts(&self, run: &ReadRun) -> bool {
        let record = match &run.record {
            Ok(record) => record,
            // What is left of a bundle that is being removed is no run.
            Err(error) => return *self == Self::default() && !error.is_no_such_run(),
        };
        self.pipeline.as_ref().is_none_or(|pipeline| record.pipeline.as_str() == pipeline)
            && self.status.is_none_or(|status| record.status == status)
            && self.stage.as_ref().is_none_or(|stage| summary_of(record, stage).is_some())
    }
}

/// How a stage of a run ended.
pub(crate) fn summary_of<'r>(record: &'r RunRecord, stage: &NodeName) -> Option<&'r StageSummary> {
    record.stages.iter().find(|summary| summary.stage == *stage)
}

impl Runs {
    /// The runs of `source` as of now.
    pub(crate) async fn open(source: &dyn RunSource, sealed: Arc<SealedRecords>) -> Result<Self, UiError> {
        let OpenRuns { bundles, live } = source.runs().await?;
        Ok(Self { bundles, live: Arc::new(live), sealed })
    }

    /// One run, as it is now.
    pub(crate) async fn run(&self, run_id: &RunId) -> Result<RunRecord, UiError> {
        Ok(self.bundles.run(run_id, &self.live).await?)
    }

    /// A page of the runs that are wanted, of those before `before`. Runs are read side by side, at first as many as fit on
    /// the page, and more only if some of these are not wanted.
    pub(crate) async fn page(
        &self,
        wanted: &RunFilter,
        before: Option<&RunId>,
        limit: usize,
    ) -> Result<RunPage, UiError> {
        let mut ids = self.bundles.run_ids().await?;
        if let Some(before) = before {
            ids.retain(|id| id < before);
        }
        let mut page = RunPage::default();
        let mut read = 0;
        while read < ids.len() && page.runs.len() < limit && read < MAX_SEARCHED {
            let end = ids.len().min(read + limit - page.runs.len());
            let runs = join_all(ids[read..end].iter().cloned().map(|id| self.clone().read(id))).await;
            read = end;
            page.runs.extend(runs.into_iter().filter(|run| wanted.accepts(run)));
        }
        page.older = (0 < read && read < ids.len()).then(|| ids[read - 1].clone());
        Ok(page)
    }

    /// The pipelines that a filter can name.
    pub(crate) fn pipelines(&self) -> BTreeSet<String> {
        self.sealed.pipelines()
    }

    async fn read(self, run_id: RunId) -> ReadRun {
        if let Some(record) = self.sealed.get(&run_id) {
            return ReadRun { run_id, record: Ok(record) };
        }
        let record = self.bundles.run(&run_id, &self.live).await.map(Arc::new);
        if let Ok(record) = &record {
            self.sealed.keep(record);
        }
        ReadRun { run_id, record }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use axum::body::Bytes;
    use windlass_evidence::bundle::BundleFiles;

    use super::*;

    /// The bundles of runs with ascending ids, every tenth of which failed; counts what is read of them.
    #[derive(Debug)]
    struct Bundles {
        runs: usize,
        read: Mutex<Vec<String>>,
    }

    fn id(number: usize) -> RunId {
        RunId::new(format!("{number:032}"))
    }

    #[async_trait]
    impl BundleFiles for Bundles {
        async fn get(&self, path: &str) -> Result<Option<Bytes>, RecordError> {
            self.read.lock().push(path.to_owned());
            let run_id = path.split('/').nth(1).unwrap();
            let record = serde_json::json!({
                "format": 1, "run_id": run_id, "sequence": 1, "pipeline": "shop", "project_fingerprint": "f",
                "versions": { "windlass": "", "ballista": "", "datafusion": "", "deltalake": "" },
                "session_identity": "s", "host": "here", "started_at": "2026-01-01T00:00:00Z",
                "status": if run_id.ends_with('0') { "failed" } else { "succeeded" },
            });
            Ok(Some(Bytes::from(record.to_string())))
        }

        async fn run_ids(&self) -> Result<Vec<RunId>, RecordError> {
            Ok((0..self.runs).map(id).collect())
        }
    }

    fn opened(number: usize) -> (Arc<Bundles>, Runs) {
        let bundles = Arc::new(Bundles { runs: number, read: Mutex::default() });
        let runs = Runs { bundles: BundleReader::new(bundles.clone()), live: Arc::default(), sealed: Arc::default() };
        (bundles, runs)
    }

    fn ids(page: &RunPage) -> Vec<RunId> {
        page.runs.iter().map(|run| run.run_id.clone()).collect()
    }

    #[tokio::test]
    async fn a_page_reads_no_more_runs_than_it_shows_and_each_once() {
        let (bundles, runs) = opened(120);
        for _ in 0..3 {
            let page = runs.page(&RunFilter::default(), None, PAGE_RUNS).await.unwrap();
            assert_eq!(ids(&page), (70..120).rev().map(id).collect::<Vec<_>>());
            assert_eq!(bundles.read.lock().len(), PAGE_RUNS);
        }
    }

    #[tokio::test]
    async fn pages_follow_one_another_without_gaps() {
        let (_, runs) = opened(120);
        for filter in [RunFilter::default(), RunFilter { pipeline: Some("shop".to_owned()), ..RunFilter::default() }] {
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let page = runs.page(&filter, before.as_ref(), PAGE_RUNS).await.unwrap();
                seen.extend(ids(&page));
                before = page.older;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(seen, (0..120).rev().map(id).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn filters_find_runs_wherever_they_are() {
        let (_, runs) = opened(120);
        let failed = RunFilter { status: Some(RunStatus::Failed), ..RunFilter::default() };
        let page = runs.page(&failed, None, PAGE_RUNS).await.unwrap();
        assert_eq!(ids(&page), (0..12).rev().map(|number| id(number * 10)).collect::<Vec<_>>());
        assert_eq!(page.older, None);
        let page = runs.page(&failed, None, 5).await.unwrap();
        assert_eq!((page.runs.len(), page.older.is_some()), (5, true));
        let other = RunFilter { pipeline: Some("other".to_owned()), ..RunFilter::default() };
        assert!(runs.page(&other, None, PAGE_RUNS).await.unwrap().runs.is_empty());
    }
}
