//! Finds the files of a listing: one file, the files below a folder, or those that a glob matches.

use futures::{StreamExt, TryStreamExt};
use globset::GlobBuilder;
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use windlass_project::spec::source::FileFormat;
use windlass_storage::Location;

use crate::session::SessionError;

/// The extensions of compressed files.
const COMPRESSIONS: [&str; 17] = [
    "7z", "br", "bz2", "deflate", "gz", "gzip", "lz", "lz4", "lzma", "lzo", "snappy", "sz", "xz", "z", "zip", "zst",
    "zstd",
];

/// The files of a listing, sorted by path.
pub(super) struct Files {
    /// The folder that contains the partition folders.
    pub(super) base: StorePath,
    /// The files, all below `base`.
    pub(super) objects: Vec<ObjectMeta>,
}

impl Files {
    /// The path of `object` below the base, with `/` as separator.
    pub(super) fn below_base(&self, object: &ObjectMeta) -> String {
        below(&self.base, &object.location).unwrap_or_else(|| object.location.to_string())
    }
}

/// Finds the files of `location`. In a folder, files with one of the format's extensions are included; a file that is
/// named explicitly or matched by a glob is included whatever its name. Files and folders whose names start with `.` or
/// `_` are omitted (a partition folder such as `_day=1` is not), and so are empty files of text, which have no rows.
///
/// # Errors
/// [`SessionError::NoFiles`] or [`SessionError::NoSuchLocation`] if there is none, and [`SessionError::NotRead`] if one of them is compressed.
pub(super) async fn find(
    store: &dyn ObjectStore,
    location: &Location,
    format: &FileFormat,
) -> Result<Files, SessionError> {
    let path = location.path()?;
    if let Ok(object) = store.head(&path).await {
        let base: StorePath = path.parts().take(path.parts_count().saturating_sub(1)).collect();
        return uncompressed(vec![object]).map(|objects| Files { base, objects });
    }
    let objects = list(store, location, format, &path).await?;
    if !objects.is_empty() {
        let extensions = extensions(format);
        let counts = |name: &str| {
            name.rsplit_once('.').is_some_and(|(_, ext)| extensions.iter().any(|known| ext.eq_ignore_ascii_case(known)))
        };
        let name = |object: &ObjectMeta| object.location.filename().unwrap_or_default().to_owned();
        let objects = only(objects, location, format, |_, object| {
            let name = name(object);
            counts(&name) || compression(&name).is_some_and(|(name, _)| counts(name))
        })?;
        return uncompressed(objects).map(|objects| Files { base: path, objects });
    }
    let Some((base, pattern)) = split_glob(&path) else {
        return Err(none(location, format, None));
    };
    let glob = GlobBuilder::new(&pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| SessionError::BadGlob { glob: pattern.clone(), reason: error.kind().to_string() })?
        .compile_matcher();
    let objects = list(store, location, format, &base).await?;
    let objects = only(objects, location, format, |below, _| glob.is_match(below))?;
    uncompressed(objects).map(|objects| Files { base, objects })
}

/// Checks that none of `objects` has the extension of a compression.
fn uncompressed(objects: Vec<ObjectMeta>) -> Result<Vec<ObjectMeta>, SessionError> {
    for object in &objects {
        if let Some((_, extension)) = object.location.filename().and_then(compression) {
            let reason = format!("`.{extension}` means that it is compressed");
            return Err(SessionError::NotRead { file: object.location.to_string(), reason });
        }
    }
    Ok(objects)
}

/// The name of a compressed file without the compression extension, and that extension.
fn compression(name: &str) -> Option<(&str, &str)> {
    let (stem, extension) = name.rsplit_once('.')?;
    COMPRESSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)).then_some((stem, extension))
}

/// The files below `base` that are not hidden.
async fn list(
    store: &dyn ObjectStore,
    location: &Location,
    format: &FileFormat,
    base: &StorePath,
) -> Result<Vec<(String, ObjectMeta)>, SessionError> {
    let listed: Vec<ObjectMeta> = store
        .list(Some(base))
        .boxed()
        .try_collect()
        .await
        .map_err(|source| SessionError::List { location: location.to_string(), source })?;
    let may_be_empty = !matches!(format, FileFormat::Csv { .. } | FileFormat::Json);
    let visible = listed.into_iter().filter_map(|object| {
        let below = below(base, &object.location)?;
        ((may_be_empty || object.size > 0) && !below.split('/').any(is_hidden)).then_some((below, object))
    });
    let mut objects: Vec<_> = visible.collect();
    objects.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(objects)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}

fn only(
    objects: Vec<(String, ObjectMeta)>,
    location: &Location,
    format: &FileFormat,
    wanted: impl Fn(&str, &ObjectMeta) -> bool,
) -> Result<Vec<ObjectMeta>, SessionError> {
    let example = objects.first().map(|(below, _)| below.clone());
    let objects: Vec<ObjectMeta> =
        objects.into_iter().filter(|(below, object)| wanted(below, object)).map(|(_, object)| object).collect();
    if objects.is_empty() { Err(none(location, format, example)) } else { Ok(objects) }
}

fn none(location: &Location, format: &FileFormat, example: Option<String>) -> SessionError {
    let is_glob = location.path().is_ok_and(|path| split_glob(&path).is_some());
    if !is_glob && location.local_path().is_some_and(|path| !path.exists()) {
        return SessionError::NoSuchLocation { location: location.to_string() };
    }
    SessionError::NoFiles {
        location: location.to_string(),
        wanted: format!("{} files", format.name()),
        found: example.map(|example| format!("`{example}`")),
    }
}

fn extensions(format: &FileFormat) -> &'static [&'static str] {
    match format {
        FileFormat::Parquet => &["parquet"],
        FileFormat::Csv { .. } => &["csv", "tsv", "psv"],
        FileFormat::Json => &["json", "jsonl", "ndjson"],
        FileFormat::Avro => &["avro"],
        FileFormat::Arrow => &["arrow", "ipc", "feather"],
    }
}

/// The folder before the first part with a wildcard, and the glob from that part on.
fn split_glob(path: &StorePath) -> Option<(StorePath, String)> {
    let parts: Vec<_> = path.parts().collect();
    let first = parts.iter().position(|part| part.as_ref().contains(['*', '?', '[', '{']))?;
    let (base, pattern) = parts.split_at(first);
    let pattern: Vec<&str> = pattern.iter().map(AsRef::as_ref).collect();
    Some((base.iter().cloned().collect(), pattern.join("/")))
}

/// The path of `file` below `folder`, if it exists.
fn below(folder: &StorePath, file: &StorePath) -> Option<String> {
    let rest = file.as_ref().strip_prefix(folder.as_ref())?;
    let rest = if folder.as_ref().is_empty() { rest } else { rest.strip_prefix('/')? };
    (!rest.is_empty()).then(|| rest.to_owned())
}
