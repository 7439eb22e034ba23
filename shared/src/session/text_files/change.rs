//! Which files of a source have changed from one listing to another.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::catalog::TableProvider;
use serde::{Deserialize, Serialize};

use super::table::TextFilesTable;

/// The column that names a file, in every row of a source of text files.
pub const PATH_COLUMN: &str = "path";

/// The files of a source as they were listed, by path: bytes and the time of the last change, in microseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextListing {
    files: BTreeMap<String, (u64, i64)>,
}

/// What has changed between two listings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingChange {
    /// The paths of files that are new, gone or different.
    pub paths: BTreeSet<String>,
    /// How many of them are there now.
    pub present: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl TextListing {
    /// The listing that `table` reads, if it is a source of text files.
    pub fn of(table: &dyn TableProvider) -> Option<Self> {
        let table = table.downcast_ref::<TextFilesTable>()?;
        Some(table.files.iter().map(|file| (file.path.clone(), (file.size, file.modified))).collect())
    }

    /// What has changed since `former`.
    pub fn change_since(&self, former: &Self) -> ListingChange {
        let mut change = ListingChange::default();
        for (path, now) in &self.files {
            if former.files.get(path) != Some(now) {
                change.paths.insert(path.clone());
                change.present += 1;
                change.bytes += now.0;
            }
        }
        let gone = former.files.keys().filter(|path| !self.files.contains_key(*path));
        change.paths.extend(gone.cloned());
        change
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl FromIterator<(String, (u64, i64))> for TextListing {
    fn from_iter<I: IntoIterator<Item = (String, (u64, i64))>>(files: I) -> Self {
        Self { files: files.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&str, u64, i64)]) -> TextListing {
        files.iter().map(|(path, size, modified)| ((*path).to_owned(), (*size, *modified))).collect()
    }

    #[test]
    fn new_gone_and_different_files_have_changed() {
        let before = listing(&[("a", 1, 1), ("b", 1, 1), ("c", 1, 1), ("d", 1, 1)]);
        let now = listing(&[("a", 1, 1), ("b", 2, 1), ("c", 1, 2), ("e", 5, 1)]);
        let change = now.change_since(&before);
        assert_eq!(change.paths.iter().map(String::as_str).collect::<Vec<_>>(), ["b", "c", "d", "e"]);
        assert_eq!((change.present, change.bytes), (3, 8));
        assert_eq!(now.change_since(&now), ListingChange::default());
    }
}
