//! What a stage saved: its table after the commit, held against the contract once more, and its exports.
//!
//! ```text
//! committed table ─┬─ columns ─ contract? ─→ OutputRecord
//!                  └─ scan ─ job ─ rows ─ Saver ─→ OutputRecord, and <home>/exports/<stage>/<export>.json:
//!                                                  which version is exported, so that a lost export is made good
//! ```

use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use windlass_shared::artifact::{LogKind, OutputRecord, StageReceipt};
use windlass_shared::delta::table::contract_columns;
use windlass_shared::error::{Coded, Failure, full_message};
use windlass_shared::graph::Stage;
use windlass_shared::ids::{NodeName, TableVersion};
use windlass_shared::io::{IoError, SaveRequest};
use windlass_shared::spec::table::Export;
use windlass_shared::storage::Location;

use super::work::RunWork;
use crate::execute::JobRequest;
use crate::plan::{PinnedInput, PlanError};

/// What is remembered of an export.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ExportMark {
    version: TableVersion,
    saver: String,
    location: String,
    options: std::collections::BTreeMap<String, String>,
}

impl RunWork {
    /// Notes the table that a stage has committed, or uses as it is, and writes its exports.
    pub(super) async fn save_outputs(&self, stage: &Stage, receipt: &StageReceipt) -> Result<(), Failure> {
        let Some(pinned) = self.inputs.read().pinned_input(&stage.name).cloned() else { return Ok(()) };
        check_contract(stage, &pinned)?;
        let mut outputs = vec![OutputRecord {
            dataset: stage.name.clone(),
            export: None,
            materialization: "delta".to_owned(),
            location: pinned.pin.location.clone(),
            rows: receipt.rows,
            bytes: receipt.bytes,
            version: receipt.version,
            schema_hash: pinned.registration.schema_hash(),
        }];
        for export in &stage.table.exports {
            if let Some(output) = self.export_once(stage, export, &pinned, receipt.version).await? {
                outputs.push(output);
            }
        }
        self.notes.lock().entry(stage.name.clone()).or_default().outputs = outputs;
        Ok(())
    }

    /// Makes good the exports of tables that this run uses as they are. One that fails is left to the next run.
    pub(super) async fn save_missing_exports(&self) {
        for reused in &self.plan.reused {
            let graph = Arc::clone(&self.plan.request.graph);
            let Some(stage) = graph.stage(&reused.name).filter(|stage| !stage.table.exports.is_empty()) else {
                continue;
            };
            let Some(pinned) = self.inputs.read().pinned_input(&stage.name).cloned() else { continue };
            for export in &stage.table.exports {
                if let Err(failure) = self.export_once(stage, export, &pinned, reused.version).await {
                    let message = format!("the export `{}` is left to the next run: {}", export.name, failure.message);
                    self.tell(LogKind::Warning { message, stage: Some(stage.name.clone()) }).await;
                }
            }
        }
    }

    /// Writes an export, unless it is there.
    async fn export_once(
        &self,
        stage: &Stage,
        export: &Export,
        pinned: &PinnedInput,
        version: TableVersion,
    ) -> Result<Option<OutputRecord>, Failure> {
        let place = self.plan.request.home.export_mark(&stage.name, &export.name);
        let location = self.plan.request.base.resolve(&export.location).map_err(|source| {
            let name = stage.name.clone();
            PlanError::Location { node: name, source }.to_failure()
        })?;
        let mark = ExportMark {
            version,
            saver: export.saver.clone(),
            location: location.to_string(),
            options: export.options.clone(),
        };
        if self.read_mark(&place).await.as_ref() == Some(&mark) {
            return Ok(None);
        }
        let output = self.export(stage, export, pinned, version, location).await?;
        self.write_mark(&stage.name, &export.name, &place, &mark).await?;
        Ok(Some(output))
    }

    async fn export(
        &self,
        stage: &Stage,
        export: &Export,
        pinned: &PinnedInput,
        version: TableVersion,
        location: Location,
    ) -> Result<OutputRecord, Failure> {
        let name = &stage.name;
        let saver = self.sessions.io().saver(name, &export.saver).map_err(|error| error.to_failure())?;
        let engine = |source| PlanError::Engine { stage: name.clone(), source }.to_failure();
        let context = Arc::new(self.sessions.context().map_err(|error| error.to_failure())?);
        let source = provider_as_source(Arc::clone(&pinned.provider));
        let rows = LogicalPlanBuilder::scan("__wl_export", source, None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(engine)?;
        let state = context.state();
        let plan = state.create_physical_plan(&rows).await.map_err(engine)?;
        let request =
            JobRequest { name: format!("{}/{name}/{}", self.identity.pipeline, export.name), plan, session: context };
        let job = self.engine.submit(request).await.map_err(|error| error.to_failure())?;
        let finished = job.wait().await.map_err(|error| error.to_failure())?;
        let request = SaveRequest {
            dataset: name.clone(),
            version,
            location: location.clone(),
            options: export.options.clone(),
            rows: finished.stream(),
            stores: Arc::clone(self.sessions.stores()),
        };
        let saved = saver.save(request).await.map_err(|source| {
            let (name, export) = (name.clone(), export.name.clone());
            IoError::Save { name, export, source }.to_failure()
        })?;
        Ok(OutputRecord {
            dataset: name.clone(),
            export: Some(export.name.clone()),
            materialization: export.saver.clone(),
            location: location.to_string(),
            rows: saved.rows,
            bytes: saved.bytes,
            version,
            schema_hash: pinned.registration.schema_hash(),
        })
    }

    /// What is remembered of an export; nothing if that cannot be read, and then the export is written once more.
    async fn read_mark(&self, place: &Location) -> Option<ExportMark> {
        let store = self.sessions.stores().store(place).ok()?;
        let bytes = store.get(&place.path().ok()?).await.ok()?.bytes().await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    async fn write_mark(
        &self,
        stage: &NodeName,
        export: &str,
        place: &Location,
        mark: &ExportMark,
    ) -> Result<(), Failure> {
        let written = async {
            let store = self.sessions.stores().store(place)?;
            let bytes = serde_json::to_vec(mark)?;
            store.put(&place.path()?, PutPayload::from(bytes)).await?;
            Ok::<_, windlass_shared::io::Fault>(())
        };
        written
            .await
            .map_err(|source| IoError::Save { name: stage.clone(), export: export.to_owned(), source }.to_failure())
    }
}

/// The table as it is now against the contract that it was planned by.
fn check_contract(stage: &Stage, pinned: &PinnedInput) -> Result<(), Failure> {
    let Some(contract) = &stage.contract else { return Ok(()) };
    let broken = |message: String| Failure {
        code: "WL1005".to_owned(),
        message: format!(
            "the table of `{}` does not keep to its contract `{}`: {message}",
            stage.name,
            contract.value.label()
        ),
        help: Some("another program may have changed the table; look at its history".to_owned()),
        retryable: false,
    };
    let columns = contract_columns(&pinned.provider.schema()).map_err(|error| broken(full_message(&error)))?;
    let violations = contract.value.fit(&columns).err().unwrap_or_default();
    match violations.is_empty() {
        true => Ok(()),
        false => Err(broken(violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
    }
}
