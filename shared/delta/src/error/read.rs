//! Why a Delta table cannot be pinned or scanned.

use chrono::{DateTime, SecondsFormat, Utc};
use windlass_base::coded;
use windlass_base::ids::NodeName;

use crate::feature::{NEWEST_READER_VERSION, READABLE_FEATURES};

/// Why a Delta table cannot be pinned or scanned.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no Delta log at the location.
    #[error("`{location}` {}", if *.missing {
        "does not exist"
    } else {
        "is not a Delta table: it has no `_delta_log` with a commit or a checkpoint"
    })]
    NotATable {
        /// The table's root.
        location: String,
        /// Whether there is no such folder on the local disk.
        missing: bool,
    },
    /// A run has made the table, and none has committed to it.
    #[error(
        "the Delta table at `{location}` is not built yet: a run has created it for the stage `{stage}`, and no run has \
         committed rows to it"
    )]
    NotBuilt {
        /// The table's root.
        location: String,
        /// The stage that it was made for.
        stage: NodeName,
    },
    /// The version is not, or no longer, there.
    #[error("the Delta table at `{location}` has no version {version}; it has versions {oldest} to {newest}")]
    VersionNotFound {
        /// The table's root.
        location: String,
        /// The version asked for.
        version: u64,
        /// The oldest version that can still be read.
        oldest: u64,
        /// The newest version.
        newest: u64,
    },
    /// Every version that can be read is younger than the time asked for.
    #[error(
        "the Delta table at `{location}` has no version as old as {}; its oldest, version {oldest}, is from {}",
        shown(.timestamp), shown(.oldest_timestamp)
    )]
    BeforeFirstCommit {
        /// The table's root.
        location: String,
        /// The time asked for.
        timestamp: DateTime<Utc>,
        /// The oldest version whose time is known.
        oldest: u64,
        /// Its time.
        oldest_timestamp: DateTime<Utc>,
    },
    /// The table asks its readers for a feature that is not read.
    #[error("the Delta table at `{location}` needs the reader feature `{feature}`, which is not supported")]
    Feature {
        /// The table's root.
        location: String,
        /// The feature, as the protocol names it.
        feature: String,
        /// What to do, for a feature that is known.
        advice: Option<&'static str>,
    },
    /// The table asks for a newer reader altogether.
    #[error(
        "the Delta table at `{location}` needs reader version {version}; versions up to {NEWEST_READER_VERSION} are read"
    )]
    ReaderVersion {
        /// The table's root.
        location: String,
        /// The version its protocol asks for.
        version: i32,
    },
    /// The log breaks the protocol.
    #[error("the log of the Delta table at `{location}` is invalid: {reason}")]
    InvalidLog {
        /// The table's root.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the table is in another object store than the table.
    #[error("the Delta table at `{location}` refers to a file in another object store: `{file}`")]
    ForeignFile {
        /// The table's root.
        location: String,
        /// The file, as the log names it.
        file: String,
    },
    /// A data file that the log refers to does not exist.
    #[error("the data file `{file}` does not exist any more")]
    FileMissing {
        /// The file, in its store.
        file: String,
    },
    /// A data file is not a Parquet file.
    #[error("the data file `{file}` is damaged: {reason}")]
    FileDamaged {
        /// The file, in its store.
        file: String,
        /// The reader's message.
        reason: String,
    },
    /// A deletion vector is not what the log says it is.
    #[error("the deletion vector of `{file}` cannot be applied: {reason}")]
    DeletionVector {
        /// The data file.
        file: String,
        /// What is wrong with the vector.
        reason: String,
    },
}

fn shown(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

coded! {
    ReadError {
        NotATable { location } => "WL0402", where_a_table_is(location);
        NotBuilt { stage } => "WL0443",
            format!("run `{stage}` in its project; if its last run failed, see why with `windlass runs show`");
        VersionNotFound => "WL0403",
            "pin a version of that range, or a time, or leave the pin out for the newest; clean-up of the log removes \
             older versions";
        BeforeFirstCommit => "WL0404", "pin a later time, or a version";
        Feature { advice } => "WL0405", advice.map_or_else(without_feature, str::to_owned);
        ReaderVersion => "WL0406",
            "the version is newer than this Windlass, or the log is damaged; read a copy written with an older \
             protocol";
        InvalidLog => "WL0407",
            "restore the missing or damaged files of `_delta_log`, or pin a version before the damage";
        ForeignFile => "WL0408", "copy the table (a shallow clone keeps its files elsewhere; a deep clone does not)";
        FileMissing => "WL0445",
            "vacuum or another program has removed it: run again to read the newest version, or restore the file";
        FileDamaged => "WL0446", "restore the file, or write its rows again with the program that wrote it";
        DeletionVector => "WL0409",
            "the table is damaged: restore the file that the log names, or pin an earlier version";
    }
}

/// What to check about a location without a table.
fn where_a_table_is(location: &str) -> &'static str {
    match location.contains("://") {
        true => {
            "check the location: it must be the folder that holds `_delta_log`, in the bucket and at the endpoint that \
             this process is configured for"
        }
        false => {
            "check the location: it must be the folder that holds `_delta_log`; the table of another project exists once \
             its stage has been run there"
        }
    }
}

/// How to be rid of a feature of which nothing more is known.
fn without_feature() -> String {
    format!(
        "drop the feature with the engine that added it, or copy the table without it; these are read: {}",
        READABLE_FEATURES.join(", ")
    )
}
