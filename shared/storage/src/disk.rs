//! A local disk whose puts last: when one has succeeded, the file, its name and its folder outlive a loss of power.
//!
//! ```text
//! put        staged file ─write→ sync ─link or rename→ synced folder
//! multipart  staged file ─parts→ … ─complete: rename→ synced file and folder
//! ```
//!
//! The operating system keeps what was written in memory for a while and may order it as it likes: a commit may be on the
//! disk before the data files that it names, or be there with no content. So each is synced before the next is begun.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use uuid::Uuid;

const NAME: &str = "LocalFileSystem";

/// The local disks of this machine, with puts that last.
#[derive(Debug, Clone, Default)]
pub(super) struct SyncedDisk {
    disk: LocalFileSystem,
}

impl fmt::Display for SyncedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

/// Whether nobody misses the file after a loss of power: what a run keeps for itself (`cache/<run>/…`), and the plans
/// and measurements of its stages (`runs/<run>/stages/…`), which no later run reads.
fn is_expendable(location: &Path) -> bool {
    let parts: Vec<_> = location.parts().collect();
    let part = |index: usize| parts.get(index).map(AsRef::as_ref);
    (0..parts.len()).any(|at| {
        let of_run = part(at + 1).is_some_and(|run| Uuid::try_parse(run).is_ok());
        of_run && (part(at) == Some("cache") || part(at) == Some("runs") && part(at + 2) == Some("stages"))
    })
}

// A method that falls back to its default would not be the disk's own.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for SyncedDisk {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return self.disk.put_opts(location, payload, options).await,
        };
        if is_expendable(location) || !options.attributes.is_empty() {
            return self.disk.put_opts(location, payload, options).await;
        }
        let path = self.disk.path_to_filesystem(location)?;
        blocking(move || put(&path, &payload, create)).await?;
        // The tag is looked up for callers that need it: it is not a part of the put.
        let e_tag = self.disk.head(location).await.ok().and_then(|meta| meta.e_tag);
        Ok(PutResult { e_tag, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if is_expendable(location) {
            return self.disk.put_multipart_opts(location, options).await;
        }
        let path = self.disk.path_to_filesystem(location)?;
        let folder = path.clone();
        blocking(move || folder.parent().map_or(Ok(()), make_folders).map_err(|error| failed(&folder, error))).await?;
        let upload = self.disk.put_multipart_opts(location, options).await?;
        Ok(Box::new(SyncedUpload { upload, path }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.disk.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.disk.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.disk.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.disk.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.disk.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.disk.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.disk.copy_opts(from, to, options).await?;
        let path = self.disk.path_to_filesystem(to)?;
        blocking(move || sync(&path).map_err(|error| failed(&path, error))).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.disk.rename_opts(from, to, options).await?;
        let path = self.disk.path_to_filesystem(to)?;
        blocking(move || sync(&path).map_err(|error| failed(&path, error))).await
    }
}

/// A file that is written in parts, and lasts when it is complete.
#[derive(Debug)]
struct SyncedUpload {
    upload: Box<dyn MultipartUpload>,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for SyncedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.upload.complete().await?;
        let path = self.path.clone();
        blocking(move || sync(&path).map_err(|error| failed(&path, error))).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

/// Writes the file beside its place, and puts it there when its content is on the disk.
fn put(path: &FilePath, payload: &PutPayload, create: bool) -> Result<()> {
    let failed = |error| failed(path, error);
    let folder = path.parent().unwrap_or(path);
    make_folders(folder).map_err(failed)?;
    let (mut file, staged) = stage(path).map_err(failed)?;
    let written = payload.iter().try_for_each(|part| file.write_all(part));
    let written = written.and_then(|()| sync_content(&file, &staged));
    drop(file);
    let placed = written.and_then(|()| match create {
        true => fs::hard_link(&staged, path),
        false => fs::rename(&staged, path),
    });
    note("placed", path);
    if create || placed.is_err() {
        // What is left of it is hidden from listings.
        let _ = fs::remove_file(&staged);
    }
    placed.and_then(|()| sync_folder(folder)).map_err(failed)
}

/// A new file beside `path`, under a name that listings do not show.
fn stage(path: &FilePath) -> io::Result<(File, PathBuf)> {
    for number in 1_u64.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{number}"));
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Ok(file) => return Ok((file, name.into())),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Makes a folder and those around it, each lasting.
fn make_folders(folder: &FilePath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let around = folder.parent();
    around.map_or(Ok(()), make_folders)?;
    match fs::create_dir(folder) {
        // Another was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    around.map_or(Ok(()), sync_folder)
}

fn sync(path: &FilePath) -> io::Result<()> {
    sync_content(&File::open(path)?, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_content(file: &File, path: &FilePath) -> io::Result<()> {
    note("content of", path);
    file.sync_all()
}

fn sync_folder(folder: &FilePath) -> io::Result<()> {
    note("names in", folder);
    match File::open(folder)?.sync_all() {
        // The file system keeps its folders in its own way.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Tells the tests of this module what is synced, and in which order.
#[cfg(test)]
fn note(what: &str, path: &FilePath) {
    tests::JOURNAL.lock().push((what.to_owned(), path.to_owned()));
}

#[cfg(not(test))]
fn note(_: &str, _: &FilePath) {}

fn failed(path: &FilePath, source: io::Error) -> Error {
    let path = path.display().to_string();
    match source.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: source.into() },
        ErrorKind::NotFound => Error::NotFound { path, source: source.into() },
        _ => Error::Generic { store: NAME, source: format!("{path}: {source}").into() },
    }
}

/// Runs what waits for the disk where it holds up no other task.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            let joined = runtime.spawn_blocking(work).await;
            joined.map_err(|error| Error::Generic { store: NAME, source: error.into() })?
        }
        Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use parking_lot::Mutex;

    /// What was synced, by all tests of the process.
    pub(super) static JOURNAL: Mutex<Vec<(String, PathBuf)>> = Mutex::new(Vec::new());

    /// What was synced below `folder`.
    fn journal(folder: &FilePath) -> Vec<String> {
        let journal = JOURNAL.lock();
        let below = journal.iter().filter_map(|(what, path)| Some((what, path.strip_prefix(folder).ok()?)));
        below.map(|(what, path)| format!("{what} {}", path.display()).trim_end().to_owned()).collect()
    }

    fn place(folder: &FilePath, relative: &str) -> Path {
        Path::from_absolute_path(folder.join(relative)).unwrap()
    }

    async fn names(disk: &SyncedDisk, folder: &FilePath) -> Vec<String> {
        let root = Path::from_absolute_path(folder).unwrap();
        let found = disk.list(Some(&root)).map_ok(|meta| meta.location).try_collect::<Vec<_>>().await.unwrap();
        let mut names: Vec<String> = found.iter().map(|path| path.filename().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn files_are_put_whole_in_folders_that_were_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let disk = SyncedDisk::default();
        let path = place(dir.path(), "a/b=1/c.json");
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let made = disk.put_opts(&path, "one".into(), create.clone()).await.unwrap();
        assert_eq!(made.e_tag, disk.head(&path).await.unwrap().e_tag);
        let again = disk.put_opts(&path, "two".into(), create).await.unwrap_err();
        assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
        assert_eq!(disk.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        disk.put(&path, "three".into()).await.unwrap();
        assert_eq!(disk.get(&path).await.unwrap().bytes().await.unwrap(), "three");

        let large = place(dir.path(), "a/d/large");
        let mut upload = disk.put_multipart(&large).await.unwrap();
        upload.put_part(vec![1; 10].into()).await.unwrap();
        upload.put_part(vec![2; 10].into()).await.unwrap();
        assert!(disk.head(&large).await.is_err(), "it is not there before it is complete");
        upload.complete().await.unwrap();
        assert_eq!(disk.head(&large).await.unwrap().size, 20);
        disk.copy(&large, &place(dir.path(), "copy")).await.unwrap();
        disk.rename(&large, &place(dir.path(), "renamed")).await.unwrap();
        assert_eq!(names(&disk, dir.path()).await, ["c.json", "copy", "renamed"]);
        let left: Vec<_> = fs::read_dir(dir.path().join("a/b=1")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[tokio::test]
    async fn content_is_on_the_disk_before_its_name_and_the_name_before_the_put_counts() {
        let dir = tempfile::tempdir().unwrap();
        let disk = SyncedDisk::default();
        disk.put(&place(dir.path(), "t/_delta_log/0.json"), "commit".into()).await.unwrap();
        let put = ["content of t/_delta_log/0.json#1", "placed t/_delta_log/0.json", "names in t/_delta_log"];
        assert_eq!(journal(dir.path()), [["names in", "names in t"].as_slice(), &put].concat());

        let dir = tempfile::tempdir().unwrap();
        let mut upload = disk.put_multipart(&place(dir.path(), "t/part")).await.unwrap();
        upload.put_part("rows".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(journal(dir.path()), ["names in", "content of t/part", "names in t"]);

        let dir = tempfile::tempdir().unwrap();
        let run = Uuid::now_v7().simple();
        disk.put(&place(dir.path(), &format!("cache/{run}/keys/part")), "keys".into()).await.unwrap();
        assert!(journal(dir.path()).is_empty(), "nobody needs it after a loss of power");
    }

    #[tokio::test]
    async fn a_put_that_fails_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "old").unwrap();
        let disk = SyncedDisk::default();
        disk.put(&place(dir.path(), "file/below"), "new".into()).await.unwrap_err();
        assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "old");
        assert_eq!(names(&disk, dir.path()).await, ["file"]);
    }

    #[test]
    fn only_what_belongs_to_one_run_alone_is_not_synced() {
        let run = Uuid::now_v7().simple().to_string();
        let expendable = |path: String| is_expendable(&Path::from(path));
        assert!(expendable(format!("home/cache/{run}/keys/part-0.parquet")));
        assert!(expendable(format!("home/cache/{run}/keys/_delta_log/00000000000000000000.json")));
        assert!(expendable(format!("home/runs/{run}/stages/s/metrics.arrow")));
        assert!(!expendable(format!("home/runs/{run}/run.json")));
        assert!(!expendable("home/tables/cache/part-0.parquet".to_owned()));
        assert!(!expendable("home/tables/runs/stages/part-0.parquet".to_owned()));
        assert!(!expendable(format!("home/tables/t/cache={run}/part-0.parquet")));
    }
}
