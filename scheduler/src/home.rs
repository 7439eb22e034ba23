//! The home of a project's runs: where state, bundles and tables go unless the project says otherwise.

use std::path::PathBuf;

use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::segment;
use windlass_storage::Location;

/// The home of a project's runs.
///
/// ```text
/// <home>/runs/<run_id>/…     the bundles
///       /tables/<stage>/     the stages' Delta tables, unless a stage gives a location of its own
///       /exports/<folder>.json   what has been exported to a folder, and which of its files that is
///       /cache/<run_id>/…    what `materialize: cache` keeps for one run
///       /maintenance/…       what turns of maintenance did, and what they remember of each table
///       /marks/<name>.json   the pins and tags that people have set
///       /writer.lock         which process writes to the home, while one does; in an object store, `writer/<n>.json`
/// <local>/state.redb         leases, run counters, run events of the embedded cluster
/// <local>/work/…             its shuffle files
/// ```
///
/// `<local>` is the home itself if that is on a local disk. For a home in an object store it is a folder of this user
/// on this machine, the same whichever project names the home: `$XDG_STATE_HOME/windlass/<the home's name>`, where
/// `$XDG_STATE_HOME` is `~/.local/state` unless it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: Location,
}

impl Home {
    /// The home at `root`.
    pub fn new(root: Location) -> Self {
        Self { root }
    }

    /// The folder or prefix itself; bundles lie below its `runs/`.
    pub fn root(&self) -> &Location {
        &self.root
    }

    /// The table of a stage that gives no location of its own.
    pub fn table(&self, stage: &NodeName) -> Location {
        self.tables().join(stage.as_str())
    }

    /// Where all of those are.
    pub(crate) fn tables(&self) -> Location {
        self.root.join("tables")
    }

    /// What is remembered of a folder that is exported to.
    pub(crate) fn export_record(&self, folder: &Location) -> Location {
        self.root.join("exports").join(&format!("{}.json", folder_name(folder)))
    }

    /// What earlier versions of Windlass remembered of an export: which version of the table it had.
    pub(crate) fn former_export_record(&self, stage: &NodeName, export: &str) -> Location {
        self.root.join("exports").join(stage.as_str()).join(&format!("{}.json", segment(export)))
    }

    /// Everything that one run keeps only while it runs.
    pub fn cache(&self, run: &RunId) -> Location {
        self.caches().join(run.as_str())
    }

    /// Where all runs keep that.
    pub fn caches(&self) -> Location {
        self.root.join("cache")
    }

    /// The file of the embedded state store; `None` if there is no local folder for it.
    pub fn state_file(&self) -> Option<PathBuf> {
        self.local().map(|local| local.join("state.redb"))
    }

    /// The folder for the embedded cluster's shuffle files; `None` if there is no local folder for it.
    pub fn work_dir(&self) -> Option<PathBuf> {
        self.local().map(|local| local.join("work"))
    }

    fn local(&self) -> Option<PathBuf> {
        self.root.local_path().or_else(|| Some(user_state()?.join("windlass").join(folder_name(&self.root))))
    }
}

/// Where programs keep what they must find again on this machine.
fn user_state() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

/// A name for a location: readable, and different for different locations.
pub(crate) fn folder_name(location: &Location) -> String {
    let readable = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let shown: String = location.url().as_str().chars().map(readable).take(80).collect();
    let mut digest = blake3::hash(location.url().as_str().as_bytes()).to_hex().to_string();
    digest.truncate(12);
    format!("{shown}-{digest}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn homes_in_object_stores_have_local_folders_of_their_own() {
        let home = |text: &str| Home::new(Location::parse(text, Path::new("/project")).unwrap());
        assert_eq!(home(".windlass").state_file().unwrap(), Path::new("/project/.windlass/state.redb"));
        let names: Vec<String> = ["s3://lake/a", "s3://lake/b", "s3://lake/a-b", "s3://lake/a/b"]
            .map(|url| folder_name(home(url).root()))
            .into();
        assert!(names[0].starts_with("s3---lake-a-"), "{names:?}");
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
