//! A run that this scheduler drives, or has driven a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::RwLock;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use windlass_api::v1;
use windlass_base::ids::{NodeName, PipelineName, RunId};
use windlass_evidence::artifact::{LogEvent, LogKind, RunRecord};
use windlass_project::tag::keys;

use super::maintenance::Turns;
use super::submission::Submission;
use crate::home::Home;
use crate::run::{Begin, RunError, RunRequest, run_pipeline};
use crate::{Scheduler, metrics::ServiceMetrics};

/// How a run ended: with its record, or without because it could not be carried on.
pub(super) type Ending = Result<RunRecord, Arc<RunError>>;

/// A run, the lines of its log so far, and how it ended if it has.
#[derive(Debug)]
pub(super) struct LiveRun {
    pub(super) run_id: RunId,
    pub(super) pipeline: PipelineName,
    pub(super) home: Home,
    cancel: CancellationToken,
    lines: RwLock<Vec<v1::RunEvent>>,
    pins: RwLock<Vec<v1::Pin>>,
    /// The layers of the stages that are in one.
    layers: RwLock<BTreeMap<NodeName, String>>,
    state: watch::Sender<Progress>,
}

/// What a run is started with.
pub(super) struct Start {
    pub(super) scheduler: Scheduler,
    pub(super) request: RunRequest,
    pub(super) metrics: Arc<ServiceMetrics>,
    pub(super) turns: Turns,
    /// What is kept of it until it has ended.
    pub(super) submission: Submission,
}

/// Runs the pipeline. A run that is to be taken up from the scheduler before, and had not begun to execute, begins anew:
/// whoever submitted it waits for it.
async fn run_or_begin(
    scheduler: &Scheduler,
    request: RunRequest,
    watcher: UnboundedSender<LogEvent>,
    cancel: CancellationToken,
) -> Result<RunRecord, RunError> {
    let from_before = matches!(request.begin, Begin::WhereItEnded { patience } if !patience.is_zero());
    let outcome = run_pipeline(scheduler, request.clone(), watcher.clone(), cancel.clone()).await;
    match outcome {
        Err(RunError::Resume(error)) if from_before && error.has_not_begun() => {
            run_pipeline(scheduler, RunRequest { begin: Begin::Anew, ..request }, watcher, cancel).await
        }
        outcome => outcome,
    }
}

/// How far a run is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Lines of the log so far.
    pub(super) lines: usize,
    /// How and when it ended.
    pub(super) ended: Option<(Arc<Ending>, Instant)>,
}

impl LiveRun {
    /// Starts a run on tasks of its own. The maintenance that follows it is none of its business: that is one of `turns`.
    pub(super) fn start(start: Start) -> Arc<Self> {
        let Start { scheduler, request, metrics, turns, submission } = start;
        let run = Arc::new(Self {
            run_id: request.plan.run.clone(),
            pipeline: request.plan.graph.name.clone(),
            home: request.plan.home.clone(),
            cancel: CancellationToken::new(),
            lines: RwLock::default(),
            pins: RwLock::default(),
            layers: RwLock::default(),
            state: watch::Sender::default(),
        });
        let (watcher, mut events) = mpsc::unbounded_channel();
        let cancel = run.cancel.clone();
        let (driver, plan) = (scheduler.clone(), request.plan.clone());
        let driven = tokio::spawn(async move { run_or_begin(&driver, request, watcher, cancel).await });
        let follower = Arc::clone(&run);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                follower.take(&event, &metrics);
            }
            let ending = match driven.await {
                Ok(outcome) => outcome.map_err(Arc::new),
                Err(error) => Err(Arc::new(RunError::TaskLost(error))),
            };
            let record = ending.as_ref().ok().cloned();
            if let Some(record) = &record {
                metrics.run_finished(record.status.as_str());
            }
            // A run that was cut off after it had begun can be taken up.
            if record.is_some() || follower.lines.read().is_empty() {
                submission.forget().await;
            }
            follower.state.send_modify(|state| state.ended = Some((Arc::new(ending), Instant::now())));
            if let Some(record) = record {
                turns.after_run(scheduler, plan, record);
            }
        });
        run
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
        lines.push(v1::RunEvent { seq: event.seq, json });
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

    /// Waits for the end of the run.
    pub(super) async fn end(&self) -> Option<Arc<Ending>> {
        let mut progress = self.progress();
        let ended = progress.wait_for(|progress| progress.ended.is_some()).await.ok()?;
        ended.ended.as_ref().map(|(ending, _)| Arc::clone(ending))
    }

    /// Waits until the run has begun; an error if it ended before.
    pub(super) async fn begun(&self) -> Result<(), Arc<RunError>> {
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
