//! What a run writes into its bundle while it is under way: lines of its log and the plans of its stages.

use chrono::Utc;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{LogEvent, LogKind, PlanText};

use crate::record::plan_text::normalize_plan_text;
use crate::record::{BundleWriter, RecordError};

/// Writes to the bundle of one run. What the bundle cannot take ends no run: the first such failure is kept for the
/// run's record.
pub(super) struct RunJournal {
    bundle: BundleWriter,
    watcher: UnboundedSender<LogEvent>,
    /// What plan texts say instead of folders.
    placeholders: Vec<(String, String)>,
    failure: Mutex<Option<RecordError>>,
    /// Warnings about the whole run.
    warnings: Mutex<Vec<String>>,
}

impl RunJournal {
    /// Writes to `bundle` and sends every line of the log to `watcher`. In plan texts each of `placeholders` has its
    /// first part replaced by the second.
    pub(super) fn new(
        bundle: BundleWriter,
        watcher: UnboundedSender<LogEvent>,
        placeholders: Vec<(String, String)>,
    ) -> Self {
        Self { bundle, watcher, placeholders, failure: Mutex::default(), warnings: Mutex::default() }
    }

    /// The bundle itself.
    pub(super) fn bundle(&self) -> &BundleWriter {
        &self.bundle
    }

    /// Writes a line of the run log and sends it to the watcher.
    pub(super) async fn log_event(&self, kind: LogKind) {
        match self.bundle.log(Utc::now(), kind).await {
            // Nobody has to watch.
            Ok(event) => drop(self.watcher.send(event)),
            Err(error) => self.record_failure(error),
        }
    }

    /// Writes a warning about a stage to the run log.
    pub(super) async fn warn(&self, stage: &NodeName, message: String) {
        self.log_event(LogKind::Warning { message, stage: Some(stage.clone()) }).await;
    }

    /// Writes a warning about the whole run to the run log, once, and keeps it for the run's record.
    pub(super) async fn warn_of_run(&self, message: String) {
        let is_new = {
            let mut warnings = self.warnings.lock();
            let is_new = !warnings.contains(&message);
            if is_new {
                warnings.push(message.clone());
            }
            is_new
        };
        if is_new {
            self.log_event(LogKind::Warning { message, stage: None }).await;
        }
    }

    /// The warnings about the whole run.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock())
    }

    /// Writes one of a stage's plan texts, without what differs between machines.
    pub(super) async fn write_plan_text(&self, stage: &NodeName, which: PlanText, text: &str) {
        let text = normalize_plan_text(text, &self.placeholders);
        self.check(self.bundle.write_plan_text(stage, which, &text).await);
    }

    /// Keeps the failure of a write, if it failed.
    pub(super) fn check(&self, outcome: Result<(), RecordError>) {
        if let Err(error) = outcome {
            self.record_failure(error);
        }
    }

    /// The first thing that the bundle could not take, if there was one.
    pub(super) fn take_record_failure(&self) -> Option<RecordError> {
        self.failure.lock().take()
    }

    fn record_failure(&self, error: RecordError) {
        tracing::warn!(%error, "the run's bundle is incomplete");
        self.failure.lock().get_or_insert(error);
    }
}
