//! The changes of tables that a run has looked at: each range of a log is read once a run.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use windlass_base::ids::TableVersion;
use windlass_delta::DeltaError;
use windlass_delta::changes::{TableChanges, changes_between};
use windlass_delta::cursor::commit_hash;
use windlass_delta::pin::PinnedTable;
use windlass_storage::Stores;

use crate::plan::decide::Again;

/// Which range of which table: its location, the first version, and the last.
type Range = (String, TableVersion, TableVersion);

/// The changes of tables, by what was asked for.
#[derive(Debug, Default)]
pub struct KnownChanges {
    tables: Mutex<BTreeMap<Range, TableChanges>>,
    commits: Mutex<BTreeMap<(String, TableVersion), Option<i64>>>,
}

impl KnownChanges {
    /// The changes of `table` after version `after`, up to the one that is pinned.
    ///
    /// # Errors
    /// As [`changes_between`].
    pub async fn of(
        &self,
        table: &PinnedTable,
        after: TableVersion,
        stores: &Stores,
    ) -> Result<TableChanges, DeltaError> {
        self.between(table, TableVersion(after.0.saturating_add(1)), table.version(), stores).await
    }

    /// The changes of [`Self::of`], and those that come once more, if some do.
    ///
    /// # Errors
    /// As [`changes_between`].
    pub async fn with_again(
        &self,
        table: &PinnedTable,
        after: TableVersion,
        again: Option<&Again>,
        stores: &Stores,
    ) -> Result<(TableChanges, Option<TableChanges>), DeltaError> {
        let new = self.of(table, after, stores).await?;
        let again = match again {
            Some(again) => Some(self.between(table, again.first, again.last, stores).await?),
            None => None,
        };
        Ok((new, again))
    }

    /// The changes of `table` in the versions `first` to `last`, with both.
    ///
    /// # Errors
    /// As [`changes_between`].
    async fn between(
        &self,
        table: &PinnedTable,
        first: TableVersion,
        last: TableVersion,
        stores: &Stores,
    ) -> Result<TableChanges, DeltaError> {
        let range = (table.location().to_string(), first, last);
        if let Some(known) = self.tables.lock().get(&range) {
            return Ok(known.clone());
        }
        let found = changes_between(table.location(), first, last, stores).await?;
        self.tables.lock().insert(range, found.clone());
        Ok(found)
    }

    /// The commit that made `version` of `table`, as [`commit_hash`] has it.
    ///
    /// # Errors
    /// As [`commit_hash`].
    pub async fn commit(
        &self,
        table: &PinnedTable,
        version: TableVersion,
        stores: &Stores,
    ) -> Result<Option<i64>, DeltaError> {
        let key = (table.location().to_string(), version);
        if let Some(known) = self.commits.lock().get(&key) {
            return Ok(*known);
        }
        let found = commit_hash(table.location(), version, stores).await?;
        self.commits.lock().insert(key, found);
        Ok(found)
    }
}
