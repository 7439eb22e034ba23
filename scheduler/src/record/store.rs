//! The place where bundles lie.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_storage::{Location, Stores};

use windlass_base::ids::RunId;
use windlass_evidence::artifact::RUNS_PREFIX;
use windlass_evidence::bundle::{BundleFiles, RecordError};

/// The folder, on a disk or in an object store, below which the bundles lie as `runs/<run_id>/…`.
#[derive(Debug, Clone)]
pub struct BundleStore {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The same folder on the local disk, if it is there: only there can a log grow line by line.
    local: Option<PathBuf>,
}

impl BundleStore {
    /// The bundles below `home`.
    pub fn open(stores: &Stores, home: &Location) -> Result<Self, RecordError> {
        let store = stores.store(home)?;
        Ok(Self { store, prefix: home.path()?, local: home.local_path() })
    }

    /// The store that they lie in.
    pub(super) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The object at a path that is relative to the folder of the bundles.
    pub(super) fn path(&self, relative: &str) -> Path {
        Path::from_iter(self.prefix.parts().chain(Path::from(relative).parts()))
    }

    /// The local file at such a path, if the bundles lie on a local disk.
    pub(super) fn local_path(&self, relative: &str) -> Option<PathBuf> {
        self.local.as_ref().map(|local| local.join(relative))
    }

    pub(super) async fn put(&self, relative: &str, content: Bytes) -> Result<(), RecordError> {
        let put = self.store.put(&self.path(relative), content.into()).await;
        put.map(drop).map_err(|source| failed(relative, source))
    }

    pub(super) async fn put_json(&self, relative: &str, value: &impl Serialize) -> Result<(), RecordError> {
        let mut json = serde_json::to_vec_pretty(value).map_err(|source| malformed(relative, source))?;
        json.push(b'\n');
        self.put(relative, json.into()).await
    }

    pub(super) async fn get_json<T: DeserializeOwned>(&self, relative: &str) -> Result<Option<T>, RecordError> {
        let Some(content) = self.get(relative).await? else { return Ok(None) };
        serde_json::from_slice(&content).map(Some).map_err(|source| malformed(relative, source))
    }
}

#[async_trait]
impl BundleFiles for BundleStore {
    async fn get(&self, path: &str) -> Result<Option<Bytes>, RecordError> {
        if let Some(home) = &self.local
            && leads_out(home, path).await
        {
            return Err(RecordError::Link { path: path.to_owned() });
        }
        let got = match self.store.get(&self.path(path)).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            Ok(content) => Ok(Some(content)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(path, source)),
        }
    }

    async fn run_ids(&self) -> Result<Vec<RunId>, RecordError> {
        let listed = self.store.list_with_delimiter(Some(&self.path(RUNS_PREFIX))).await;
        let listed = listed.map_err(|source| failed(RUNS_PREFIX, source))?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename()).map(RunId::from).collect())
    }
}

/// Whether a file of a bundle is a link, or lies behind one, to something outside of its bundle. The bundle's own folder,
/// and those around it, may be links.
async fn leads_out(home: &FilePath, path: &str) -> bool {
    let mut parts = path.split('/');
    let bundle = parts.by_ref().take(2).fold(home.to_owned(), |folder, part| folder.join(part));
    let file = parts.fold(bundle.clone(), |folder, part| folder.join(part));
    let (bundle, file) = (tokio::fs::canonicalize(bundle).await, tokio::fs::canonicalize(file).await);
    // What is not there leads nowhere.
    matches!((bundle, file), (Ok(bundle), Ok(file)) if !file.starts_with(&bundle))
}

pub(super) fn failed(relative: &str, source: object_store::Error) -> RecordError {
    RecordError::Store { path: relative.to_owned(), source }
}

pub(super) fn malformed(relative: &str, source: serde_json::Error) -> RecordError {
    RecordError::Malformed { path: relative.to_owned(), source }
}
