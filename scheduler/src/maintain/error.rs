//! Why maintenance, a pin or a tag was refused. An action that fails is not one of these: the record tells of it.

use windlass_base::coded;
use windlass_base::count::counted;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::DeltaError;
use windlass_evidence::bundle::RecordError;
use windlass_project::spec::Problems;

use crate::plan::PlanError;
use crate::run::RunError;
use crate::state::{LeaseHeld, StateError};

/// Why maintenance, a pin or a tag was refused.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The selection is wrong.
    #[error(transparent)]
    Project(#[from] Problems),
    /// A run of the pipeline is active, another process writes to the home, or it cannot be told.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A table cannot be looked at.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A table cannot be read.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// What is recorded cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The table is being maintained.
    #[error("the table `{table}` is being maintained: {held}")]
    Held {
        /// The table.
        table: NodeName,
        /// By whom.
        held: Box<LeaseHeld>,
    },
    /// There is no table of that name.
    #[error("the project writes no table `{table}`")]
    NoTable {
        /// The name.
        table: NodeName,
        /// The tables that it writes.
        help: Option<String>,
    },
    /// No pin or tag has that name.
    #[error("there is no pin or tag `{name}`")]
    NoSuchMark {
        /// The name.
        name: String,
        /// Those that exist.
        help: Option<String>,
    },
    /// Another pin or tag has the name.
    #[error("the name `{name}` is taken: it keeps version {version} of `{table}`")]
    MarkTaken {
        /// The name.
        name: String,
        /// The table that it is of.
        table: NodeName,
        /// The version that it keeps.
        version: TableVersion,
    },
    /// Files of the version were removed.
    #[error("version {version} of `{table}` cannot be kept: {missing} of its files were removed, among them `{first}`")]
    Incomplete {
        /// The table.
        table: NodeName,
        /// The version.
        version: TableVersion,
        /// How many files are missing.
        missing: usize,
        /// One of them.
        first: String,
    },
}

coded! {
    MaintainError {
        Project => inner;
        Run => inner;
        Plan => inner;
        Delta => inner;
        Record => inner;
        State => inner;
        Held => "WL0683" retry, "try again when it has finished";
        NoSuchMark { help } => "WL0681", help.as_deref().unwrap_or("`windlass pins ls` lists pins and tags");
        MarkTaken => "WL0682", "choose another name, or release the pin or remove the tag first";
        Incomplete => "WL0684", "keep a newer version: the newest is always whole";
        NoTable { help } => "WL0685", help.as_deref().unwrap_or("`windlass tables` lists the tables");
    }
}

/// Why an action on a table did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ActionError {
    /// Others have changed files that were rewritten meanwhile.
    #[error("the files of `{table}` that were rewritten are not used: {reason}")]
    Conflicted {
        /// The table.
        table: NodeName,
        /// What the others changed.
        reason: String,
    },
    /// The store refuses to remove files.
    #[error("{} of `{table}` cannot be removed: {reason}", counted(*files, "file"))]
    NotRemoved {
        /// The table.
        table: NodeName,
        /// How many files.
        files: u64,
        /// What the store said of the first.
        reason: String,
    },
    /// The turn was stopped.
    #[error("the maintenance of `{table}` was stopped")]
    Stopped {
        /// The table.
        table: NodeName,
    },
}

coded! {
    ActionError {
        Conflicted => "WL0686" retry, "nothing is lost; the next turn looks at the table again";
        NotRemoved => "WL0687" retry, "check that this process may remove files there; the next turn tries again";
        Stopped => "WL0688" retry, "what was done stands; the next turn does the rest";
    }
}
