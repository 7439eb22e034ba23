//! Writing a bundle.

use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;
use windlass_base::failpoint;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{
    LineageRecord, LogEvent, LogKind, PinsRecord, PlanRecord, PlanText, RegistrationsRecord, RunLayout, RunRecord,
    RunRequestRecord, StageRecord,
};
use windlass_evidence::bundle::{RecordError, encode_metrics};

use super::log_file::LogFile;
use super::store::BundleStore;

/// The bundle of a run that is under way. Its methods may be called from any task; a part that is written twice is
/// replaced as a whole.
#[derive(Debug)]
pub struct BundleWriter {
    bundles: BundleStore,
    run_id: RunId,
    layout: RunLayout,
    log: Mutex<LogFile>,
    sealed: AtomicBool,
}

impl BundleWriter {
    /// Begins the bundle of a run, or goes on with that of a run that is resumed: its log is continued. Refused if the
    /// bundle is sealed.
    pub async fn begin(bundles: BundleStore, record: &RunRecord) -> Result<Self, RecordError> {
        let run_id = record.run_id.clone();
        let layout = RunLayout::new(run_id.clone());
        if let Some(earlier) = bundles.get_json::<RunRecord>(&layout.run()).await?
            && earlier.status.is_over()
        {
            return Err(RecordError::Sealed { run_id });
        }
        failpoint!("run.bundle.before");
        bundles.put_json(&layout.run(), record).await?;
        failpoint!("run.bundle.after");
        let log = LogFile::open(bundles.clone(), layout.log(), run_id.clone()).await?;
        Ok(Self { bundles, run_id, layout, log: Mutex::new(log), sealed: AtomicBool::new(false) })
    }

    /// Where the parts of the bundle lie, relative to the home.
    pub fn layout(&self) -> &RunLayout {
        &self.layout
    }

    /// Appends to the log. Answers with the line as written, so that it can be shown.
    pub async fn log(&self, at: DateTime<Utc>, kind: LogKind) -> Result<LogEvent, RecordError> {
        self.unsealed()?;
        self.log.lock().await.append(at, kind).await
    }

    /// Replaces `run.json` while the run goes on.
    pub async fn write_run(&self, record: &RunRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        self.bundles.put_json(&self.layout.run(), record).await
    }

    /// Writes `request.json`.
    pub async fn write_request(&self, request: &RunRequestRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        failpoint!("run.request.before");
        self.bundles.put_json(&self.layout.request(), request).await?;
        failpoint!("run.request.after");
        Ok(())
    }

    /// Writes `pins.json`.
    pub async fn write_pins(&self, pins: &PinsRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        failpoint!("run.pins.before");
        self.bundles.put_json(&self.layout.pins(), pins).await?;
        failpoint!("run.pins.after");
        Ok(())
    }

    /// Writes `plan.json`.
    pub async fn write_plan(&self, plan: &PlanRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        failpoint!("run.plan.before");
        self.bundles.put_json(&self.layout.plan(), plan).await?;
        failpoint!("run.plan.after");
        Ok(())
    }

    /// Writes `lineage.json`.
    pub async fn write_lineage(&self, lineage: &LineageRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        failpoint!("run.lineage.before");
        self.bundles.put_json(&self.layout.lineage(), lineage).await?;
        failpoint!("run.lineage.after");
        Ok(())
    }

    /// Writes `registrations.json`.
    pub async fn write_registrations(&self, registrations: &RegistrationsRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        failpoint!("run.registrations.before");
        self.bundles.put_json(&self.layout.registrations(), registrations).await?;
        failpoint!("run.registrations.after");
        Ok(())
    }

    /// Writes one of a stage's plan texts, as given: normalise it before
    /// ([`normalize_plan_text`](super::plan_text::normalize_plan_text)).
    pub async fn write_plan_text(&self, stage: &NodeName, which: PlanText, text: &str) -> Result<(), RecordError> {
        self.unsealed()?;
        self.bundles.put(&self.layout.plan_text(stage, which), text.to_owned().into()).await
    }

    /// Writes a stage's `stage.json` and `metrics.arrow`.
    pub async fn write_stage(&self, record: &StageRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        let path = self.layout.metrics(&record.stage);
        let metrics = encode_metrics(&self.run_id, &record.stage, &record.operators)
            .map_err(|source| RecordError::Arrow { path: path.clone(), source })?;
        failpoint!("run.stage_record.before");
        self.bundles.put(&path, metrics).await?;
        self.bundles.put_json(&self.layout.stage(&record.stage), record).await?;
        failpoint!("run.stage_record.after");
        Ok(())
    }

    /// Seals the bundle: makes the log durable and writes `run.json` for the last time, with the run's end. After this
    /// nothing of the bundle changes.
    pub async fn seal(&self, record: &RunRecord) -> Result<(), RecordError> {
        self.unsealed()?;
        failpoint!("run.sealed.before");
        self.log.lock().await.flush().await?;
        self.bundles.put_json(&self.layout.run(), record).await?;
        failpoint!("run.sealed.after");
        self.sealed.store(true, Ordering::Release);
        Ok(())
    }

    fn unsealed(&self) -> Result<(), RecordError> {
        match self.sealed.load(Ordering::Acquire) {
            true => Err(RecordError::Sealed { run_id: self.run_id.clone() }),
            false => Ok(()),
        }
    }
}
