//! The changes of inputs that a run has looked at: each range of a log is read once a run.

use std::collections::BTreeMap;

use object_store::ObjectStoreExt;
use parking_lot::Mutex;
use windlass_base::ids::TableVersion;
use windlass_delta::DeltaError;
use windlass_delta::changes::{TableChanges, changes_between};
use windlass_delta::cursor::commit_hash;
use windlass_delta::pin::PinnedTable;
use windlass_engine::session::TextListing;
use windlass_evidence::artifact::SourceChange;
use windlass_storage::{Location, StorageError, Stores};

use super::decide::Again;
use crate::home::Home;

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

/// Notes in `change` how much there is to read of `parts`.
pub fn count_changes<'c>(change: &mut SourceChange, parts: impl Iterator<Item = &'c TableChanges>) {
    change.rows = Some(0);
    for part in parts {
        change.files += part.files();
        change.bytes += part.bytes();
        change.rows = change.rows.zip(part.rows()).map(|(all, rows)| all + rows);
    }
}

/// Where the listings of sources of files are kept that tables have taken in, by their marks: `<home>/cursors/listings`.
fn listing_file(home: &Home, mark: i64) -> Location {
    home.root().join("cursors").join("listings").join(&format!("{mark:016x}.json"))
}

/// Keeps a listing, so that a later run can tell what has changed since.
///
/// # Errors
/// [`StorageError`] if the home's store refuses it.
pub async fn keep_listing(home: &Home, mark: i64, listing: &TextListing, stores: &Stores) -> Result<(), StorageError> {
    let file = listing_file(home, mark);
    // Paths and numbers: there is nothing in them that JSON refuses.
    let bytes = serde_json::to_vec(listing).unwrap_or_default();
    let put = stores.store(&file)?.put(&file.path()?, bytes.into()).await;
    put.map(drop).map_err(|source| StorageError::Access { location: file.to_string(), source })
}

/// A listing that was kept; `None` if it is not there any more.
///
/// # Errors
/// [`StorageError`] if the home's store fails.
pub async fn kept_listing(home: &Home, mark: i64, stores: &Stores) -> Result<Option<TextListing>, StorageError> {
    let file = listing_file(home, mark);
    let failed = |source| StorageError::Access { location: file.to_string(), source };
    let found = match stores.store(&file)?.get(&file.path()?).await {
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        found => found.map_err(failed)?,
    };
    let bytes = found.bytes().await.map_err(failed)?;
    Ok(serde_json::from_slice(&bytes).ok())
}
