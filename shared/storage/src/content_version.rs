//! Content versions: what tells the content of a file from another that was put in its place.

use std::path::{Path, PathBuf};

use object_store::ObjectMeta;

use super::Location;

/// By file, a text that differs if the file was written again, as far as its store can tell; `location` is on the same store.
///
/// An object store gives each content a version or an entity tag. On a local disk a file that was replaced is another inode,
/// and one that was written to has another time of its last change, which unlike that of its last modification no program sets.
pub async fn content_versions(location: &Location, objects: &[ObjectMeta]) -> Vec<Option<String>> {
    let of_store = |object: &ObjectMeta| object.version.clone().or_else(|| object.e_tag.clone());
    if location.local_path().is_none() {
        return objects.iter().map(of_store).collect();
    }
    let paths: Vec<PathBuf> = objects.iter().map(|object| Path::new("/").join(object.location.as_ref())).collect();
    let versions =
        tokio::task::spawn_blocking(move || paths.iter().map(|path| local_version(path)).collect::<Vec<_>>()).await;
    let versions = versions.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
    objects.iter().zip(versions).map(|(object, version)| version.or_else(|| of_store(object))).collect()
}

#[cfg(unix)]
fn local_version(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(path).ok()?;
    Some(format!("{:x}-{:x}-{:x}.{:09}", file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}

#[cfg(not(unix))]
fn local_version(_: &Path) -> Option<String> {
    None
}
