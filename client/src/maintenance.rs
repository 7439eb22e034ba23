//! What is asked of a turn of maintenance, and its handle.

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_evidence::artifact::{MaintenanceEvent, MaintenanceKind, MaintenanceRecord};

use crate::error::ClientError;

/// The options of a turn of maintenance.
#[derive(Debug, Clone, Default)]
pub struct MaintainOptions {
    /// The stages whose tables are maintained; all if empty.
    pub select: Vec<String>,
    /// What to omit.
    pub exclude: Vec<String>,
    /// Values of parameters, by name.
    pub params: Vec<(String, String)>,
    /// Only these actions; all if empty.
    pub only: Vec<MaintenanceKind>,
    /// Only decide what is due; nothing is written.
    pub dry_run: bool,
}

/// An active turn of maintenance. On a cluster it is stopped when this is dropped.
#[derive(Debug)]
pub struct MaintainHandle {
    /// What the turn does, as it happens. It ends when the turn does.
    pub events: UnboundedReceiver<MaintenanceEvent>,
    pub(crate) cancel: CancellationToken,
    pub(crate) done: JoinHandle<Result<MaintenanceRecord, ClientError>>,
}

impl MaintainHandle {
    /// The token that stops the turn. What was done before stands, and the next turn does the rest.
    pub fn cancel_token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits for the end of the turn. An action that failed is not an error: it is in the record.
    ///
    /// # Errors
    /// [`ClientError`] if the turn did not begin, was aborted, or cannot be followed any more;
    /// [`ClientError::TurnStopped`] if it was stopped on a cluster.
    pub async fn wait(self) -> Result<MaintenanceRecord, ClientError> {
        match self.done.await {
            Ok(outcome) => outcome,
            Err(error) => Err(ClientError::Follower(error)),
        }
    }
}
