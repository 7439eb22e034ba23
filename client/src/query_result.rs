//! The result of a query.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::TryStreamExt;

use crate::error::ClientError;

/// The rows of a query. They are fetched as they are read; dropping this ends the query.
pub struct QueryResult {
    stream: SendableRecordBatchStream,
}

impl QueryResult {
    pub(crate) fn new(stream: SendableRecordBatchStream) -> Self {
        Self { stream }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The rows, batch by batch.
    pub fn stream(self) -> SendableRecordBatchStream {
        self.stream
    }

    /// All rows at once.
    ///
    /// # Errors
    /// [`ClientError::Rows`] if they cannot be fetched completely.
    pub async fn collect(self) -> Result<Vec<RecordBatch>, ClientError> {
        self.stream.try_collect().await.map_err(ClientError::rows)
    }
}
