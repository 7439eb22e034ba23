//! Options of cleaning a home.

/// What is removed from a project's home.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanOptions {
    /// Only find what could be removed; nothing is written.
    pub dry_run: bool,
    /// Also remove tables of stages that no longer exist.
    pub tables: bool,
    /// Keep the bundles of so many of the newest runs; `None` is what the project says.
    pub keep_runs: Option<u64>,
    /// Keep the bundles of runs of so many days; `None` is what the project says.
    pub keep_days: Option<u64>,
}
