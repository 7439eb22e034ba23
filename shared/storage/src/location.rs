//! A place that holds data: a folder, a file or a prefix of an object store.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use datafusion::datasource::object_store::ObjectStoreUrl;
use object_store::path::Path as StorePath;
use serde::{Deserialize, Serialize};
use url::{Position, Url};

use super::StorageError;

/// The schemes that [`Location::parse`] takes.
const SCHEMES: [&str; 10] = ["file", "memory", "s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss"];

/// A folder, a file or a prefix of an object store, as an absolute URL without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Location {
    url: Url,
}

impl Location {
    /// Reads a path or a URL. A relative path starts at `base`, which must be absolute.
    ///
    /// # Errors
    /// [`StorageError::BadLocation`] for an empty text, an unknown scheme, a URL with credentials, a query or a
    /// fragment, and a path that no URL can hold; [`StorageError::Backslash`] for a path with a backslash in a name.
    pub fn parse(text: &str, base: &Path) -> Result<Self, StorageError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(bad("", "it is empty"));
        }
        if !text.contains("://") {
            return Self::from_path(&base.join(text));
        }
        let url = Url::parse(text).map_err(|error| bad(without_secrets(text), error.to_string()))?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(bad(without_secrets(text), format!("the scheme `{}` is not known", url.scheme())));
        }
        // abfss://container@account.dfs.core.windows.net/path names its container in the user part.
        let user_is_container = matches!(url.scheme(), "abfs" | "abfss");
        if url.password().is_some() || (!url.username().is_empty() && !user_is_container) {
            return Err(bad(without_secrets(text), "a location must not contain credentials"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad(without_secrets(text), "a query or a fragment has no meaning here"));
        }
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| bad(text, "it is not an absolute path"))?;
            return Self::from_path(&path);
        }
        Ok(Self { url: trimmed(url) })
    }

    /// Reads a path or a URL; a relative path starts at this location.
    ///
    /// # Errors
    /// As [`Location::parse`], and for a relative path that leads out of the bucket or container.
    pub fn resolve(&self, text: &str) -> Result<Self, StorageError> {
        let text = text.trim();
        if let Some(base) = self.local_path() {
            return Self::parse(text, &base);
        }
        if text.is_empty() || text.starts_with('/') || text.contains("://") {
            return Self::parse(text, Path::new("/"));
        }
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty();
        }
        let mut depth = url.path_segments().map_or(0, |parts| parts.filter(|part| !part.is_empty()).count());
        for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
            depth = match part {
                ".." => depth.checked_sub(1).ok_or_else(|| bad(text, format!("it leads out of {self}")))?,
                _ => depth + 1,
            };
            if let Ok(mut parts) = url.path_segments_mut() {
                match part {
                    ".." => parts.pop(),
                    _ => parts.push(part),
                };
            }
        }
        Ok(Self { url })
    }

    /// The location of an absolute local path; `.` and `..` are resolved by their text alone.
    ///
    /// # Errors
    /// [`StorageError::BadLocation`] if the path is not absolute, [`StorageError::Backslash`] if a name in it has a backslash.
    pub fn from_path(path: &Path) -> Result<Self, StorageError> {
        let shown = || path.display().to_string();
        let path = normal(path);
        // Joining URLs would give `x/y` in the place of `x\y`.
        if path.components().any(|part| matches!(part, Component::Normal(name) if has_backslash(name))) {
            return Err(StorageError::Backslash { location: shown() });
        }
        let url = Url::from_file_path(path).map_err(|()| bad(shown(), "it is not an absolute path"))?;
        Ok(Self { url: trimmed(url) })
    }

    /// The location as an absolute URL, without a trailing slash.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The location as a URL that ends with a slash, which is how folders are written.
    pub fn folder_url(&self) -> Url {
        let mut url = self.url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url
    }

    /// The root of the store that holds the location: its URL up to the path.
    ///
    /// # Errors
    /// [`StorageError::BadLocation`] if the engine does not take the root for a store's.
    pub fn store_url(&self) -> Result<ObjectStoreUrl, StorageError> {
        let root = match self.url.scheme() {
            "file" => "file:///",
            _ => &self.url[..Position::BeforePath],
        };
        ObjectStoreUrl::parse(root).map_err(|error| bad(root, error.to_string()))
    }

    /// The path of the location below its store's root.
    ///
    /// # Errors
    /// [`StorageError::BadLocation`] if the path has parts that no store can hold.
    pub fn path(&self) -> Result<StorePath, StorageError> {
        StorePath::from_url_path(self.url.path()).map_err(|error| bad(self.to_string(), error.to_string()))
    }

    /// The location of `child`, a relative path with `/` between its parts.
    pub fn join(&self, child: &str) -> Self {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(child.split('/').filter(|part| !part.is_empty()));
        }
        Self { url }
    }

    /// The location beside this one whose name is this one's with `suffix` behind it, which holds nothing that URLs escape.
    pub fn beside(&self, suffix: &str) -> Self {
        let mut url = self.url.clone();
        let path = format!("{}{suffix}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Self { url }
    }

    /// The location with links followed, as far as its folders exist; what is in an object store stays as it is.
    #[must_use]
    pub fn real(&self) -> Self {
        let Some(path) = self.local_path() else { return self.clone() };
        let found = path.ancestors().find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
        let real = found.and_then(|(folder, real)| Some(real.join(path.strip_prefix(folder).ok()?)));
        real.and_then(|real| Self::from_path(&real).ok()).unwrap_or_else(|| self.clone())
    }

    /// Whether one of two locations is in the other, or both are the same.
    pub fn touches(&self, other: &Self) -> bool {
        let parts = |location: &Self| -> Vec<String> {
            let parts = location.url.path_segments().into_iter().flatten().filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let (one, two) = (parts(self), parts(other));
        self.url[..Position::BeforePath] == other.url[..Position::BeforePath]
            && (one.starts_with(&two) || two.starts_with(&one))
    }

    /// The local path, if the location is on a local disk.
    pub fn local_path(&self) -> Option<PathBuf> {
        (self.url.scheme() == "file").then(|| self.url.to_file_path().ok()).flatten()
    }
}

impl fmt::Display for Location {
    /// A local path as a path, anything else as a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local_path() {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str(self.url.as_str()),
        }
    }
}

fn trimmed(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// `path` with `.` and `..` resolved by their text.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn has_backslash(name: &OsStr) -> bool {
    name.as_encoded_bytes().contains(&b'\\')
}

/// `text` up to its query, with whatever stands before an `@` in its host left out.
fn without_secrets(text: &str) -> String {
    let head = text.split(['?', '#']).next().unwrap_or_default();
    match head.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => head.to_owned(),
    }
}

fn bad(location: impl Into<String>, reason: impl Into<String>) -> StorageError {
    StorageError::BadLocation { location: location.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, StorageError> {
        Location::parse(text, Path::new("/base/project"))
    }

    #[test]
    fn relative_paths_start_at_the_base() {
        let location = parse("../data/my table").unwrap();
        assert_eq!(location.to_string(), "/base/data/my table");
        assert_eq!(location.url().as_str(), "file:///base/data/my%20table");
        assert_eq!(location.path().unwrap().as_ref(), "base/data/my table");
        assert_eq!(location.store_url().unwrap().as_str(), "file:///");
    }

    #[test]
    fn paths_are_names_and_no_urls() {
        let location = parse("x%20y/50% #1?").unwrap();
        assert_eq!(location.to_string(), "/base/project/x%20y/50% #1?");
        assert_eq!(location.path().unwrap().as_ref(), "base/project/x%20y/50% #1?");
        assert_eq!(location.local_path().unwrap(), Path::new("/base/project/x%20y/50% #1?"));
        assert_eq!(location.join("a%2Fb").to_string(), "/base/project/x%20y/50% #1?/a%2Fb");
        assert_eq!(location.beside("_more").to_string(), "/base/project/x%20y/50% #1?_more");
        assert_eq!(location.resolve("../c%20d").unwrap().to_string(), "/base/project/x%20y/c%20d");
        assert_eq!(parse(location.url().as_str()).unwrap(), location);
        assert_eq!(parse("a b/c").unwrap().beside("_more").to_string(), "/base/project/a b/c_more");
    }

    #[cfg(unix)]
    #[test]
    fn a_backslash_in_a_name_is_refused() {
        for text in ["x\\y", "x\\y/z", "/a/x\\y", "file:///a/x%5Cy"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, StorageError::Backslash { .. }), "{text}: {error}");
        }
        assert!(Location::from_path(Path::new("/a/x\\y")).is_err());
        assert!(parse("a").unwrap().resolve("x\\y").is_err());
        // What is left again does not matter.
        assert_eq!(parse("x\\y/../z").unwrap().to_string(), "/base/project/z");
    }

    #[test]
    fn urls_keep_their_bucket() {
        let location = parse("s3://bucket/a/b/").unwrap();
        assert_eq!(location.join("c d").url().as_str(), "s3://bucket/a/b/c%20d");
        assert_eq!(location.store_url().unwrap().as_str(), "s3://bucket/");
        assert_eq!(location.path().unwrap().as_ref(), "a/b");
        assert!(location.local_path().is_none());
    }

    #[test]
    fn relative_paths_start_at_a_location() {
        let base = parse("s3://bucket/data").unwrap();
        let resolved = |text| base.resolve(text).map(|location| location.to_string());
        assert_eq!(resolved("a b/c").unwrap(), "s3://bucket/data/a%20b/c");
        assert_eq!(resolved("./../x/").unwrap(), "s3://bucket/x");
        assert_eq!(resolved("s3://other/x").unwrap(), "s3://other/x");
        assert_eq!(resolved("/mnt/x").unwrap(), "/mnt/x");
        assert!(resolved("../../x").is_err());
        assert_eq!(parse("/base").unwrap().resolve("x").unwrap().to_string(), "/base/x");
    }

    #[test]
    fn locations_touch_by_their_parts() {
        let touch = |a: &str, b: &str| parse(a).unwrap().touches(&parse(b).unwrap());
        assert!(touch("out", "./out/") && touch("out", "out/csv") && touch("s3://a/x/y", "s3://a/x"));
        assert!(!touch("out", "outer") && !touch("s3://a/x", "s3://b/x") && !touch("/x", "s3://a/x"));
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for text in ["s3://key:hunter2@bucket/a", "s3://bucket/a?sig=hunter2", "ftp://u:hunter2@host/x?k=hunter2"] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
