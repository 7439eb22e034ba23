//! The object stores of a process, opened when first asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use parking_lot::Mutex;
use url::{Position, Url};

use super::connector::FirstContact;
use super::credentials::{Missing, is_metadata_asked, is_on, missing_for_azure, missing_for_google, missing_for_s3};
use super::disk::SyncedDisk;
use super::{Location, StorageError};

/// The variable that says whether what is put on a local disk is synced before it counts as put: `on`, the default, or
/// `off`.
pub const SYNC_VARIABLE: &str = "WINDLASS_SYNC";

/// The object stores of a process by the root of their URL, opened from the environment when first asked for.
///
/// It is the engine's registry too, so a scan that names `s3://bucket/` finds its store on every executor without
/// anything but the URL travelling there.
#[derive(Debug, Default)]
pub struct Stores {
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Stores {
    /// The store that holds `location`.
    ///
    /// # Errors
    /// [`StorageError::Open`] if the environment lacks what the store needs.
    pub fn store(&self, location: &Location) -> Result<Arc<dyn ObjectStore>, StorageError> {
        self.at(location.url())
    }

    fn at(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, StorageError> {
        let root = root_of(url);
        let mut open = self.open.lock();
        if let Some(store) = open.get(&root) {
            return Ok(Arc::clone(store));
        }
        let store = open_store(url, &root)?;
        open.insert(root, Arc::clone(&store));
        Ok(store)
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.open.lock().insert(root_of(url), store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let root = root_of(url);
        self.open
            .lock()
            .remove(&root)
            .ok_or_else(|| DataFusionError::Execution(format!("no object store is registered at `{root}`")))
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        self.at(url).map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

fn root_of(url: &Url) -> String {
    url[..Position::BeforePath].to_owned()
}

fn open_store(url: &Url, root: &str) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let failed = |source| StorageError::Open { location: root.to_owned(), source };
    let check = |missing: Option<Missing>| match missing {
        Some(missing) => Err(StorageError::NoCredentials { location: root.to_owned(), missing }),
        None => Ok(()),
    };
    let (scheme, _) = ObjectStoreScheme::parse(url).map_err(|error| failed(error.into()))?;
    Ok(match scheme {
        ObjectStoreScheme::Local => open_disk().map_err(failed)?,
        ObjectStoreScheme::Memory => Arc::new(InMemory::new()),
        ObjectStoreScheme::AmazonS3 => {
            let store = AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry());
            check(missing_for_s3(&store, is_metadata_asked))?;
            if let Some(endpoint) = plain_http(&store) {
                return Err(StorageError::PlainHttp { location: root.to_owned(), endpoint });
            }
            Arc::new(store.with_http_connector(FirstContact).build().map_err(failed)?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let store = GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retry());
            check(missing_for_google(&store, is_metadata_asked))?;
            Arc::new(store.with_http_connector(FirstContact).build().map_err(failed)?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let store = MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retry());
            check(missing_for_azure(&store, is_metadata_asked))?;
            Arc::new(store.with_http_connector(FirstContact).build().map_err(failed)?)
        }
        other => {
            let source = format!("object stores of the kind {other:?} are not supported").into();
            return Err(failed(object_store::Error::NotSupported { source }));
        }
    })
}

/// The address of a store without TLS, if that is not allowed.
fn plain_http(store: &AmazonS3Builder) -> Option<String> {
    let allowed = store.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| store.get_config_value(key))
        .filter(|endpoint| endpoint.starts_with("http://"))?;
    (!is_on(allowed)).then_some(endpoint)
}

fn open_disk() -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    match std::env::var(SYNC_VARIABLE).as_deref() {
        Ok("off") => Ok(Arc::new(LocalFileSystem::new())),
        Ok("on") | Err(_) => Ok(Arc::new(SyncedDisk::default())),
        Ok(other) => Err(object_store::Error::NotSupported {
            source: format!("the environment variable {SYNC_VARIABLE} is `{other}`; it must be `on` or `off`").into(),
        }),
    }
}

/// How a store's client repeats a request: as often as a busy store needs, and not so long that a wrong endpoint shows
/// only after minutes. What fails after that is tried again as a task or a stage.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(4),
            base: 2.0,
        },
        max_retries: 10,
        retry_timeout: Duration::from_secs(60),
    }
}
