//! The home of a project's runs: where state, bundles and tables go unless the project says otherwise.

use std::path::PathBuf;

use windlass_shared::ids::{NodeName, RunId};
use windlass_shared::storage::Location;

/// The home of a project's runs.
///
/// ```text
/// <home>/state.redb          leases, run counters, run events
///       /runs/<run_id>/…     the bundles
///       /tables/<stage>/     the stages' Delta tables, unless a stage gives a location of its own
///       /cache/<run_id>/…    what `materialize: cache` keeps for one run
///       /work/…              shuffle files of the embedded cluster
/// ```
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
        self.root.join("tables").join(stage.as_str())
    }

    /// Everything that one run keeps only while it runs.
    pub fn cache(&self, run: &RunId) -> Location {
        self.root.join("cache").join(run.as_str())
    }

    /// The file of the embedded state store, if the home is on a local disk.
    pub fn state_file(&self) -> Option<PathBuf> {
        self.root.local_path().map(|root| root.join("state.redb"))
    }

    /// The folder for the embedded cluster's shuffle files, if the home is on a local disk.
    pub fn work_dir(&self) -> Option<PathBuf> {
        self.root.local_path().map(|root| root.join("work"))
    }
}
