//! What goes wrong with run bundles.

use datafusion::arrow::error::ArrowError;
use windlass_base::coded;
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::RunId;
use windlass_storage::StorageError;

/// What goes wrong with run bundles.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store of the bundles cannot be opened.
    #[error("the run bundles cannot be opened")]
    Location(#[from] StorageError),
    /// An object cannot be read or written.
    #[error("the bundle's file {path} cannot be read or written")]
    Store {
        /// The object.
        path: String,
        /// What its store said.
        source: object_store::Error,
    },
    /// The log file on a local disk cannot be written.
    #[error("the bundle's file {path} cannot be written")]
    Log {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part of a bundle is not what its name says.
    #[error("the bundle's file {path} cannot be parsed")]
    Malformed {
        /// The object.
        path: String,
        /// Why it is not.
        source: serde_json::Error,
    },
    /// The metrics are not a readable Arrow file.
    #[error("the bundle's file {path} cannot be read as Arrow")]
    Arrow {
        /// The object.
        path: String,
        /// Why it is not.
        source: ArrowError,
    },
    /// A file of a bundle is a link to somewhere else.
    #[error("the bundle's file {path} is a link that leads out of the bundle")]
    Link {
        /// The file.
        path: String,
    },
    /// A part of a bundle that is needed is not there.
    #[error("the bundle of run {run_id} has no {part}")]
    Missing {
        /// The run.
        run_id: RunId,
        /// The part.
        part: String,
    },
    /// A text file of a bundle is not UTF-8.
    #[error("the bundle's file {path} is not text")]
    NotText {
        /// The object.
        path: String,
    },
    /// The bundle was written by a later version of Windlass.
    #[error("the bundle of run {run_id} has format {found}, and this version of windlass reads up to {supported}")]
    Format {
        /// The run.
        run_id: RunId,
        /// Its format.
        found: u32,
        /// The greatest format that is read.
        supported: u32,
    },
    /// There is no bundle of that run.
    #[error("there is no run {run_id}")]
    NoSuchRun {
        /// The run.
        run_id: RunId,
    },
    /// The scheduler that keeps the bundles says no.
    #[error(transparent)]
    Remote(#[from] Failure),
    /// The run has ended, and its bundle does not change any more.
    #[error("the bundle of run {run_id} is sealed")]
    Sealed {
        /// The run.
        run_id: RunId,
    },
}

impl RecordError {
    /// Whether there is no bundle of that run, here or where the scheduler keeps them.
    pub fn is_no_such_run(&self) -> bool {
        self.code().0 == NO_SUCH_RUN
    }
}

/// The code of [`RecordError::NoSuchRun`].
const NO_SUCH_RUN: &str = "WL0623";

coded! {
    RecordError {
        Location => inner;
        Remote => inner;
        Store | Log => "WL0620" retry, "check that the home is reachable and writable and has free space";
        Malformed | Arrow | NotText => "WL0621",
            "the file was changed or cut short after it was written; the run's other files may still be readable";
        Link => "WL0537", "windlass creates no links in bundles: find out what did, and remove it";
        Format => "WL0622", "use the version of windlass that wrote it, or a later one";
        NoSuchRun => "WL0623", "`windlass runs list` shows the runs of this home";
        Sealed => "WL0624", "a run that has ended is not resumed; start a new one";
        Missing => "WL0625", "the run ended before it was written: start a new run with `windlass run`";
    }
}
