//! What a stage saved: its table after the commit, validated against the contract once more, and its exports.
//!
//! ```text
//! committed table ─┬─ columns ─ contract? ─→ OutputRecord
//!                  └─ scan ─ job ─ rows ─ Saver ─→ OutputRecord, and <home>/exports/<folder>.json (crate::export):
//!                                                  what the folder holds, so that a lost export is repaired
//! ```

use std::sync::Arc;

use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use windlass_base::error::{Coded, Failure, full_message};
use windlass_base::failpoint;
use windlass_base::ids::TableVersion;
use windlass_delta::table::contract_columns;
use windlass_engine::connectors::{ConnectorError, SaveRequest, Saver};
use windlass_evidence::artifact::{OutputRecord, StageReceipt};
use windlass_project::graph::Stage;
use windlass_project::spec::table::Export;
use windlass_storage::Location;

use crate::execute::JobRequest;
use crate::export::{ExportFolder, ExportPlace, Mark, file_stem};
use crate::plan::{Inputs, PinnedInput, PlanError};
use crate::run::context::RunContext;

/// A save that is to be made.
struct Save<'a> {
    stage: &'a Stage,
    export: &'a Export,
    saver: &'a Arc<dyn Saver>,
    pinned: &'a PinnedInput,
    version: TableVersion,
    location: Location,
    name: String,
}

/// Gives the table that a stage has committed, or uses as it is, as `pinned`, and its exports, which it writes.
pub(in crate::run) async fn save_outputs(
    run: &RunContext,
    stage: &Stage,
    pinned: &PinnedInput,
    receipt: &StageReceipt,
) -> Result<Vec<OutputRecord>, Failure> {
    check_contract(stage, pinned)?;
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
        if let Some(output) = export_once(run, stage, export, pinned, receipt.version).await? {
            outputs.push(output);
        }
    }
    Ok(outputs)
}

/// Repairs the exports of tables that this run uses as they are. One that fails is left to the next run.
pub(in crate::run) async fn save_missing_exports(run: &RunContext, inputs: &Inputs) {
    for reused in &run.plan.reused {
        let Some(stage) = run.graph().stage(&reused.name) else { continue };
        let Some(pinned) = inputs.pinned_input(&stage.name) else { continue };
        for export in &stage.table.exports {
            if let Err(failure) = export_once(run, stage, export, pinned, reused.version).await {
                let message = format!("the export `{}` is left to the next run: {}", export.name, failure.message);
                run.journal.warn(&stage.name, message).await;
            }
        }
    }
}

/// Writes an export, unless it is there.
async fn export_once(
    run: &RunContext,
    stage: &Stage,
    export: &Export,
    pinned: &PinnedInput,
    version: TableVersion,
) -> Result<Option<OutputRecord>, Failure> {
    let request = &run.plan.request;
    let place = ExportPlace::of(&request.graph, &stage.name, export, &request.base, &request.home);
    let place = place.map_err(|source| PlanError::Location { node: stage.name.clone(), source }.to_failure())?;
    let table_id = pinned.table.as_ref().map(|table| table.table_id());
    let wanted = place.exported(export, &pinned.pin.location, table_id, version);
    let stores = run.stores();
    let mut folder = ExportFolder::open(&place, stores).await?;
    if folder.holds(&wanted) {
        // A run may have been killed after the export was there, and before what it replaces was gone.
        folder.tidy().await?;
        return Ok(None);
    }
    let saver = run.sessions.connectors().saver(&stage.name, &export.saver)?;
    let name = file_stem(&stage.name, &export.name, version);
    let file = saver.file_name(&name);
    if let Some(file) = &file {
        place.check_tables(stores).await?;
        folder.check()?;
        warn_of_other_files(run, stage, export, &folder).await;
        failpoint!("run.export_begun.before");
        folder.begin(file).await?;
        failpoint!("run.export_begun.after");
    }
    let location = place.location.clone();
    failpoint!("run.export_saved.before");
    let output = save(run, Save { stage, export, saver, pinned, version, location, name }).await?;
    failpoint!("run.export_saved.after");
    let by = Mark { target: request.graph.target.clone(), run: run.identity.run_id.clone() };
    failpoint!("run.export_completed.before");
    folder.complete(file.as_deref(), wanted, by).await?;
    failpoint!("run.export_completed.after");
    failpoint!("run.export_tidied.before");
    folder.tidy().await?;
    failpoint!("run.export_tidied.after");
    Ok(Some(output))
}

/// Files beside an export are left alone, but its readers may not know.
async fn warn_of_other_files(run: &RunContext, stage: &Stage, export: &Export, folder: &ExportFolder<'_>) {
    let others = folder.others();
    let Some(first) = others.first() else { return };
    let more = if others.len() > 1 { format!(" and {} more", others.len() - 1) } else { String::new() };
    let message = format!(
        "the folder of the export `{}` contains `{first}`{more}, which readers of the folder would take for a part of it",
        export.name
    );
    run.journal.warn(&stage.name, message).await;
}

async fn save(run: &RunContext, save: Save<'_>) -> Result<OutputRecord, Failure> {
    let Save { stage, export, saver, pinned, version, location, name: file } = save;
    let name = &stage.name;
    let engine = |source| PlanError::Engine { stage: name.clone(), source }.to_failure();
    let context = Arc::new(run.sessions.context()?);
    let source = provider_as_source(Arc::clone(&pinned.provider));
    let rows =
        LogicalPlanBuilder::scan("__wl_export", source, None).and_then(LogicalPlanBuilder::build).map_err(engine)?;
    let state = context.state();
    let plan = state.create_physical_plan(&rows).await.map_err(engine)?;
    let request =
        JobRequest { name: format!("{}/{name}/{}", run.identity.pipeline, export.name), plan, session: context };
    let job = run.engine.submit(request).await?;
    let finished = job.wait().await?;
    let request = SaveRequest {
        dataset: name.clone(),
        version,
        name: file,
        location: location.clone(),
        options: export.options.clone(),
        rows: finished.stream(),
        stores: Arc::clone(run.stores()),
    };
    let saved = saver.save(request).await.map_err(|source| {
        let (name, export) = (name.clone(), export.name.clone());
        ConnectorError::Save { name, export, source }.to_failure()
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

/// The table as it is now against the contract that it was planned by.
fn check_contract(stage: &Stage, pinned: &PinnedInput) -> Result<(), Failure> {
    let Some(contract) = &stage.contract else { return Ok(()) };
    let broken = |message: String| Failure {
        code: "WL1005".to_owned(),
        message: format!(
            "the table of `{}` does not conform to its contract `{}`: {message}",
            stage.name,
            contract.value.label()
        ),
        help: Some("another program may have changed the table; look at its history".to_owned()),
        retryable: false,
    };
    let columns = contract_columns(&pinned.provider.schema()).map_err(|error| broken(full_message(&error)))?;
    let violations = contract.value.project(&columns).err().unwrap_or_default();
    match violations.is_empty() {
        true => Ok(()),
        false => Err(broken(violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))),
    }
}
