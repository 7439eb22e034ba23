//! Savers: write a stage's rows to places other than its table.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_storage::{Location, Stores};

use super::error::Fault;

/// Writes the rows of a table to another place.
///
/// A save may be repeated, after a failure or after the process was lost. It must then leave the same result as a
/// single save.
#[async_trait]
pub trait Saver: fmt::Debug + Send + Sync {
    /// Writes all rows, in place of what an earlier save wrote; one with a [`Saver::file_name`] writes that file, and
    /// touches nothing else.
    ///
    /// # Errors
    /// [`Fault`], with a message that says what to do. The stage is then retried according to its settings.
    async fn save(&self, request: SaveRequest) -> Result<Saved, Fault>;

    /// Checks whether rows with these columns can be written with these options, before any are computed.
    ///
    /// # Errors
    /// [`Fault`], with a message that names the unsupported column or option.
    fn check(&self, _columns: &SchemaRef, _options: &BTreeMap<String, String>) -> Result<(), Fault> {
        Ok(())
    }

    /// The name of the single file that a save writes into its folder, for a given [`SaveRequest::name`].
    ///
    /// Windlass then manages the files in the folder: it removes those of earlier saves, and refuses a folder with
    /// other files that readers would find. A saver without such a file is responsible for its own location.
    fn file_name(&self, _name: &str) -> Option<String> {
        None
    }
}

/// What to write, and where.
pub struct SaveRequest {
    /// The stage.
    pub dataset: NodeName,
    /// The version of its table that the rows come from.
    pub version: TableVersion,
    /// A unique name derived from the stage, the export and the version.
    pub name: String,
    /// The folder, resolved.
    pub location: Location,
    /// The export's options.
    pub options: BTreeMap<String, String>,
    /// The rows, batch by batch.
    pub rows: SendableRecordBatchStream,
    /// The object stores of the process.
    pub stores: Arc<Stores>,
}

impl fmt::Debug for SaveRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveRequest")
            .field("dataset", &self.dataset)
            .field("version", &self.version)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// The result of a save.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// The number of rows written.
    pub rows: u64,
    /// The number of bytes written.
    pub bytes: u64,
}
