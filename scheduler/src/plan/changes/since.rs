//! What has changed in a stage's inputs since its cursors, or why that cannot be told.

use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::DeltaError;
use windlass_delta::changes::{TableChanges, changes};
use windlass_engine::session::ListingChange;
use windlass_evidence::artifact::SourceChange;
use windlass_project::graph::Stage;
use windlass_project::spec::table::Incremental;
use windlass_storage::{Location, Stores};

use super::known::KnownChanges;
use super::listing::kept_listing;
use crate::home::Home;
use crate::plan::decide::Cursors;
use crate::plan::error::PlanError;
use crate::plan::input::{Inputs, PinnedInput};

/// Reads what has changed in the inputs of a stage.
pub struct ChangeReader<'r> {
    /// The stage.
    pub stage: &'r Stage,
    /// What its inputs are now.
    pub inputs: &'r Inputs,
    /// What the run has read already.
    pub known: &'r KnownChanges,
    /// Where listings are kept that tables have applied.
    pub home: &'r Home,
    /// The stores of the inputs and the home.
    pub stores: &'r Stores,
}

/// Whether it can be told what has changed.
pub enum ChangesSince {
    /// The inputs that have changed, in the order of the cursors.
    Known(Vec<ReadChange>),
    /// It cannot, and all rows are to be computed.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// A changed input.
pub struct ReadChange {
    /// Which it is, and how much there is to read.
    pub summary: SourceChange,
    /// What has changed.
    pub change: ChangedData,
}

/// What has changed in an input.
pub enum ChangedData {
    /// Rows of a table.
    Rows {
        /// Since the cursor.
        new: TableChanges,
        /// Before it, to be looked at once more.
        again: Option<TableChanges>,
    },
    /// Text files.
    Files(ListingChange),
    /// Files of which nobody can tell which have changed.
    Unlisted,
    /// It is not known yet: a stage of this run brings the table up to date.
    Pending,
}

impl ChangedData {
    /// Whether it is known that no row has changed: a newer version can be a compacted one, or one with another property.
    pub fn is_without_rows(&self) -> bool {
        match self {
            Self::Rows { new, again } => again.iter().chain([new]).all(TableChanges::is_empty),
            Self::Files(_) | Self::Unlisted | Self::Pending => false,
        }
    }

    /// Whether it is known that rows were only added.
    pub fn is_insert_only(&self) -> bool {
        matches!(self, Self::Rows { new, .. } if new.insert_only())
    }
}

impl ChangeReader<'_> {
    /// What has changed since `cursors`.
    ///
    /// # Errors
    /// [`PlanError::Changes`] if changes cannot be read, also where that is since they are gone and the stage is strict;
    /// [`PlanError::Location`] if a kept listing cannot be read, [`PlanError::Refused`] if a strict stage's is gone.
    pub async fn changes_since(&self, cursors: &Cursors) -> Result<ChangesSince, PlanError> {
        let mut all = Vec::with_capacity(cursors.changed.len());
        for name in &cursors.changed {
            let pinned = self.inputs.pinned_input(name).map(AsRef::as_ref);
            let mut summary = SourceChange {
                source: name.clone(),
                from: cursors.tables.get(name).copied(),
                to: pinned.and_then(|input| input.pin.version),
                files: 0,
                rows: None,
                bytes: 0,
            };
            let change = match pinned {
                None => Ok(ChangedData::Pending),
                Some(input) if input.table.is_some() => self.rows(input, cursors, &mut summary).await?,
                Some(input) => self.files(input, cursors, &mut summary).await?,
            };
            match change {
                Ok(change) => all.push(ReadChange { summary, change }),
                Err(reason) => return Ok(ChangesSince::Unknown { reason }),
            }
        }
        Ok(ChangesSince::Known(all))
    }

    /// The rows of the stage's table at `location` that others have changed after version `own`, the last of the stage's,
    /// up to version `newest`; or why that cannot be told.
    ///
    /// # Errors
    /// [`PlanError::Changes`] if the changes cannot be read.
    pub async fn changes_by_others(
        &self,
        location: &Location,
        own: TableVersion,
        newest: TableVersion,
    ) -> Result<Result<TableChanges, String>, PlanError> {
        match changes(location, own, newest, self.stores).await {
            Ok(found) => Ok(Ok(found)),
            Err(gap) if gap.is_change_gap() => {
                Ok(Err(format!("another program changed its table, and what it did is not known: {gap}")))
            }
            Err(source) => Err(self.unreadable(&self.stage.name, source)),
        }
    }

    /// A `reason` for which changes cannot be applied, unless the stage is strict.
    ///
    /// # Errors
    /// [`PlanError::Refused`] if it is.
    pub fn unless_strict(&self, reason: String) -> Result<String, PlanError> {
        match self.stage.table.incremental {
            Incremental::Strict => Err(PlanError::Refused { stage: self.stage.name.clone(), reason }),
            Incremental::Auto | Incremental::Off => Ok(reason),
        }
    }

    async fn rows(
        &self,
        input: &PinnedInput,
        cursors: &Cursors,
        summary: &mut SourceChange,
    ) -> Result<Result<ChangedData, String>, PlanError> {
        let name = &summary.source;
        let (Some(table), Some(from)) = (&input.table, summary.from) else {
            return self.unless_strict(format!("the cursor of `{name}` is not known")).map(Err);
        };
        match self.known.with_again(table, from, cursors.again.get(name), self.stores).await {
            Ok((new, again)) => {
                count_changes(summary, again.iter().chain([&new]));
                Ok(Ok(ChangedData::Rows { new, again }))
            }
            Err(gap) if gap.is_change_gap() && self.stage.table.incremental != Incremental::Strict => {
                Ok(Err(gap.to_string()))
            }
            Err(source) => Err(self.unreadable(name, source)),
        }
    }

    async fn files(
        &self,
        input: &PinnedInput,
        cursors: &Cursors,
        summary: &mut SourceChange,
    ) -> Result<Result<ChangedData, String>, PlanError> {
        let name = &summary.source;
        let (Some(mark), Some(listing)) = (cursors.files.get(name), &input.files) else {
            return Ok(Ok(ChangedData::Unlisted));
        };
        let former = kept_listing(self.home, *mark, self.stores).await;
        let Some(former) = former.map_err(|source| PlanError::Location { node: name.clone(), source })? else {
            let reason = format!("the listing of `{name}` that is applied is gone");
            return self.unless_strict(reason).map(Err);
        };
        let found = listing.change_since(&former);
        (summary.files, summary.rows) = (found.paths.len() as u64, Some(found.present));
        summary.bytes = found.bytes;
        Ok(Ok(ChangedData::Files(found)))
    }

    fn unreadable(&self, input: &NodeName, source: DeltaError) -> PlanError {
        PlanError::Changes { stage: self.stage.name.clone(), input: input.clone(), source }
    }
}

/// Notes in `change` how much there is to read of `parts`.
fn count_changes<'c>(change: &mut SourceChange, parts: impl Iterator<Item = &'c TableChanges>) {
    change.rows = Some(0);
    for part in parts {
        change.files += part.files();
        change.bytes += part.bytes();
        change.rows = change.rows.zip(part.rows()).map(|(all, rows)| all + rows);
    }
}
