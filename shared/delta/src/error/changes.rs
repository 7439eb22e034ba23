//! Why the changes of a table cannot be read.

use std::fmt;

use windlass_base::coded;

/// Why the changes of a table cannot be read from one version to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The log does not reach from one end of the range to the other.
    #[error("the changes of the Delta table at `{table}` cannot be read: {gap}")]
    CursorGap {
        /// The table's root.
        table: String,
        /// What is missing.
        gap: Gap,
    },
    /// A version of the range did not record its changes.
    #[error(
        "the changes of the Delta table at `{table}` are not recorded in version {version}: its change data feed was off"
    )]
    FeedDisabled {
        /// The table's root.
        table: String,
        /// The first such version.
        version: u64,
    },
    /// Rows from before a version do not fit the columns from then on.
    #[error(
        "the columns of the Delta table at `{table}` changed in version {version}, so that earlier changes cannot be read \
         with later ones: {}", listed(.columns)
    )]
    SchemaChanged {
        /// The table's root.
        table: String,
        /// The version.
        version: u64,
        /// The columns that changed.
        columns: Vec<String>,
    },
    /// The table is not the one that it was.
    #[error("the Delta table at `{table}` was replaced by another in version {version}")]
    TableReplaced {
        /// The table's root.
        table: String,
        /// The first version of the new table.
        version: u64,
    },
    /// A file that holds changes is gone.
    #[error(
        "the changes of version {version} of the Delta table at `{table}` are gone: `{file}` was removed by vacuum"
    )]
    Vacuumed {
        /// The table's root.
        table: String,
        /// The version.
        version: u64,
        /// The file, as the log names it.
        file: String,
    },
    /// A commit breaks the protocol.
    #[error("version {version} of the Delta table at `{table}` names `{file}` twice, so its changes are not clear")]
    InvalidCommit {
        /// The table's root.
        table: String,
        /// The version.
        version: u64,
        /// The file, as the log names it.
        file: String,
    },
}

/// What is missing between the two ends of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// The log of a version was cleaned up.
    Missing {
        /// The version.
        version: u64,
    },
    /// The table has not come that far.
    Ahead {
        /// The version asked for.
        version: u64,
        /// The newest version.
        newest: u64,
    },
    /// The range ends before it begins.
    Backwards {
        /// Where it should begin.
        first: u64,
        /// Where it should end.
        last: u64,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { version } => write!(f, "the log of version {version} is no longer there"),
            Self::Ahead { version, newest } => {
                write!(f, "version {version} is asked for, but the newest version is {newest}")
            }
            Self::Backwards { first, last } => {
                write!(f, "the range would begin with version {first} and end before it, with version {last}")
            }
        }
    }
}

fn listed(columns: &[String]) -> String {
    columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ")
}

/// What helps when changes can no longer be told.
const REBUILD: &str =
    "rebuild what reads the changes from the table as it is now (`windlass run --full-refresh STAGE`)";

coded! {
    ChangeError {
        CursorGap { gap } => "WL0410", gap.help();
        FeedDisabled => "WL0411",
            format!(
                "set `delta.enableChangeDataFeed = true` on the table and leave it on; changes from before are not \
                 recorded, so {REBUILD}"
            );
        SchemaChanged => "WL0412",
            format!("{REBUILD}; only adding nullable columns at the end needs no rebuild");
        TableReplaced => "WL0413", REBUILD;
        Vacuumed => "WL0414",
            format!(
                "{REBUILD}; to prevent this, run more often than files are vacuumed \
                 (`delta.deletedFileRetentionDuration`)"
            );
        InvalidCommit => "WL0415", format!("the log is damaged or written by a faulty program; {REBUILD}");
    }
}

impl Gap {
    fn help(&self) -> String {
        match self {
            Self::Missing { .. } => format!(
                "{REBUILD}; to prevent this, run more often, or keep the log longer (`delta.logRetentionDuration`)"
            ),
            Self::Ahead { .. } => {
                format!("the table may have been replaced by an older copy of itself: if that is right, {REBUILD}")
            }
            Self::Backwards { .. } => format!(
                "read the table at the version up to which its changes were read, or later; to go back, {REBUILD}"
            ),
        }
    }
}
