//! How far a commit applies the stage's inputs, as the transactions that go with it.

use std::collections::BTreeMap;

use windlass_base::error::Failure;
use windlass_base::ids::AppId;
use windlass_delta::cursor::{code_key, commit_key, files_key, hash_as_version, source_key};

use super::attempt::StageRun;
use crate::plan::{IncrementalContext, keep_listing};

impl StageRun<'_> {
    /// How far a commit now applies the inputs, and which definition made its rows.
    pub(super) async fn marks(
        &self,
        table_context: Option<&IncrementalContext>,
    ) -> Result<BTreeMap<AppId, i64>, Failure> {
        let Some(table_context) = table_context else { return Ok(BTreeMap::new()) };
        let app_id = self.run.app_id(&self.stage.name);
        let mut marks = BTreeMap::from([(code_key(&app_id), table_context.code.mark())]);
        for name in &table_context.inputs {
            let Some(input) = self.inputs.pinned_input(name) else { continue };
            if let Some(table) = &input.table {
                let version = i64::try_from(table.version().0).unwrap_or(i64::MAX);
                marks.insert(source_key(&app_id, name, table.table_id()), version);
                let commit = self.run.plan.changes.commit(table, table.version(), self.run.stores()).await;
                if let Some(commit) = commit? {
                    marks.insert(commit_key(&app_id, name, table.table_id()), commit);
                }
                continue;
            }
            let mark = hash_as_version(input.pin.content_identity.as_deref().unwrap_or_default());
            if let Some(listing) = &input.files {
                keep_listing(&self.run.plan.request.home, mark, listing, self.run.stores()).await?;
            }
            marks.insert(files_key(&app_id, name), mark);
        }
        Ok(marks)
    }
}
