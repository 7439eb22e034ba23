//! What must stay of a table.

use std::collections::BTreeSet;

use windlass_base::ids::TableVersion;

/// What must stay of a table: single versions, and everything from one version on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// Versions whose rows must stay readable.
    pub versions: BTreeSet<TableVersion>,
    /// From this version on, every version must stay readable, and so must the changes between them.
    pub since: TableVersion,
}

impl Retained {
    /// The oldest version that must stay readable: what the log must reach back to.
    pub fn oldest(&self) -> TableVersion {
        self.versions.first().copied().map_or(self.since, |first| first.min(self.since))
    }
}
