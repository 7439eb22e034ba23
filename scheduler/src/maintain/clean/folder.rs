//! Folders, on a disk or in an object store: what they hold, and their removal.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::Path as FilePath;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use windlass_base::failpoint;
use windlass_evidence::artifact::RunLayout;
use windlass_storage::{Location, Stores};

use super::error::CleanError;
use crate::run::drive::caches;

/// The folder of a Delta log.
const LOG: &str = "_delta_log";

/// What a folder holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// The names of the folders in a folder, in order; none if it is not there.
pub(super) async fn children(stores: &Stores, folder: &Location) -> Result<Vec<String>, CleanError> {
    let mut names = match folder.local_path() {
        Some(path) => local_children(&path).map_err(|error| unlisted(folder, error))?,
        None => {
            let listed = stores.store(folder)?.list_with_delimiter(Some(&folder.path()?)).await;
            let listed = listed.map_err(|error| unlisted(folder, error))?;
            listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect()
        }
    };
    names.sort_unstable();
    Ok(names)
}

fn local_children(folder: &FilePath) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        // Links lead to what is not in the home.
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// How much a folder holds.
pub(super) async fn size(stores: &Stores, folder: &Location) -> Result<Size, CleanError> {
    if let Some(path) = folder.local_path() {
        return local_size(&path).map_err(|error| unlisted(folder, error));
    }
    let found = objects(stores, folder).await?;
    Ok(Size { files: found.len() as u64, bytes: found.iter().map(|(_, bytes)| bytes).sum() })
}

/// How much a folder on a local disk holds. What vanishes meanwhile is not counted.
pub(super) fn local_size(folder: &FilePath) -> io::Result<Size> {
    let (mut size, mut waiting) = (Size::default(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(found) if found.is_dir() => waiting.push(entry.path()),
                Ok(found) => {
                    size.files += 1;
                    size.bytes += found.len();
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(size)
}

/// Removes a folder with all that is in it.
pub(super) async fn remove(stores: &Stores, folder: &Location) -> Result<(), CleanError> {
    caches::remove(stores, folder).await.map_err(|reason| not_removed(folder, reason))
}

/// Removes the bundle of a run: first the run itself, without which nobody takes the rest for a run, so that a removal that
/// is cut off leaves no half of one. The rest is removed by the next cleaning then.
pub(super) async fn remove_bundle(stores: &Stores, home: &Location, layout: &RunLayout) -> Result<(), CleanError> {
    let run = home.join(&layout.run());
    failpoint!("clean.run_record.before");
    match stores.store(&run)?.delete(&run.path()?).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
        Err(error) => return Err(not_removed(&run, error)),
    }
    failpoint!("clean.run_record.after");
    failpoint!("clean.bundle.before");
    remove(stores, &home.join(layout.folder())).await?;
    failpoint!("clean.bundle.after");
    Ok(())
}

/// Removes a Delta table: first its data, then its log from the newest commit on, so that what is left of it, if the removal
/// is cut off, says whose it was.
pub(super) async fn remove_table(stores: &Stores, table: &Location) -> Result<(), CleanError> {
    let store = stores.store(table)?;
    let log = table.join(LOG).path()?;
    let found = objects(stores, table).await?;
    let (mut commits, data): (Vec<Path>, Vec<Path>) =
        found.into_iter().map(|(path, _)| path).partition(|path| path.prefix_matches(&log));
    let data = futures::stream::iter(data).map(Ok).boxed();
    let removed = store.delete_stream(data).try_for_each(|_| futures::future::ready(Ok(()))).await;
    removed.map_err(|error| not_removed(table, error))?;
    commits.sort_unstable_by_key(|path| Reverse(path.to_string()));
    for path in commits {
        match store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(not_removed(table, error)),
        }
    }
    // On a disk there are still the folders, and files whose names no store lists.
    remove(stores, table).await
}

/// The objects below a folder, with their bytes.
async fn objects(stores: &Stores, folder: &Location) -> Result<Vec<(Path, u64)>, CleanError> {
    let store = stores.store(folder)?;
    let listed = store.list(Some(&folder.path()?)).map_ok(|object| (object.location, object.size));
    listed.try_collect().await.map_err(|error| unlisted(folder, error))
}

/// What is told of a folder that cannot be listed.
pub(super) fn unlisted(folder: &Location, error: impl std::fmt::Display) -> CleanError {
    CleanError::Unlisted { location: folder.to_string(), reason: error.to_string() }
}

/// What is told of something that cannot be removed.
pub(super) fn not_removed(location: &Location, error: impl std::fmt::Display) -> CleanError {
    CleanError::NotRemoved { location: location.to_string(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::object_store::ObjectStoreRegistry;
    use object_store::memory::InMemory;

    use super::*;

    async fn fill(store: &InMemory, paths: &[&str]) {
        for path in paths {
            store.put(&Path::from(*path), "1234".into()).await.unwrap();
        }
    }

    async fn left(store: &InMemory) -> Vec<String> {
        let mut found: Vec<String> =
            store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
        found.sort_unstable();
        found
    }

    #[tokio::test]
    async fn folders_of_object_stores_are_measured_and_removed() {
        let store = Arc::new(InMemory::new());
        let stores = Stores::default();
        stores.register_store(&url::Url::parse("memory://lake/").unwrap(), Arc::clone(&store) as _);
        let home = Location::parse("memory://lake/home", FilePath::new("/")).unwrap();
        let run = ["home/runs/1/run.json", "home/runs/1/stages/a/stage.json"];
        let table = ["home/tables/a/x.parquet", "home/tables/a/_delta_log/00000000000000000000.json"];
        let others = ["home/runs/12/run.json", "home/tables/ab/_delta_log/00000000000000000000.json"];
        for paths in [&run, &table, &others] {
            fill(&store, paths).await;
        }
        assert_eq!(children(&stores, &home.join("tables")).await.unwrap(), ["a", "ab"]);
        assert_eq!(children(&stores, &home.join("caches")).await.unwrap(), Vec::<String>::new());
        assert_eq!(size(&stores, &home.join("runs/1")).await.unwrap(), Size { files: 2, bytes: 8 });

        remove_bundle(&stores, &home, &RunLayout::new("1".into())).await.unwrap();
        remove_table(&stores, &home.join("tables/a")).await.unwrap();
        assert_eq!(left(&store).await, others);
        // Once more is no error: that is what a cleaning after one that was cut off does.
        remove_bundle(&stores, &home, &RunLayout::new("1".into())).await.unwrap();
        remove_table(&stores, &home.join("tables/a")).await.unwrap();
    }
}
