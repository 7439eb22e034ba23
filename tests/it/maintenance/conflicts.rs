//! Rewrites beside other writers: rows that they add stay, and a rewrite of what they change is given up.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::execution::object_store::ObjectStoreRegistry;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use url::Url;
use windlass_base::ids::AppId;
use windlass_delta::maintenance::{RewriteOutcome, RewriteRequest, bins, rewrite, rewrite_plan, table_facts};
use windlass_delta::scan::ScanOptions;
use windlass_evidence::artifact::MaintenanceKind;
use windlass_project::spec::table::WriteMode;
use windlass_scheduler::state::MemoryStore;

use super::direct::Direct;
use super::lab::{action, failures, of};
use crate::delta_read::tables::append;
use crate::delta_write::lab::Lab;
use crate::incremental::tables::open;

/// A table `t` of the ids 1 to 30, ten from each of three appends.
async fn table() -> Lab {
    let lab = Lab::on_disk();
    for run in 0..3 {
        let ids = format!("SELECT value AS id FROM generate_series({}, {})", run * 10 + 1, run * 10 + 10);
        let rows = lab.rows(&ids).await;
        lab.write(&lab.define("t", rows.schema()), &rows, WriteMode::Append, run + 1).await;
    }
    lab
}

/// The table's files written again as one, up to the commit: those of the newest version that pass.
async fn written(lab: &Lab, passes: impl Fn(usize) -> bool) -> RewriteRequest {
    let (facts, table) =
        table_facts(&lab.location("t"), &AppId::new("lab/stage"), lab.stores()).await.unwrap().unwrap();
    let chosen = facts.files.iter().enumerate().filter(|(place, _)| passes(*place));
    let replaced: Vec<String> = chosen.map(|(_, file)| file.path.clone()).collect();
    assert!(replaced.len() > 1, "{facts:?}");
    let options = ScanOptions::from_config(&lab.sessions.config());
    let files = bins(&table, std::slice::from_ref(&replaced), &options).unwrap();
    let input = lab.context.read_table(files.provider).unwrap().create_physical_plan().await.unwrap();
    let staged = lab.run(rewrite_plan(input, table.write_spec("t"), None).unwrap()).await.unwrap();
    assert_eq!((staged.files(), Some(staged.rows())), (1, files.rows));
    RewriteRequest {
        location: lab.location("t"),
        base: table.version(),
        replaced,
        rows: files.rows,
        staged,
        zorder: Vec::new(),
        target_file_bytes: 1024 * 1024,
        info: Default::default(),
    }
}

async fn ids(lab: &Lab) -> Vec<i64> {
    let like = lab.rows("SELECT value AS id FROM generate_series(1, 1)").await.schema();
    lab.read("t", &like).await.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_others_append_meanwhile_stay() {
    let lab = table().await;
    let request = written(&lab, |_| true).await;
    append(&lab.path("t"), lab.rows("SELECT value AS id FROM generate_series(31, 33)").await, &[]).await;
    let outcome = rewrite(&request, lab.stores()).await.unwrap();
    assert!(matches!(outcome, RewriteOutcome::Rewritten(version) if version.0 == request.base.0 + 2), "{outcome:?}");
    assert_eq!(ids(&lab).await, (1..=33).collect::<Vec<_>>());
    let actions = lab.newest_actions("t").await;
    assert_eq!((actions["add"].len(), actions["remove"].len()), (1, request.replaced.len()), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_of_a_file_from_which_others_delete_is_given_up() {
    let lab = table().await;
    let request = written(&lab, |_| true).await;
    open(&lab.path("t")).await.delete().with_predicate("id = 7").await.unwrap();
    let left: Vec<i64> = (1..=30).filter(|id| *id != 7).collect();
    let outcome = rewrite(&request, lab.stores()).await.unwrap();
    assert!(matches!(outcome, RewriteOutcome::Conflicted { .. }), "{outcome:?}");
    assert_eq!(ids(&lab).await, left);
    // Looked at again, the table can be rewritten.
    let outcome = rewrite(&written(&lab, |_| true).await, lab.stores()).await.unwrap();
    assert!(matches!(outcome, RewriteOutcome::Rewritten(_)), "{outcome:?}");
    assert_eq!(ids(&lab).await, left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_stands_if_others_delete_from_other_files() {
    let lab = table().await;
    let location = lab.location("t");
    let (facts, _) = table_facts(&location, &AppId::new("lab/stage"), lab.stores()).await.unwrap().unwrap();
    let request = written(&lab, |place| place + 1 < facts.files.len()).await;
    let kept = &facts.files.last().unwrap().path;
    assert!(!request.replaced.contains(kept));
    // Every row of the file that is left alone.
    let gone = ids_of(&lab, kept).await;
    let wanted = format!("id IN ({})", gone.iter().map(i64::to_string).collect::<Vec<_>>().join(", "));
    open(&lab.path("t")).await.delete().with_predicate(wanted.as_str()).await.unwrap();
    let outcome = rewrite(&request, lab.stores()).await.unwrap();
    assert!(matches!(outcome, RewriteOutcome::Rewritten(_)), "{outcome:?}");
    let left: Vec<i64> = (1..=30).filter(|id| !gone.contains(id)).collect();
    assert_eq!(ids(&lab).await, left);
}

/// The ids in one data file.
async fn ids_of(lab: &Lab, path: &str) -> Vec<i64> {
    let file = lab.path("t").join(path).display().to_string();
    let rows = lab.context.read_parquet(file, Default::default()).await.unwrap().collect().await.unwrap();
    rows.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// A store in which somebody else makes a commit just before one that is due.
struct Overtaken {
    inner: InMemory,
    commit: Mutex<Option<(Path, String)>>,
}

impl fmt::Debug for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overtaken")
    }
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overtaken")
    }
}

#[async_trait]
impl ObjectStore for Overtaken {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let first = self.commit.lock().take_if(|(path, _)| path == location);
        if let Some((path, text)) = first {
            self.inner.put_opts(&path, text.into_bytes().into(), PutOptions::default()).await?;
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_tells_of_a_rewrite_that_was_overtaken_and_nothing_is_lost() {
    let store = Arc::new(Overtaken { inner: InMemory::new(), commit: Mutex::default() });
    let direct = Direct::with_state(Arc::new(MemoryStore::default()));
    let url = Url::parse("memory://lake/").unwrap();
    direct.scheduler.sessions.stores().register_store(&url, Arc::clone(&store) as Arc<dyn ObjectStore>);
    direct.make_source().await;
    let stages = [("events", "mode: append, location: 'memory://lake/events'", "SELECT id, g, v FROM t")];
    let policy = "optimize: { small_files: 1 }, vacuum: off";
    let project = direct.project("writer", "t: { kind: delta, location: t }", policy, &stages);
    direct.run(&project).await;
    append(&direct.dir().join("t"), super::lab::numbers(10..20), &[]).await;
    direct.run(&project).await;

    // Another program removes the file of the second run, in the version that the turn is about to make.
    let commit = |version: u64| Path::from(format!("events/_delta_log/{version:020}.json"));
    let second = store.inner.get(&commit(2)).await.unwrap().bytes().await.unwrap();
    let lines = std::str::from_utf8(&second).unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let added: Vec<Value> = lines.filter_map(|action| action.get("add").cloned()).collect();
    let removes = added.iter().map(|add| {
        let remove = json!({"remove": {
            "path": add["path"], "deletionTimestamp": 0, "dataChange": true, "extendedFileMetadata": true,
            "partitionValues": {}, "size": add["size"],
        }});
        remove.to_string()
    });
    *store.commit.lock() = Some((commit(3), removes.collect::<Vec<_>>().join("\n")));

    let record = direct.turn(&project).await;
    let outcome = action(&record, "events", MaintenanceKind::Compact).outcome.clone().unwrap();
    let code = outcome.failure.as_ref().map(|failure| failure.code.as_str());
    assert_eq!(code, Some("WL0686"), "{:?}", of(&record, "events"));
    assert_eq!((outcome.version, outcome.files_removed), (None, 0), "{outcome:?}");
    let rows = direct.rows(&project, "SELECT * FROM events").await;
    assert_eq!(rows.len(), 10, "the rows of the first run: {rows:?}");

    let record = direct.turn(&project).await;
    assert_eq!(failures(&record), Vec::<String>::new());
    assert_eq!(direct.rows(&project, "SELECT * FROM events").await, rows);
}
