//! What is known of a stage as a table that lasts from run to run, and the facts that are decided by.

use std::collections::BTreeMap;

use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::DeltaError;
use windlass_delta::changes::is_only_rewritten;
use windlass_delta::cursor::{TableProgress, hash_as_version};
use windlass_delta::pin::PinnedTable;
use windlass_project::graph::Stage;
use windlass_project::spec::table::{Incremental, WriteMode};
use windlass_storage::Stores;

use super::changes::KnownChanges;
use super::code::CodeVersion;
use super::decide::{InputFacts, InputState, StageFacts, Verdict};
use super::error::PlanError;
use super::input::{Input, Inputs};

/// What is known of a stage as a table that lasts from run to run.
#[derive(Debug, Clone)]
pub struct IncrementalContext {
    /// Its definition.
    pub code: CodeVersion,
    /// What was decided before anything ran; inputs that this run brings up to date were not known yet.
    pub verdict: Verdict,
    /// What its table remembered then.
    pub memory: Option<TableProgress>,
    /// What it reads, views and caches seen through.
    pub inputs: Vec<NodeName>,
    /// The first version to apply of an input, where someone asked for one.
    pub from_versions: BTreeMap<NodeName, u64>,
    /// The last such version.
    pub to_versions: BTreeMap<NodeName, u64>,
    /// Whether all rows were asked for.
    pub refresh: bool,
    /// Whether the run that committed last never came to its end. Known where it matters: every run has something to do.
    pub interrupted: bool,
    /// Why it may not be computed, if that was found out before anything ran.
    pub refusal: Option<Failure>,
}

impl IncrementalContext {
    /// The facts that are decided by, with the inputs as they are now.
    ///
    /// # Errors
    /// [`PlanError::Pin`] if the log of an input cannot be read.
    pub async fn facts(
        &self,
        stage: &Stage,
        inputs: &Inputs,
        changes: &KnownChanges,
        stores: &Stores,
    ) -> Result<StageFacts<'_>, PlanError> {
        let mut facts = Vec::with_capacity(self.inputs.len());
        for name in &self.inputs {
            let (state, commit, only_rewritten) = match inputs.get(name) {
                Some(Input::Pinned(input)) => match &input.table {
                    Some(table) => {
                        let unreadable = |source| PlanError::Pin { node: name.clone(), source };
                        let commit = self.commit_of(name, table, changes, stores).await.map_err(unreadable)?;
                        let rewritten = match stage.table.incremental {
                            Incremental::Off => self.only_rewritten(name, table, stores).await.map_err(unreadable)?,
                            // Their cursors go on, without reading a row.
                            Incremental::Auto | Incremental::Strict => false,
                        };
                        let state = InputState::Table { id: table.table_id().to_owned(), version: table.version() };
                        (state, commit, rewritten)
                    }
                    None => {
                        let mark = hash_as_version(input.pin.content_identity.as_deref().unwrap_or_default());
                        (InputState::Files { mark }, None, false)
                    }
                },
                Some(Input::Planned(_)) | None => (InputState::Pending, None, false),
            };
            facts.push(InputFacts {
                name: name.clone(),
                state,
                from_version: self.from_versions.get(name).copied().map(TableVersion),
                to_version: self.to_versions.get(name).copied().map(TableVersion),
                commit,
                only_rewritten,
            });
        }
        Ok(StageFacts {
            incremental: stage.table.incremental,
            mode: stage.table.mode,
            on_definition_change: stage.table.on_definition_change,
            code: self.code.mark(),
            parts: self.code.parts().clone(),
            volatile: self.code.volatile().map(ToOwned::to_owned),
            memory: self.memory.as_ref(),
            inputs: facts,
            refresh: self.refresh,
            interrupted: self.interrupted,
            keyed: !stage.table.key.is_empty() && stage.table.mode == WriteMode::Overwrite,
        })
    }

    /// Whether an input has a newer version than the last run has read, with the same rows.
    async fn only_rewritten(&self, name: &NodeName, table: &PinnedTable, stores: &Stores) -> Result<bool, DeltaError> {
        let key = (name.clone(), table.table_id().to_owned());
        let taken = self.memory.as_ref().and_then(|memory| memory.sources.get(&key));
        match taken.and_then(|taken| u64::try_from(*taken).ok()).map(TableVersion) {
            Some(taken) if taken < table.version() => {
                is_only_rewritten(table.location(), taken, table.version(), stores).await
            }
            _ => Ok(false),
        }
    }

    /// The commit by which an input's log has the version that the last run took in, if there is one to compare with.
    async fn commit_of(
        &self,
        name: &NodeName,
        table: &PinnedTable,
        changes: &KnownChanges,
        stores: &Stores,
    ) -> Result<Option<i64>, DeltaError> {
        let key = (name.clone(), table.table_id().to_owned());
        let Some(memory) = self.memory.as_ref().filter(|memory| memory.commits.contains_key(&key)) else {
            return Ok(None);
        };
        let taken = memory.applied.get(&key).and_then(|taken| u64::try_from(*taken).ok()).map(TableVersion);
        match taken.filter(|taken| *taken <= table.version()) {
            Some(taken) => changes.commit(table, taken, stores).await,
            None => Ok(None),
        }
    }
}
