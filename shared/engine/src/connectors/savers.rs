//! Savers: rows to where others read them, besides the stage's table.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_storage::{Location, Stores};

use super::error::Fault;

/// Writes the rows of a table where others read them.
///
/// A save may be repeated: after a failure, or after the process was lost. It must leave what a single save leaves.
#[async_trait]
pub trait Saver: fmt::Debug + Send + Sync {
    /// Writes all rows, in place of what an earlier save wrote; one with a [`Saver::file_name`] writes that file, and
    /// touches nothing else.
    ///
    /// # Errors
    /// [`Fault`], in words that say what to do. The stage is then retried, as often as it is retried at all.
    async fn save(&self, request: SaveRequest) -> Result<Saved, Fault>;

    /// Whether rows of these columns can be written with these options, before any are computed.
    ///
    /// # Errors
    /// [`Fault`], in words that say which column or option is in the way.
    fn check(&self, _columns: &SchemaRef, _options: &BTreeMap<String, String>) -> Result<(), Fault> {
        Ok(())
    }

    /// The one file that a save writes into its folder, by the name that it is given ([`SaveRequest::name`]).
    ///
    /// Windlass then keeps account of the files in the folder, removes those of earlier saves, and refuses a folder where
    /// readers would find something else besides. A saver without such a file cares for its place itself.
    fn file_name(&self, _name: &str) -> Option<String> {
        None
    }
}

/// What to write, and where.
pub struct SaveRequest {
    /// The stage.
    pub dataset: NodeName,
    /// The version of its table that the rows are of.
    pub version: TableVersion,
    /// A name that no other save is given: of the stage, the export and the version.
    pub name: String,
    /// The folder, resolved.
    pub location: Location,
    /// What the export is told.
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

/// What a save came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Rows that were written.
    pub rows: u64,
    /// Bytes that they take.
    pub bytes: u64,
}
