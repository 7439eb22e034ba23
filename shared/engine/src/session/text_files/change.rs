//! Compares two listings of a source of text files.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::catalog::TableProvider;
use serde::{Deserialize, Serialize};

use super::chunks::TextFile;
use super::table::TextFilesTable;

/// The column with the path of the file, in every row of a source of text files.
pub const PATH_COLUMN: &str = "path";

/// The listed files of a source, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextListing {
    files: BTreeMap<String, Listed>,
}

/// A listed file: its size, its modification time in microseconds since 1970, and the store's tags of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed(u64, i64, #[serde(default)] Option<String>);

/// The differences between two listings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingChange {
    /// The paths of added, removed and modified files.
    pub paths: BTreeSet<String>,
    /// The number of these files that exist now.
    pub present: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl TextListing {
    /// The listing that `table` reads, if it is a source of text files.
    pub fn of(table: &dyn TableProvider) -> Option<Self> {
        let table = table.downcast_ref::<TextFilesTable>()?;
        let listed = |file: &TextFile| Listed(file.size, file.modified, file.mark.clone());
        let files = table.files.iter().map(|file| (file.path.clone(), listed(file))).collect();
        Some(Self { files })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&str, u64, i64)]) -> TextListing {
        let listed = files.iter().map(|(path, size, time)| ((*path).to_owned(), Listed(*size, *time, None)));
        TextListing { files: listed.collect() }
    }

    #[test]
    fn a_file_of_the_same_size_and_time_may_differ() {
        let with = |mark: &str| TextListing { files: [("a".to_owned(), Listed(1, 1, Some(mark.to_owned())))].into() };
        assert_eq!(with("1").change_since(&with("2")).present, 1);
        assert_eq!(with("1").change_since(&with("1")), ListingChange::default());
        let kept: TextListing = serde_json::from_str(r#"{"a": [1, 1], "b": [2, 3, "x"]}"#).unwrap();
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn added_removed_and_modified_files_have_changed() {
        let before = listing(&[("a", 1, 1), ("b", 1, 1), ("c", 1, 1), ("d", 1, 1)]);
        let now = listing(&[("a", 1, 1), ("b", 2, 1), ("c", 1, 2), ("e", 5, 1)]);
        let change = now.change_since(&before);
        assert_eq!(change.paths.iter().map(String::as_str).collect::<Vec<_>>(), ["b", "c", "d", "e"]);
        assert_eq!((change.present, change.bytes), (3, 8));
        assert_eq!(now.change_since(&now), ListingChange::default());
    }
}
