//! Turns of maintenance on a cluster, and the versions that are kept by hand.

use std::sync::Arc;

use chrono::DateTime;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use windlass_api::v1;
use windlass_api::v1::maintain_event::Kind;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::{MaintenanceEvent, MaintenanceKind, MaintenanceRecord, NewMark, VersionMark};
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::ProjectFiles;

use super::connection::Connection;
use super::{Remote, scope, transfer};
use crate::error::ClientError;
use crate::maintenance::{MaintainHandle, MaintainOptions};
use crate::project::Project;

impl Remote {
    pub(crate) async fn maintain(
        &self,
        project: &Project,
        options: &MaintainOptions,
    ) -> Result<MaintainHandle, ClientError> {
        let request = v1::MaintainRequest {
            project: Some(transfer::send(&self.connection, project, &options.params).await?),
            selection: Some(v1::Selection {
                select: options.select.clone(),
                exclude: options.exclude.clone(),
                refresh: None,
            }),
            only: options.only.iter().copied().map(MaintenanceKind::as_str).map(str::to_owned).collect(),
            dry_run: options.dry_run,
        };
        // A turn whose stream was lost is stopped, so the request can be repeated after a lost answer.
        let stream = self.connection.call(&project.graph.files, |mut api| {
            let request = request.clone();
            async move { api.maintain(request).await }
        });
        let stream = stream.await?;
        let (events, received) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let follower = Follower { connection: self.connection.clone(), graph: Arc::clone(&project.graph), events };
        let done = tokio::spawn(follower.follow(stream, cancel.clone()));
        Ok(MaintainHandle { events: received, cancel, done })
    }

    pub(crate) async fn version_marks(&self, project: &Project) -> Result<Vec<VersionMark>, ClientError> {
        let request = v1::ListMarksRequest { scope: Some(scope(&project.graph)) };
        let no_files = ProjectFiles::new();
        let answer = self.connection.call(&no_files, |mut api| {
            let request = request.clone();
            async move { api.list_marks(request).await }
        });
        answer.await?.marks.into_iter().map(|mark| self.mark(Some(mark))).collect()
    }

    pub(crate) async fn set_mark(&self, project: &Project, mark: &NewMark) -> Result<VersionMark, ClientError> {
        let request = v1::SetMarkRequest {
            project: Some(transfer::send(&self.connection, project, &[]).await?),
            name: mark.name.clone(),
            tag: mark.tag,
            table: mark.table.to_string(),
            version: mark.version.map(|version| version.0),
            expires_at_ms: mark.expires_at.map(|at| at.timestamp_millis()),
            reason: mark.reason.clone(),
        };
        // Not repeated after a lost answer: the name would be in use then.
        let answer = self.connection.call_once(&project.graph.files, |mut api| {
            let request = request.clone();
            async move { api.set_mark(request).await }
        });
        self.mark(answer.await?.mark)
    }

    pub(crate) async fn release_mark(&self, project: &Project, name: &str) -> Result<VersionMark, ClientError> {
        let request = v1::ReleaseMarkRequest { scope: Some(scope(&project.graph)), name: name.to_owned() };
        // Nor is this: there would be no such name any more.
        let no_files = ProjectFiles::new();
        let answer = self.connection.call_once(&no_files, |mut api| {
            let request = request.clone();
            async move { api.release_mark(request).await }
        });
        self.mark(answer.await?.mark)
    }

    fn mark(&self, mark: Option<v1::VersionMark>) -> Result<VersionMark, ClientError> {
        let wrong = |what: &str| self.connection.unreadable_answer("a pin or tag", &std::io::Error::other(what));
        let time = |ms| DateTime::from_timestamp_millis(ms).ok_or_else(|| wrong("a time is out of range"));
        let mark = mark.ok_or_else(|| wrong("it is missing"))?;
        Ok(VersionMark {
            name: mark.name,
            tag: mark.tag,
            table: NodeName::new(mark.table),
            location: mark.location,
            version: TableVersion(mark.version),
            created_at: time(mark.created_at_ms)?,
            expires_at: mark.expires_at_ms.map(time).transpose()?,
            reason: mark.reason,
            by: mark.by,
        })
    }
}

/// Follows one turn.
struct Follower {
    connection: Connection,
    graph: Arc<PipelineGraph>,
    events: UnboundedSender<MaintenanceEvent>,
}

impl Follower {
    /// Forwards the events of the turn until it ends, and returns its record. When `cancel` fires the stream is dropped,
    /// which stops the turn.
    async fn follow(
        self,
        mut stream: Streaming<v1::MaintainEvent>,
        cancel: CancellationToken,
    ) -> Result<MaintenanceRecord, ClientError> {
        loop {
            let message = tokio::select! {
                () = cancel.cancelled() => return Err(ClientError::TurnStopped),
                message = stream.message() => message,
            };
            let message = message.map_err(|status| self.connection.to_client_error(status, &self.graph.files))?;
            let Some(message) = message else {
                let error = std::io::Error::other("it ended without a record");
                return Err(self.connection.unreadable_answer("the turn of maintenance", &error));
            };
            match message.kind {
                Some(Kind::EventJson(json)) => {
                    let event = serde_json::from_str(&json)
                        .map_err(|error| self.connection.unreadable_answer("an event of the turn", &error))?;
                    // Nobody needs to receive the events.
                    let _ = self.events.send(event);
                }
                Some(Kind::RecordJson(json)) => {
                    return serde_json::from_str(&json)
                        .map_err(|error| self.connection.unreadable_answer("the record of the turn", &error));
                }
                // Of a later version of the scheduler.
                None => {}
            }
        }
    }
}
