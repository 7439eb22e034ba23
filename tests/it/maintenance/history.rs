//! What lies in a table's folder, and what of it its versions need: told by the commits as they are written, not by the
//! code that is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use uuid::Uuid;

/// The commits of a table, from the first one on.
pub(super) struct History {
    commits: Vec<Vec<Value>>,
}

impl History {
    /// Reads all commits; there must be no gap.
    pub(super) fn read(table: &Path) -> Self {
        let mut commits = Vec::new();
        while let Ok(text) = fs::read_to_string(commit_file(table, commits.len() as u64)) {
            commits.push(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
        }
        assert!(!commits.is_empty(), "{} has no first commit", table.display());
        Self { commits }
    }

    /// The newest version.
    pub(super) fn newest(&self) -> u64 {
        self.commits.len() as u64 - 1
    }

    /// The names of the data files and deletion vectors of a version.
    pub(super) fn of(&self, version: u64) -> BTreeSet<String> {
        let mut live: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for commit in &self.commits[..=version as usize] {
            for removed in actions(commit, "remove") {
                live.remove(&identity(removed));
            }
            for added in actions(commit, "add") {
                live.insert(identity(added), names_of(added));
            }
        }
        live.into_values().flatten().collect()
    }

    /// The names of the data files of a version, by their paths in the log.
    pub(super) fn data_files(&self, version: u64) -> BTreeSet<String> {
        self.of(version).into_iter().filter(|name| name.ends_with(".parquet")).collect()
    }

    /// The names of all files that the changes after one version, up to another, are read from.
    pub(super) fn changes(&self, after: u64, up_to: u64) -> BTreeSet<String> {
        let commits = &self.commits[after as usize + 1..=up_to as usize];
        let named = commits.iter().flat_map(|commit| {
            ["add", "remove", "cdc"].into_iter().flat_map(move |kind| actions(commit, kind)).flat_map(names_of)
        });
        named.collect()
    }

    /// The actions of a kind in the commit of a version.
    pub(super) fn actions(&self, version: u64, kind: &str) -> Vec<&Value> {
        actions(&self.commits[version as usize], kind).collect()
    }

    /// The value of a key in the commit info of a version.
    pub(super) fn info(&self, version: u64, key: &str) -> Option<&Value> {
        self.actions(version, "commitInfo").first().and_then(|info| info.get(key))
    }
}

fn actions<'c>(commit: &'c [Value], kind: &str) -> impl Iterator<Item = &'c Value> {
    commit.iter().filter_map(move |action| action.get(kind))
}

/// What tells a file with its deletion vector from others.
fn identity(action: &Value) -> String {
    let vector = action.get("deletionVector").map_or(&Value::Null, |vector| &vector["pathOrInlineDv"]);
    format!("{} {vector}", action["path"])
}

/// The names of the files that an action names. Every file has a name of its own, in whatever folder it lies.
fn names_of(action: &Value) -> BTreeSet<String> {
    let path = action["path"].as_str().unwrap();
    let mut names = BTreeSet::from([path.rsplit('/').next().unwrap().to_owned()]);
    if let Some(vector) = action.get("deletionVector").filter(|vector| vector["storageType"] == "u") {
        let text = vector["pathOrInlineDv"].as_str().unwrap();
        let id = z85::decode(&text[text.len() - 20..]).unwrap();
        names.insert(format!("deletion_vector_{}.bin", Uuid::from_slice(&id).unwrap()));
    }
    names
}

/// The file of a commit.
pub(super) fn commit_file(table: &Path, version: u64) -> PathBuf {
    table.join(format!("_delta_log/{version:020}.json"))
}

/// The versions whose commits are in the log.
pub(super) fn commits(table: &Path) -> BTreeSet<u64> {
    let name = |path: &PathBuf| path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok();
    entries(&table.join("_delta_log")).iter().filter_map(name).collect()
}

/// The versions with a checkpoint.
pub(super) fn checkpoints(table: &Path) -> BTreeSet<u64> {
    let name = |path: &PathBuf| path.file_name()?.to_str()?.split_once(".checkpoint.")?.0.parse().ok();
    entries(&table.join("_delta_log")).iter().filter_map(name).collect()
}

/// All files below a table's folder that do not belong to its own log, by their paths below it, with their bytes.
pub(super) fn listed(table: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![table.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::metadata(&path).unwrap().len();
                found.insert(path.strip_prefix(table).unwrap().to_str().unwrap().to_owned(), bytes);
            }
        }
    }
    found.retain(|path, _| !path.starts_with("_delta_log/"));
    found
}

/// The names of those files, without their folders.
pub(super) fn names(table: &Path) -> BTreeSet<String> {
    listed(table).into_keys().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect()
}

/// The bytes of those files.
pub(super) fn bytes(table: &Path) -> u64 {
    listed(table).values().sum()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
