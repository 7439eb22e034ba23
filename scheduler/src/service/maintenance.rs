//! Turns of maintenance as streams, and the versions that are kept by hand.
//!
//! ```text
//! Maintain ─start→ Turns: a task that maintains ─events→ MaintainEvent … ─end→ the record, the last of the stream
//!                    └── stopped when its stream is dropped, or when the scheduler drains
//! a run that has ended ─→ Turns: a task that maintains what it has written, and that nobody follows
//! ```
//!
//! How turns end goes to the metrics.

use std::sync::Arc;

use chrono::DateTime;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::Status;
use windlass_api::v1;
use windlass_api::v1::maintain_event::Kind;
use windlass_base::ids::{NodeName, RunId, TableVersion};
use windlass_evidence::artifact::{
    MaintenanceEvent, MaintenanceKind, MaintenanceRecord, NewMark, RunRecord, VersionMark,
};

use super::error::{ServiceError, bad_request};
use super::project::Submitted;
use crate::Scheduler;
use crate::home::Home;
use crate::maintain::{self, MaintainError, MaintainRequest};
use crate::metrics::ServiceMetrics;
use crate::plan::PlanRequest;
use crate::run::RunError;

type Events = BoxStream<'static, Result<v1::MaintainEvent, Status>>;

/// The turns that are under way here. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Arc<ServiceMetrics>,
}

/// A turn that somebody follows. It stops when this is dropped.
struct Turn {
    events: UnboundedReceiver<MaintenanceEvent>,
    /// How it ends; `None` once that was told.
    end: Option<JoinHandle<Result<MaintenanceRecord, MaintainError>>>,
    _stop: DropGuard,
}

impl Turns {
    /// None yet.
    pub(super) fn new(metrics: Arc<ServiceMetrics>) -> Self {
        Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), metrics }
    }

    /// Begins a turn, and gives what it tells.
    pub(super) fn start(&self, scheduler: Scheduler, request: MaintainRequest) -> Result<Events, ServiceError> {
        if self.stop.is_cancelled() {
            return Err(ServiceError::Draining);
        }
        let (watcher, events) = mpsc::unbounded_channel();
        let cancel = self.stop.child_token();
        let stop = cancel.clone().drop_guard();
        let metrics = Arc::clone(&self.metrics);
        let end = self.tasks.spawn(async move {
            let is_counted = !request.dry_run;
            let ended = maintain::maintain(&scheduler, request, watcher, cancel).await;
            if is_counted {
                metrics.turn_finished(&ended);
            }
            ended
        });
        Ok(told(Turn { events, end: Some(end), _stop: stop }))
    }

    /// Begins the turn that follows a run, if one is due.
    pub(super) fn after_run(&self, scheduler: Scheduler, run: PlanRequest, record: RunRecord) {
        if self.stop.is_cancelled() {
            return;
        }
        let (metrics, cancel) = (Arc::clone(&self.metrics), self.stop.child_token());
        self.tasks.spawn(async move {
            if let Some(ended) = maintain::after_run(&scheduler, &run, &record, cancel).await {
                metrics.turn_finished(&ended);
            }
        });
    }

    /// From now on no turn begins, and those under way stop: the next one does what is left.
    pub(super) fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
    }

    /// Waits until no turn is under way, after [`Turns::stop`].
    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }
}

/// The events of a turn, and its record at the end.
fn told(turn: Turn) -> Events {
    let events = stream::try_unfold(turn, |mut turn| async move {
        // Events and records are made of texts and numbers: there is nothing in them that JSON refuses.
        if let Some(event) = turn.events.recv().await {
            let json = serde_json::to_string(&event).unwrap_or_default();
            return Ok(Some((v1::MaintainEvent { kind: Some(Kind::EventJson(json)) }, turn)));
        }
        let Some(end) = turn.end.take() else { return Ok(None) };
        let ended = end.await.map_err(|error| MaintainError::Run(RunError::TaskLost(error))).flatten();
        let record = match ended {
            Ok(record) => record,
            Err(error) => return Err(Status::from(ServiceError::Maintain(error))),
        };
        let json = serde_json::to_string(&record).unwrap_or_default();
        Ok(Some((v1::MaintainEvent { kind: Some(Kind::RecordJson(json)) }, turn)))
    });
    events.boxed()
}

/// What a client asks of a turn.
pub(super) fn request(
    project: &Submitted,
    selection: Option<v1::Selection>,
    only: &[String],
    dry_run: bool,
) -> Result<MaintainRequest, ServiceError> {
    let plan = project.plan_request(RunId::generate(), selection)?;
    let only = only.iter().map(|name| kind(name)).collect::<Result<_, _>>()?;
    Ok(MaintainRequest { plan, only, dry_run })
}

fn kind(name: &str) -> Result<MaintenanceKind, ServiceError> {
    serde_json::from_value(name.into()).map_err(|_| bad_request(format!("`{name}` is no action of maintenance")))
}

/// The pins and tags of a home.
pub(super) async fn marks(process: &Scheduler, home: &Home) -> Result<Vec<v1::VersionMark>, ServiceError> {
    Ok(maintain::marks(process, home).await?.into_iter().map(mark_to_wire).collect())
}

/// Sets a pin or a tag.
pub(super) async fn set(
    project: &Submitted,
    process: &Scheduler,
    request: v1::SetMarkRequest,
) -> Result<v1::VersionMark, ServiceError> {
    let scheduler = project.scheduler(process).await?;
    let time = |ms| DateTime::from_timestamp_millis(ms).ok_or_else(|| bad_request("`expires_at_ms` is not a time"));
    let mark = NewMark {
        name: request.name,
        tag: request.tag,
        table: NodeName::new(request.table),
        version: request.version.map(TableVersion),
        expires_at: request.expires_at_ms.map(time).transpose()?,
        reason: request.reason.filter(|reason| !reason.is_empty()),
    };
    let plan = project.plan_request(RunId::generate(), None)?;
    Ok(mark_to_wire(maintain::set_mark(&scheduler, &plan, mark).await?))
}

/// Releases a pin, or removes a tag.
pub(super) async fn release(process: &Scheduler, home: &Home, name: &str) -> Result<v1::VersionMark, ServiceError> {
    Ok(mark_to_wire(maintain::release_mark(process, home, name).await?))
}

fn mark_to_wire(mark: VersionMark) -> v1::VersionMark {
    v1::VersionMark {
        name: mark.name,
        tag: mark.tag,
        table: mark.table.to_string(),
        location: mark.location,
        version: mark.version.0,
        created_at_ms: mark.created_at.timestamp_millis(),
        expires_at_ms: mark.expires_at.map(|at| at.timestamp_millis()),
        reason: mark.reason,
        by: mark.by,
    }
}
