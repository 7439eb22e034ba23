//! Lists the files of a source by globs over the paths below a folder.

use futures::TryStreamExt;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use object_store::ObjectMeta;
use object_store::path::Path as StorePath;
use windlass_project::spec::source::TextFilesSource;
use windlass_storage::{Location, Stores, content_versions};

use super::chunks::TextFile;
use crate::session::SessionError;

/// The files below `location` that the source's globs select, sorted by path.
///
/// # Errors
/// [`SessionError::BadGlob`] for a malformed glob, [`SessionError::List`] if the store fails, and
/// [`SessionError::NoFiles`] or [`SessionError::NoSuchLocation`] if there is no file.
pub(in crate::session) async fn list(
    stores: &Stores,
    location: &Location,
    source: &TextFilesSource,
) -> Result<Vec<TextFile>, SessionError> {
    let include = glob_set(&source.include)?;
    let exclude = glob_set(&source.exclude)?;
    let selected = |path: &str| (source.include.is_empty() || include.is_match(path)) && !exclude.is_match(path);
    let folder = location.path()?;
    let failed = |source| SessionError::List { location: location.to_string(), source };
    let listed: Vec<ObjectMeta> = stores.store(location)?.list(Some(&folder)).try_collect().await.map_err(failed)?;
    let path = |object: &ObjectMeta| below(&folder, &object.location).filter(|path| selected(path));
    let listed: Vec<ObjectMeta> = listed.into_iter().filter(|object| path(object).is_some()).collect();
    let marks = content_versions(location, &listed).await;
    let file = |(object, mark): (&ObjectMeta, Option<String>)| {
        let modified = object.last_modified.timestamp_micros();
        Some(TextFile { path: path(object)?, size: object.size, modified, mark })
    };
    let mut files: Vec<TextFile> = listed.iter().zip(marks).filter_map(file).collect();
    if files.is_empty() && location.local_path().is_some_and(|path| !path.exists()) {
        return Err(SessionError::NoSuchLocation { location: location.to_string() });
    }
    if files.is_empty() {
        return Err(SessionError::NoFiles {
            location: location.to_string(),
            wanted: match source.include.as_slice() {
                [] => "text files".to_owned(),
                globs => format!("files that match `{}`", globs.join("` or `")),
            },
            found: None,
        });
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The path of `file` below `folder`.
fn below(folder: &StorePath, file: &StorePath) -> Option<String> {
    let rest = file.as_ref().strip_prefix(folder.as_ref())?;
    Some(rest.strip_prefix('/').unwrap_or(rest).to_owned()).filter(|path| !path.is_empty())
}

/// `*` does not cross folders, `**` does.
fn glob_set(globs: &[String]) -> Result<GlobSet, SessionError> {
    let parse = |glob: &String| -> Result<Glob, SessionError> {
        GlobBuilder::new(glob)
            .literal_separator(true)
            .build()
            .map_err(|error| SessionError::BadGlob { glob: glob.clone(), reason: error.kind().to_string() })
    };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(parse(glob)?);
    }
    set.build().map_err(|error| SessionError::BadGlob { glob: globs.join(" "), reason: error.to_string() })
}
