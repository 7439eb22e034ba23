//! A store that fails randomly before or after it acts: still one commit per run.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use windlass_base::error::Coded;
use windlass_delta::commit::{CommitOutcome, commit};

use super::lab::{Lab, open};

/// Fails a third of the requests once it is switched on: before they happen or, for puts, afterwards.
pub(crate) struct Faulty {
    inner: InMemory,
    failing: Arc<AtomicBool>,
    random: Mutex<StdRng>,
}

impl Faulty {
    pub(crate) fn new(seed: u64) -> (Arc<Self>, Arc<AtomicBool>) {
        let failing = Arc::new(AtomicBool::new(false));
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let store = Self { inner: InMemory::new(), failing: Arc::clone(&failing), random };
        (Arc::new(store), failing)
    }

    fn strikes(&self, odds: f64) -> Result<()> {
        if self.failing.load(Ordering::SeqCst) && self.random.lock().random_bool(odds) {
            return Err(Error::Generic { store: "faulty", source: "struck by the test".into() });
        }
        Ok(())
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let commits = options.mode == PutMode::Create;
        self.strikes(if commits { 0.4 } else { 0.1 })?;
        let result = self.inner.put_opts(location, payload, options).await?;
        self.strikes(if commits { 0.4 } else { 0.1 })?;
        Ok(result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.strikes(0.1)?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.strikes(0.1)?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.strikes(0.1) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.strikes(0.1) {
            Ok(()) => self.inner.list_with_offset(prefix, offset),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.strikes(0.1)?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn rows(lab: &Lab) -> RecordBatch {
    lab.rows("SELECT value AS id FROM generate_series(1, 3)").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_commits_once_whatever_the_store_answers() {
    let mut troubled = 0;
    for seed in 0..300 {
        let (store, failing) = Faulty::new(seed);
        let lab = Lab::in_memory(store);
        let rows = rows(&lab).await;
        let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
        for run in 1..=3 {
            let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
            let request = lab.request(&state, staged, run);
            failing.store(true, Ordering::SeqCst);
            // A driver calls again until it knows how the commit ended.
            let mut committed = 0;
            loop {
                match commit(&request, lab.stores()).await {
                    Ok(CommitOutcome::Committed(_)) => committed += 1,
                    Ok(CommitOutcome::AlreadyCommitted(_)) => {}
                    Ok(other) => panic!("seed {seed}, run {run}: {other:?}"),
                    Err(error) => {
                        assert!(error.is_retryable(), "seed {seed}, run {run}: {error}");
                        troubled += 1;
                        continue;
                    }
                }
                break;
            }
            failing.store(false, Ordering::SeqCst);
            assert!(committed <= 1, "seed {seed}");
            let version = open(&state.location, lab.stores(), None).await.version();
            assert_eq!(version, Some(run.cast_unsigned()), "seed {seed}");
        }
        assert_eq!(lab.read("t", &rows.schema()).await.num_rows(), 9, "seed {seed}");
    }
    println!("{troubled} calls ended without an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_created_once_whatever_the_store_answers() {
    for seed in 0..200 {
        let (store, failing) = Faulty::new(seed);
        let lab = Lab::in_memory(store);
        let rows = rows(&lab).await;
        let definition = lab.define("t", rows.schema());
        failing.store(true, Ordering::SeqCst);
        let state = loop {
            match lab.ensure(&definition).await {
                Ok(state) => break state,
                Err(error) => assert!(error.is_retryable(), "seed {seed}: {error}"),
            }
        };
        failing.store(false, Ordering::SeqCst);
        let table = lab.open("t", None).await;
        assert_eq!(table.version(), Some(0), "seed {seed}");
        assert_eq!(table.snapshot().unwrap().metadata().id(), state.table_id, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_data_file_is_an_io_error_that_a_cluster_retries() {
    let (mut failed, mut written) = (0, 0);
    for seed in 0..40 {
        let (store, failing) = Faulty::new(seed);
        let lab = Lab::in_memory(store);
        let rows = rows(&lab).await;
        let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
        let plan = lab.write_plan(state.write_spec("t"), &rows, 1).await;
        failing.store(true, Ordering::SeqCst);
        match lab.run(plan).await {
            Ok(staged) => {
                assert_eq!(staged.rows(), 3);
                written += 1;
            }
            Err(error) => {
                let root = error.find_root();
                assert!(matches!(root, datafusion::error::DataFusionError::IoError(_)), "seed {seed}: {error:?}");
                failed += 1;
            }
        }
    }
    assert!(failed > 0 && written > 0, "{failed} failed, {written} written");
}
