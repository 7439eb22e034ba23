//! Follows a run to its end, across broken connections.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use windlass_api::v1;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::{LogEvent, RunRecord};
use windlass_evidence::bundle::BundleReader;
use windlass_project::spec::ProjectFiles;

use super::bundle::RemoteBundles;
use super::connection::{Connection, Retry};
use crate::error::ClientError;

/// Follows one run.
pub(super) struct Follower {
    pub(super) connection: Connection,
    pub(super) scope: v1::Scope,
    pub(super) run_id: RunId,
    /// The client's files, for showing what keeps a queued run from beginning.
    pub(super) files: ProjectFiles,
    pub(super) events: UnboundedSender<LogEvent>,
    /// The run's place in the queue, while it waits there.
    pub(super) position: watch::Sender<Option<u32>>,
}

impl Follower {
    /// Forwards the lines of the run's log until it ends, and returns its record. When `cancel` fires, the run is asked
    /// to stop, and followed until it has stopped.
    pub(super) async fn follow(self, cancel: CancellationToken) -> Result<RunRecord, ClientError> {
        let mut next = 0;
        let mut retry = Retry::new(self.connection.reconnect_timeout());
        let stopper = tokio::spawn(stop_when(cancel, self.connection.clone(), self.run_id.clone()));
        let outcome = loop {
            let mut heard = false;
            match self.read_lines(&mut next, &mut heard).await {
                Ok(()) => break Ok(()),
                Err(Broken::Status(status)) => {
                    if heard {
                        retry = Retry::new(self.connection.reconnect_timeout());
                    }
                    if !self.connection.recovers(&status, &mut retry).await {
                        break Err(self.connection.to_client_error(status, &self.files));
                    }
                }
                Err(Broken::Line(error)) => {
                    break Err(self.connection.unreadable_answer("a line of the run's log", &error));
                }
            }
        };
        stopper.abort();
        outcome?;
        // The run is not active any more: a record without an end means that the scheduler was lost during the run.
        let bundles = RemoteBundles { connection: self.connection.clone(), scope: self.scope.clone() };
        Ok(BundleReader::new(Arc::new(bundles)).run(&self.run_id, &BTreeSet::new()).await?)
    }

    async fn read_lines(&self, next: &mut u64, heard: &mut bool) -> Result<(), Broken> {
        let request =
            v1::WatchRunRequest { scope: Some(self.scope.clone()), run_id: self.run_id.to_string(), from_seq: *next };
        let mut lines = self.connection.api().watch_run(request).await.map_err(Broken::Status)?.into_inner();
        while let Some(line) = lines.message().await.map_err(Broken::Status)? {
            *heard = true;
            self.position.send_if_modified(|position| {
                let moved = *position != line.queue_position;
                *position = line.queue_position;
                moved
            });
            if line.queue_position.is_some() {
                continue;
            }
            *next = line.seq + 1;
            let event = serde_json::from_str(&line.json).map_err(Broken::Line)?;
            // Nobody needs to receive the events.
            let _ = self.events.send(event);
        }
        Ok(())
    }
}

enum Broken {
    Status(Status),
    Line(serde_json::Error),
}

/// Asks the scheduler to stop the run once `cancel` fires. It is not an error if the run has ended by then.
async fn stop_when(cancel: CancellationToken, connection: Connection, run_id: RunId) {
    cancel.cancelled().await;
    if let Err(error) = self::cancel(&connection, &run_id).await {
        tracing::warn!(%error, run = %run_id, "the scheduler did not stop the run");
    }
}

/// Stops a run, and returns its final status.
pub(super) async fn cancel(connection: &Connection, run_id: &RunId) -> Result<String, ClientError> {
    let request = v1::CancelRunRequest { run_id: run_id.to_string() };
    let no_files = ProjectFiles::new();
    let stopped = connection.call(&no_files, |mut api| {
        let request = request.clone();
        async move { api.cancel_run(request).await }
    });
    Ok(stopped.await?.status)
}
