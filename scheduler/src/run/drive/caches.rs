//! What runs keep for themselves below `<home>/cache/`, and when it goes.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use windlass_base::failpoint;
use windlass_base::ids::RunId;
use windlass_storage::{Location, Stores};

use crate::home::Home;

/// Removes what a run kept for itself. What cannot be removed now is no reason to fail a run that is done: a later one
/// tries again.
pub(in crate::run) async fn drop_cache(stores: &Stores, cache: &Location) {
    failpoint!("run.cache_dropped.before");
    let removed = remove(stores, cache).await;
    failpoint!("run.cache_dropped.after");
    if let Err(error) = removed {
        tracing::warn!(%error, cache = %cache, "the cache of a run cannot be removed");
    }
}

/// Removes what runs kept that were killed: all but those of `live` runs. Only for the home's writer, who knows of all
/// that are under way.
pub(in crate::run) async fn drop_abandoned(stores: &Stores, home: &Home, live: impl FnOnce() -> BTreeSet<RunId>) {
    match runs_with_cache(stores, &home.caches()).await {
        Ok(runs) => {
            // Asked after the listing, so that it has every run that has come to keeping something.
            let live = live();
            for run in runs.iter().filter(|run| !live.contains(*run)) {
                drop_cache(stores, &home.cache(run)).await;
            }
        }
        Err(error) => tracing::warn!(%error, home = %home.root(), "it is not known what killed runs have left"),
    }
}

/// Removes a folder with all that is in it; one that is not there is no error.
pub(crate) async fn remove(stores: &Stores, cache: &Location) -> Result<(), String> {
    if let Some(folder) = cache.local_path() {
        return match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        };
    }
    let store = stores.store(cache).map_err(|error| error.to_string())?;
    let path = cache.path().map_err(|error| error.to_string())?;
    let found = store.list(Some(&path)).map_ok(|object| object.location).boxed();
    store.delete_stream(found).try_collect::<Vec<_>>().await.map(drop).map_err(|error| error.to_string())
}

/// The names of the folders in `caches`, which are those of runs.
pub(crate) async fn runs_with_cache(stores: &Stores, caches: &Location) -> Result<Vec<RunId>, String> {
    if let Some(folder) = caches.local_path() {
        // Folders that hold no file yet are no objects of a store.
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        return Ok(names.map(RunId::new).collect());
    }
    let store = stores.store(caches).map_err(|error| error.to_string())?;
    let path = caches.path().map_err(|error| error.to_string())?;
    let listed = store.list_with_delimiter(Some(&path)).await.map_err(|error| error.to_string())?;
    Ok(listed.common_prefixes.iter().filter_map(|path| path.filename()).map(RunId::from).collect())
}
