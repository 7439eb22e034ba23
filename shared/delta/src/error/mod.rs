//! Why a Delta table cannot be read, written or committed to.

mod changes;
mod difference;
mod read;
mod write;

use deltalake::DeltaTableError;
use windlass_base::coded;
use windlass_storage::{StorageError, advice};

pub use changes::{ChangeError, Gap};
pub use difference::Difference;
pub use read::ReadError;
pub use write::WriteError;

/// Why a Delta table cannot be read, written or committed to.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The location or its store cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The table cannot be pinned or scanned.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The changes of the table cannot be read.
    #[error(transparent)]
    Changes(#[from] ChangeError),
    /// The log cannot be read, or the store failed.
    #[error("the Delta table at `{location}` cannot be read")]
    Log {
        /// The table's root.
        location: String,
        /// The library's own words.
        #[source]
        source: DeltaTableError,
    },
    /// The table cannot be written or committed to.
    #[error(transparent)]
    Write(Box<WriteError>),
}

impl DeltaError {
    /// Whether the changes of a table cannot be told any more, which trying again does not help.
    pub fn is_change_gap(&self) -> bool {
        matches!(self, Self::Changes(_))
    }

    /// Whether no run has committed to the table yet, if there is one at all.
    pub fn is_not_built(&self) -> bool {
        self.is_not_a_table() || matches!(self, Self::Read(ReadError::NotBuilt { .. }))
    }

    /// Whether there is no Delta table at all where one was looked for.
    pub fn is_not_a_table(&self) -> bool {
        matches!(self, Self::Read(ReadError::NotATable { .. }))
    }
}

impl From<WriteError> for DeltaError {
    fn from(error: WriteError) -> Self {
        Self::Write(Box::new(error))
    }
}

coded! {
    DeltaError {
        Storage => inner;
        Read => inner;
        Changes => inner;
        Write => inner;
        Log { source } => "WL0401" retry if is_transient(source),
            advice(source).unwrap_or(
                "check that the folder holds a complete `_delta_log`, and that this process can reach its store and may \
                 read it",
            );
    }
}

/// Whether `error` comes from a store that may answer differently when asked again: what it wraps is searched too.
///
/// An object store says [`object_store::Error::Generic`] for what remains after its own retries. The kernel below
/// deltalake keeps such an error in its text only.
pub(crate) fn is_transient(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let in_kernel = match error.downcast_ref::<DeltaTableError>() {
            Some(DeltaTableError::KernelError(kernel)) => kernel.to_string().contains("object store: Generic "),
            _ => false,
        };
        in_kernel || matches!(error.downcast_ref::<object_store::Error>(), Some(object_store::Error::Generic { .. }))
    })
}
