//! A run that this scheduler drives, is to drive when its turn comes, or has driven a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use windlass_api::v1;
use windlass_base::ids::{NodeName, PipelineName, RunId};
use windlass_evidence::artifact::{LogEvent, LogKind, RunRecord};
use windlass_project::tag::keys;

use super::error::ServiceError;
use super::queue::Priority;
use crate::home::Home;
use crate::run::{Begin, RunError, RunRequest, run_pipeline};
use crate::{Scheduler, metrics::ServiceMetrics};

/// How a run ended: with its record, or without because it could not begin or be carried on.
pub(super) type Ending = Result<RunRecord, Arc<ServiceError>>;

/// A run, the lines of its log so far, and how it ended if it has. While it waits there is nothing else of it in memory.
#[derive(Debug)]
pub(super) struct LiveRun {
    pub(super) run_id: RunId,
    pub(super) pipeline: PipelineName,
    pub(super) home: Home,
    pub(super) priority: Priority,
    /// The target that its project was submitted with; empty for none.
    pub(super) target: String,
    /// Whether the scheduler before has accepted it.
    pub(super) from_before: bool,
    accepted: Instant,
    cancel: CancellationToken,
    lines: RwLock<Vec<v1::RunEvent>>,
    pins: RwLock<Vec<v1::Pin>>,
    /// The layers of the stages that are in one.
    layers: RwLock<BTreeMap<NodeName, String>>,
    state: watch::Sender<Progress>,
}

/// What is known of a run before it starts.
pub(super) struct Accepted {
    pub(super) run_id: RunId,
    pub(super) pipeline: PipelineName,
    pub(super) home: Home,
    pub(super) priority: Priority,
    pub(super) target: String,
    pub(super) from_before: bool,
}

/// What a run is started with.
pub(super) struct Start {
    pub(super) scheduler: Scheduler,
    pub(super) request: RunRequest,
    /// What it begins with if it is to be taken up, and had not begun.
    pub(super) otherwise: Option<Begin>,
}

/// Runs the pipeline. A run that is to be taken up from the scheduler before, and had not begun to execute, begins as it was
/// asked to: whoever submitted it waits for it.
async fn run_or_begin(
    start: Start,
    watcher: UnboundedSender<LogEvent>,
    cancel: CancellationToken,
) -> Result<RunRecord, RunError> {
    let Start { scheduler, request, otherwise } = start;
    let outcome = run_pipeline(&scheduler, request.clone(), watcher.clone(), cancel.clone()).await;
    match (outcome, otherwise) {
        (Err(RunError::Resume(error)), Some(begin)) if error.has_not_begun() => {
            run_pipeline(&scheduler, RunRequest { begin, ..request }, watcher, cancel).await
        }
        (outcome, _) => outcome,
    }
}

/// How far a run is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Its place in the queue, counted from 1, while it waits there.
    pub(super) position: Option<u32>,
    /// Lines of the log so far.
    pub(super) lines: usize,
    /// How and when it ended.
    pub(super) ended: Option<(Arc<Ending>, Instant)>,
}

impl LiveRun {
    /// A run that has not started.
    pub(super) fn new(accepted: Accepted) -> Arc<Self> {
        let Accepted { run_id, pipeline, home, priority, target, from_before } = accepted;
        Arc::new(Self {
            run_id,
            pipeline,
            home,
            priority,
            target,
            from_before,
            accepted: Instant::now(),
            cancel: CancellationToken::new(),
            lines: RwLock::default(),
            pins: RwLock::default(),
            layers: RwLock::default(),
            state: watch::Sender::default(),
        })
    }

    /// Runs it to its end, on a task of its own, and collects the lines of its log.
    pub(super) async fn drive(&self, start: Start, metrics: &ServiceMetrics) -> Ending {
        let (watcher, mut events) = mpsc::unbounded_channel();
        let driven = tokio::spawn(run_or_begin(start, watcher, self.cancel.clone()));
        while let Some(event) = events.recv().await {
            self.take(&event, metrics);
        }
        let outcome = driven.await.unwrap_or_else(|error| Err(RunError::TaskLost(error)));
        outcome.map_err(|error| Arc::new(error.into()))
    }

    /// Whether it has written a line of its log.
    pub(super) fn has_begun(&self) -> bool {
        !self.lines.read().is_empty()
    }

    /// How long ago it was accepted.
    pub(super) fn age(&self) -> Duration {
        self.accepted.elapsed()
    }

    /// Its place in the queue from now on; `None` once it starts.
    pub(super) fn set_position(&self, position: Option<u32>) {
        self.state.send_if_modified(|state| {
            let moved = state.position != position;
            state.position = position;
            moved
        });
    }

    /// Its place in the queue, if it waits.
    pub(super) fn position(&self) -> Option<u32> {
        self.state.borrow().position
    }

    /// Tells everyone how it ended.
    pub(super) fn end_with(&self, ending: Ending) {
        self.state.send_modify(|state| {
            state.position = None;
            state.ended = Some((Arc::new(ending), Instant::now()));
        });
    }

    fn take(&self, event: &LogEvent, metrics: &ServiceMetrics) {
        match &event.kind {
            LogKind::SourcePinned { source, location, version, .. } => self.pins.write().push(v1::Pin {
                run_id: self.run_id.to_string(),
                pipeline: self.pipeline.to_string(),
                name: source.to_string(),
                location: location.clone(),
                version: version.map(|version| version.0),
            }),
            LogKind::StagePlanned { stage, tags, .. } => {
                if let Some(layer) = tags.get(keys::LAYER) {
                    self.layers.write().insert(stage.clone(), layer.to_owned());
                }
            }
            LogKind::StageCommitted { stage, .. } => self.count(metrics, stage, "committed"),
            LogKind::StageFailed { stage, .. } => self.count(metrics, stage, "failed"),
            LogKind::StageSkipped { stage, .. } => self.count(metrics, stage, "skipped"),
            LogKind::StageCancelled { stage, .. } => self.count(metrics, stage, "cancelled"),
            _ => {}
        }
        // An event is made of texts and numbers: there is nothing in it that JSON refuses.
        let json = serde_json::to_string(event).unwrap_or_default();
        let mut lines = self.lines.write();
        lines.push(v1::RunEvent { seq: event.seq, json, queue_position: None });
        let count = lines.len();
        drop(lines);
        self.state.send_modify(|state| state.lines = count);
    }

    fn count(&self, metrics: &ServiceMetrics, stage: &NodeName, status: &str) {
        let layers = self.layers.read();
        metrics.stage_finished(status, layers.get(stage).map(String::as_str).unwrap_or_default());
    }

    /// How far the run is, now and whenever that changes.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.state.subscribe()
    }

    /// The lines of the log from the one numbered `from` on.
    pub(super) fn lines_from(&self, from: u64) -> Vec<v1::RunEvent> {
        let lines = self.lines.read();
        let first = lines.partition_point(|line| line.seq < from);
        lines[first..].to_vec()
    }

    /// What the run has pinned.
    pub(super) fn pins(&self) -> Vec<v1::Pin> {
        self.pins.read().clone()
    }

    /// How the run ended, if it has.
    pub(super) fn ended(&self) -> Option<(Arc<Ending>, Instant)> {
        self.state.borrow().ended.clone()
    }

    /// Asks the run to stop.
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits until the run is asked to stop.
    pub(super) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Waits for the end of the run.
    pub(super) async fn end(&self) -> Option<Arc<Ending>> {
        let mut progress = self.progress();
        let ended = progress.wait_for(|progress| progress.ended.is_some()).await.ok()?;
        ended.ended.as_ref().map(|(ending, _)| Arc::clone(ending))
    }

    /// Waits until the run has begun; an error if it ended before.
    pub(super) async fn begun(&self) -> Result<(), Arc<ServiceError>> {
        let mut progress = self.progress();
        let Ok(progress) = progress.wait_for(|progress| progress.lines > 0 || progress.ended.is_some()).await else {
            return Ok(());
        };
        match &progress.ended {
            Some((ending, _)) if progress.lines == 0 => (**ending).as_ref().map(drop).map_err(Clone::clone),
            _ => Ok(()),
        }
    }
}
