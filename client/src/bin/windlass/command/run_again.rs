//! `windlass runs resume` and `windlass runs retry`: what a run has left, executed.

use std::collections::BTreeMap;

use windlass_base::ids::{NodeName, RunId, TableVersion};
use windlass_client::document::{AgainDocument, AgainStage};
use windlass_client::error::ClientError;
use windlass_client::{Project, RunOptions, Runs};
use windlass_evidence::artifact::{RunRecord, RunRequestRecord, RunStatus};
use windlass_evidence::bundle::RecordError;

use super::run::run_and_print;
use super::{project_dir, start};
use crate::args::{Global, Output};
use crate::failure::CommandError;
use crate::output::{self, Table, prose, word};

/// A run of which something is executed again.
pub(super) struct Again<'c> {
    pub(super) run_id: RunId,
    pub(super) way: Way<'c>,
    /// Whether it is only shown what would be executed.
    pub(super) dry_run: bool,
    /// Whether its events are printed instead of the result.
    pub(super) events: bool,
}

/// What is executed.
pub(super) enum Way<'c> {
    /// What the run has not come to.
    Resume,
    /// What did not commit, as far as it is selected.
    Retry { select: &'c [String] },
}

impl Again<'_> {
    pub(super) async fn run(self, global: &Global, runs: &Runs) -> Result<(), CommandError> {
        let bundles = &runs.bundles;
        let record = bundles.run(&self.run_id, &runs.live).await.map_err(ClientError::from)?;
        let request = bundles.request(&self.run_id).await.map_err(ClientError::from)?;
        let request = request.ok_or_else(|| missing(&self.run_id, "request.json")).map_err(ClientError::from)?;
        let project = Project::open_as(&project_dir(global)?, &request)?;
        let options = self.options(request);
        if self.dry_run {
            return self.show(global, runs, &project, &record, &options).await;
        }
        let windlass = start(global, &project).await?;
        run_and_print(global, windlass, &project, &options, self.events).await
    }

    fn options(&self, request: RunRequestRecord) -> RunOptions {
        match self.way {
            Way::Resume => RunOptions::resume(self.run_id.clone(), request),
            Way::Retry { select: [] } => RunOptions::retry(self.run_id.clone(), request),
            Way::Retry { select } => RunOptions {
                select: select.to_vec(),
                exclude: Vec::new(),
                ..RunOptions::retry(self.run_id.clone(), request)
            },
        }
    }

    /// Shows the stages of the run, and which of them would be executed.
    async fn show(
        &self,
        global: &Global,
        runs: &Runs,
        project: &Project,
        record: &RunRecord,
        options: &RunOptions,
    ) -> Result<(), CommandError> {
        self.check(record)?;
        let plan = runs.bundles.plan(&self.run_id).await.map_err(ClientError::from)?;
        let plan = plan.ok_or_else(|| missing(&self.run_id, "plan.json")).map_err(ClientError::from)?;
        let selected = match self.way {
            Way::Resume => None,
            Way::Retry { .. } => {
                Some(project.graph.select(&options.select, &options.exclude).map_err(ClientError::from)?)
            }
        };
        let receipts = record.stages.iter();
        let receipts = receipts.filter_map(|stage| Some((&stage.stage, stage.receipt.as_ref()?.version)));
        let committed: BTreeMap<&NodeName, TableVersion> = receipts.collect();
        let scheduled = plan.stages.iter().filter(|stage| stage.decision.is_scheduled());
        let stages = scheduled.map(|stage| {
            let version = committed.get(&stage.stage).copied();
            let wanted = selected.as_ref().is_none_or(|selected| selected.contains(&stage.stage));
            AgainStage { stage: stage.stage.clone(), committed: version, execute: version.is_none() && wanted }
        });
        let document = AgainDocument { run_id: self.run_id.clone(), stages: stages.collect() };
        if global.output == Output::Json {
            return Ok(output::json(&document)?);
        }
        let rows = document.stages.iter().map(|stage| {
            let what = match (stage.committed, stage.execute) {
                (Some(version), _) => format!("stays: it has committed version {version}"),
                (None, true) => "is executed".to_owned(),
                (None, false) => "stays as it is".to_owned(),
            };
            vec![stage.stage.to_string().into(), what.into()]
        });
        Ok(output::table(&Table::new([word("STAGE"), prose("WHAT HAPPENS")]).with(rows))?)
    }

    /// That the run is one of which something can be executed this way.
    fn check(&self, record: &RunRecord) -> Result<(), CommandError> {
        let (can, message, help) = match self.way {
            Way::Resume => (
                record.status == RunStatus::Interrupted,
                format!("run {} was not interrupted: it is {}", self.run_id, record.status.as_str()),
                "`windlass runs retry` tries again what has failed",
            ),
            Way::Retry { .. } => (
                record.status.is_over(),
                format!("run {} has not ended: it is {}", self.run_id, record.status.as_str()),
                "take it up with `windlass runs resume`",
            ),
        };
        if can { Ok(()) } else { Err(CommandError::Usage { message, help: help.to_owned() }) }
    }
}

fn missing(run: &RunId, part: &str) -> RecordError {
    RecordError::Missing { run_id: run.clone(), part: part.to_owned() }
}
