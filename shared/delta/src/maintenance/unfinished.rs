//! What a killed writer has left on a local disk of files that it had not finished.
//!
//! The store writes a file under its name and `#` with a number, and gives it its name when it is complete. It never lists
//! such files, so no listing finds them. Object stores drop unfinished uploads by a rule of the bucket.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

/// The unfinished files in a table's folder that were last written to before a time, with their bytes.
///
/// # Errors
/// If a folder cannot be read.
pub(super) fn unfinished(folder: &Path, before: DateTime<Utc>) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // Neither the entry nor what it leads to is followed elsewhere.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let is_old = metadata.modified().is_ok_and(|modified| DateTime::<Utc>::from(modified) < before);
            if metadata.is_file() && is_old && entry.file_name().to_str().is_some_and(is_unfinished) {
                found.push((entry.path(), metadata.len()));
            }
        }
    }
    Ok(found)
}

/// Whether a name is one that the store gives to data files and deletion vectors while it writes them.
fn is_unfinished(name: &str) -> bool {
    let Some((name, number)) = name.rsplit_once('#') else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_vector = name.starts_with("deletion_vector_") && name.ends_with(".bin");
    is_number && (name.ends_with(".parquet") || is_vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_writer_that_ended_are_found_by_name_and_age() {
        let folder = std::env::temp_dir().join(format!("windlass-unfinished-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(folder.join("p=1")).unwrap();
        for name in ["part-1.parquet", "part-1.parquet#1", "p=1/part-2.parquet#23", "notes#1", "part-3.parquet#x"] {
            fs::write(folder.join(name), "four").unwrap();
        }
        let later = Utc::now() + chrono::TimeDelta::seconds(5);
        let mut found = unfinished(&folder, later).unwrap();
        found.sort();
        let expected = ["p=1/part-2.parquet#23", "part-1.parquet#1"].map(|name| (folder.join(name), 4));
        assert_eq!(found, expected);
        assert_eq!(unfinished(&folder, Utc::now() - chrono::TimeDelta::seconds(60)).unwrap(), []);
        fs::remove_dir_all(folder).unwrap();
    }
}
