//! All rows of a stage computed, for a table that they replace or are added to.

use std::sync::Arc;

use datafusion::prelude::SessionContext;
use windlass_base::error::Failure;
use windlass_delta::commit::{BaseExpectation, CommitMode};
use windlass_delta::table::{SchemaChange, TableState};
use windlass_delta::write::{StagedFiles, delta_write_plan};
use windlass_project::spec::table::{Incremental, WriteMode};
use windlass_project::strategy::Strategy;

use super::attempt::StageRun;
use crate::plan::IncrementalContext;
use crate::run::staged::{StagedCommit, StagedWrite};

impl StageRun<'_> {
    /// Computes all rows.
    pub(super) async fn full(&mut self, table_context: Option<&IncrementalContext>) -> Result<StagedWrite, Failure> {
        match (table_context, self.planned.mode) {
            (Some(table_context), WriteMode::Upsert) => return self.upsert(table_context).await,
            (Some(table_context), WriteMode::ReplacePartitions) => return self.replace_partitions(table_context).await,
            _ => {}
        }
        // Rows of another time do not stay in a table that is computed again.
        let was_built = table_context
            .is_some_and(|table_context| table_context.memory.as_ref().is_some_and(|memory| memory.last_run.is_some()));
        let mode = match self.planned.mode {
            WriteMode::Append if was_built && self.stage.table.incremental != Incremental::Off => WriteMode::Overwrite,
            mode => mode,
        };
        let (on_change, commit_mode) = match mode.keeps_rows() {
            false => (SchemaChange::Allow, CommitMode::Overwrite),
            true => (SchemaChange::Refuse, CommitMode::Append),
        };
        let adds_in_every_run = mode == WriteMode::Append && self.stage.table.incremental == Incremental::Off;
        let at = table_context.filter(|_| !adds_in_every_run);
        let table = match at {
            Some(table_context) => self.table_as_planned(table_context, on_change).await?,
            None => self.ensure_table(on_change).await?,
        };
        let query = self.query(&self.run.sessions).await?;
        self.note(&query, table_context.map(|_| Strategy::Full));
        let spec = self.write_spec(&table);
        let batches = self
            .run_job(&query.context, "rows", &query.logical, |plan, state| delta_write_plan(plan, spec, state))
            .await?;
        let files = StagedFiles::from_batches(&batches)?;
        let files = self.validate_written(&query.context, &table, files, true).await?;
        let mut base = BaseExpectation { version: at.map(|_| table.version), ..BaseExpectation::of(&table) };
        if table_context.is_some() && mode == WriteMode::Overwrite {
            self.check_key(&query.context, &table, &files).await?;
        } else if table_context.is_some() && self.is_keyed() && files.files() > 0 {
            let rows = self.written(&query.context, &table, &files)?;
            let target = self.target(&table).await?;
            self.refuse_taken(&query.context, &target, &rows, Some(files.rows()), None).await?;
            // On another version than the one looked at, the keys could be taken.
            base.version = Some(table.version);
        }
        Ok(StagedWrite::Commit(Box::new(StagedCommit {
            files,
            mode: commit_mode,
            base,
            change: table.change,
            plan_fingerprint: query.fingerprint,
            marks: self.marks(table_context).await?,
            done_in: None,
            quarantine: self.quarantine.take(),
        })))
    }

    /// Whether every row that was written has a key of its own, which later merges rely on.
    pub(super) async fn check_key(
        &mut self,
        context: &Arc<SessionContext>,
        table: &TableState,
        files: &StagedFiles,
    ) -> Result<(), Failure> {
        if !self.is_keyed() || files.rows() < 2 {
            return Ok(());
        }
        let rows = self.written(context, table, files)?;
        self.refuse_duplicates(context, &rows).await
    }
}
