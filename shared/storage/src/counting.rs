//! Object stores that count what is asked of them.
//!
//! ```text
//! RuntimeEnv ─counting→ RuntimeEnv whose every store adds to one RequestCounts, over the same stores, pools and caches
//! ```

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::error::Result as EngineResult;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use url::Url;

/// The folder of a table's log.
const LOG_FOLDER: &str = "_delta_log";

/// What was asked of object stores. What a store's client asks again, because an answer failed, counts once.
#[derive(Debug, Default)]
pub struct RequestCounts {
    gets: AtomicU64,
    heads: AtomicU64,
    lists: AtomicU64,
    puts: AtomicU64,
    bytes_read: AtomicU64,
    log_requests: AtomicU64,
}

impl RequestCounts {
    /// The counts by their names in a bundle, always all of them and in the same order:
    ///
    /// - `store_gets`, `store_heads`, `store_lists`: requests for content, for metadata alone, and listings;
    /// - `store_puts`: requests that change something, each part of an upload included;
    /// - `store_bytes_read`: bytes of content asked for;
    /// - `store_log_requests`: how many of the requests were about a Delta log.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("store_gets", read(&self.gets)),
            ("store_heads", read(&self.heads)),
            ("store_lists", read(&self.lists)),
            ("store_puts", read(&self.puts)),
            ("store_bytes_read", read(&self.bytes_read)),
            ("store_log_requests", read(&self.log_requests)),
        ]
    }

    fn add(&self, count: &AtomicU64, requests: u64, path: &Path) {
        count.fetch_add(requests, Ordering::Relaxed);
        if path.parts().any(|part| part.as_ref() == LOG_FOLDER) {
            self.log_requests.fetch_add(requests, Ordering::Relaxed);
        }
    }

    fn listed(&self, prefix: Option<&Path>) {
        self.add(&self.lists, 1, prefix.unwrap_or(&Path::ROOT));
    }
}

/// `runtime` with stores that add what is asked of them to `counts`; everything else is shared with `runtime`.
pub fn counting(runtime: &RuntimeEnv, counts: &Arc<RequestCounts>) -> RuntimeEnv {
    let stores = Arc::clone(&runtime.object_store_registry);
    let stores = Arc::new(CountingStores { stores, counts: Arc::clone(counts) });
    RuntimeEnv { object_store_registry: stores, ..runtime.clone() }
}

#[derive(Debug)]
struct CountingStores {
    stores: Arc<dyn ObjectStoreRegistry>,
    counts: Arc<RequestCounts>,
}

impl ObjectStoreRegistry for CountingStores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.stores.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> EngineResult<Arc<dyn ObjectStore>> {
        self.stores.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> EngineResult<Arc<dyn ObjectStore>> {
        let inner = self.stores.get_store(url)?;
        Ok(Arc::new(CountingStore { inner, counts: Arc::clone(&self.counts) }))
    }
}

#[derive(Debug)]
struct CountingStore {
    inner: Arc<dyn ObjectStore>,
    counts: Arc<RequestCounts>,
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

// A method that falls back to its default would not be the inner store's own.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.counts.add(&self.counts.puts, 1, location);
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.counts.add(&self.counts.puts, 1, location);
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(CountingUpload { inner, location: location.clone(), counts: Arc::clone(&self.counts) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        self.counts.add(if head { &self.counts.heads } else { &self.counts.gets }, 1, location);
        let result = self.inner.get_opts(location, options).await?;
        if !head {
            self.counts.bytes_read.fetch_add(result.range.end - result.range.start, Ordering::Relaxed);
        }
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.counts.add(&self.counts.gets, merged(ranges), location);
        let bytes = self.inner.get_ranges(location, ranges).await?;
        self.counts.bytes_read.fetch_add(bytes.iter().map(|part| part.len() as u64).sum(), Ordering::Relaxed);
        Ok(bytes)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let counts = Arc::clone(&self.counts);
        let counted = locations.inspect(move |location| {
            if let Ok(location) = location {
                counts.add(&counts.puts, 1, location);
            }
        });
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts.listed(prefix);
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counts.listed(prefix);
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.counts.listed(prefix);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.counts.add(&self.counts.puts, 1, to);
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.counts.add(&self.counts.puts, 1, to);
        self.inner.rename_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    location: Path,
    counts: Arc<RequestCounts>,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.counts.add(&self.counts.puts, 1, &self.location);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.counts.add(&self.counts.puts, 1, &self.location);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.counts.add(&self.counts.puts, 1, &self.location);
        self.inner.abort().await
    }
}

/// How many requests a store's client makes of `ranges`: it reads those that are close to one another at once.
fn merged(ranges: &[Range<u64>]) -> u64 {
    let mut sorted: Vec<_> = ranges.iter().collect();
    sorted.sort_unstable_by_key(|range| range.start);
    let mut requests = 0;
    let mut end = None;
    for range in sorted {
        let close = end.is_some_and(|end| range.start <= end + OBJECT_STORE_COALESCE_DEFAULT);
        if !close {
            requests += 1;
        }
        end = end.max(Some(range.end));
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    fn counted() -> (CountingStore, Arc<RequestCounts>) {
        let counts = Arc::new(RequestCounts::default());
        (CountingStore { inner: Arc::new(InMemory::new()), counts: Arc::clone(&counts) }, counts)
    }

    #[tokio::test]
    async fn every_kind_of_request_is_counted() {
        let (store, counts) = counted();
        let (data, log) = (Path::from("t/part-0.parquet"), Path::from("t/_delta_log/00000000000000000000.json"));
        store.put(&data, vec![0; 100].into()).await.unwrap();
        store.put(&log, vec![0; 10].into()).await.unwrap();
        store.head(&data).await.unwrap();
        store.get(&log).await.unwrap().bytes().await.unwrap();
        store.get_range(&data, 0..7).await.unwrap();
        store.get_ranges(&data, &[0..20, 50..60]).await.unwrap();
        store.list(Some(&Path::from("t"))).try_collect::<Vec<_>>().await.unwrap();
        store.list_with_delimiter(Some(&Path::from("t/_delta_log"))).await.unwrap();
        let mut upload = store.put_multipart(&data).await.unwrap();
        upload.put_part(vec![1; 5].into()).await.unwrap();
        upload.complete().await.unwrap();
        store.delete(&log).await.unwrap();
        let expected = [
            ("store_gets", 3),
            ("store_heads", 1),
            ("store_lists", 2),
            ("store_puts", 6),
            ("store_bytes_read", 47),
            ("store_log_requests", 4),
        ];
        assert_eq!(counts.named(), expected);
    }

    #[test]
    fn ranges_far_apart_are_requests_of_their_own() {
        let far = 2 * OBJECT_STORE_COALESCE_DEFAULT;
        assert_eq!(merged(&[]), 0);
        assert_eq!(merged(&[far..far + 1, 0..10, 12..20]), 2);
    }
}
