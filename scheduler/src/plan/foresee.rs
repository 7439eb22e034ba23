//! What applying the changes of a stage's inputs will come to, before anything is run: by which strategy, and how much.

use std::collections::BTreeSet;

use datafusion::logical_expr::LogicalPlan;
use windlass_base::ids::NodeName;
use windlass_delta::changes::changes as delta_changes;
use windlass_evidence::artifact::SourceChange;
use windlass_project::graph::Stage;
use windlass_project::spec::table::{Incremental, WriteMode};
use windlass_project::strategy::Strategy;

use super::changes::{count_changes, kept_listing};
use super::decide::{Cursors, changed_text};
use super::error::PlanError;
use super::feeds::{Feeds, strategy_for};
use super::plan_stage::StagePlanner;
use super::request::table_location;
use super::table_role::TableRole;

/// Whether changes can be applied.
pub(super) enum Foreseen {
    Possible { strategy: Strategy, changes: Vec<SourceChange> },
    Impossible { reason: String },
}

impl StagePlanner<'_> {
    /// What applying the changes will come to, as far as it can be known now.
    pub(super) async fn foresee(
        &self,
        stage: &Stage,
        role: &TableRole,
        cursors: &Cursors,
        plan: &LogicalPlan,
    ) -> Result<Foreseen, PlanError> {
        if let Some(own) = cursors.repair {
            let location = table_location(self.request, stage)?;
            let newest = role.memory.as_ref().map(|memory| memory.version).unwrap_or_default();
            match delta_changes(&location, own, newest, self.sessions.stores()).await {
                Ok(_) if cursors.files.is_empty() => {}
                Ok(_) => return self.no_way(stage, "another program changed rows of its table".to_owned()),
                Err(source) if source.is_change_gap() => {
                    let reason = format!("another program changed its table, and what it did cannot be told: {source}");
                    return self.no_way(stage, reason);
                }
                Err(source) => return Err(PlanError::Pin { node: stage.name.clone(), source }),
            }
        }
        let mut changes = Vec::new();
        let mut insert_only = true;
        // A version can be a newer one without a row that is another: the source was compacted, or got a property.
        let mut without_changes = BTreeSet::new();
        for name in &cursors.changed {
            let pinned = self.inputs.pinned_input(name);
            let mut change = SourceChange {
                source: name.clone(),
                from: cursors.tables.get(name).copied(),
                to: pinned.and_then(|input| input.pin.version),
                files: 0,
                rows: None,
                bytes: 0,
            };
            let listing = pinned.and_then(|input| input.files.as_ref());
            if let (Some(mark), Some(listing)) = (cursors.files.get(name), listing) {
                let former = kept_listing(&self.request.home, *mark, self.sessions.stores())
                    .await
                    .map_err(|source| PlanError::Location { node: name.clone(), source })?;
                let Some(former) = former else {
                    let reason = format!("the listing of `{name}` that is taken in is not there any more");
                    return self.no_way(stage, reason);
                };
                let changed = listing.change_since(&former);
                (change.files, change.rows) = (changed.paths.len() as u64, Some(changed.present));
                change.bytes = changed.bytes;
                insert_only = false;
            } else if let (Some(from), Some(table)) = (change.from, pinned.and_then(|input| input.table.as_ref())) {
                let again = cursors.again.get(name);
                match self.changes.with_again(table, from, again, self.sessions.stores()).await {
                    Ok((found, again)) => {
                        if again.iter().chain([&found]).all(|changes| changes.is_empty()) {
                            without_changes.insert(name);
                        }
                        count_changes(&mut change, again.iter().chain([&found]));
                        insert_only &= found.insert_only();
                    }
                    Err(source) if source.is_change_gap() => match stage.table.incremental {
                        Incremental::Strict => {
                            return Err(PlanError::Changes { stage: stage.name.clone(), input: name.clone(), source });
                        }
                        _ => return Ok(Foreseen::Impossible { reason: source.to_string() }),
                    },
                    Err(source) => return Err(PlanError::Pin { node: name.clone(), source }),
                }
            } else {
                insert_only = false;
            }
            changes.push(change);
        }
        let insert_only = insert_only || stage.table.mode == WriteMode::Append;
        let can_have: Vec<NodeName> =
            cursors.changed.iter().filter(|name| !without_changes.contains(name)).cloned().collect();
        let feeds = Feeds::imagined(&can_have, &self.inputs, insert_only);
        let engine = |source| PlanError::Engine { stage: stage.name.clone(), source };
        if cursors.repair.is_some() && feeds.is_empty() {
            return Ok(Foreseen::Possible { strategy: Strategy::AffectedKeys, changes });
        }
        match strategy_for(stage, plan, &feeds, !cursors.again.is_empty()).map_err(engine)? {
            Ok(choice) if cursors.repair.is_some() && choice.strategy != Strategy::PartitionReplace => {
                Ok(Foreseen::Possible { strategy: Strategy::AffectedKeys, changes })
            }
            Ok(choice) => Ok(Foreseen::Possible { strategy: choice.strategy, changes }),
            Err(blocker) => {
                let changed = changed_text(&can_have);
                self.no_way(stage, format!("{changed}, and changes cannot be followed through {blocker}"))
            }
        }
    }

    fn no_way(&self, stage: &Stage, reason: String) -> Result<Foreseen, PlanError> {
        match stage.table.incremental {
            Incremental::Strict => Err(PlanError::Refused { stage: stage.name.clone(), reason }),
            Incremental::Auto | Incremental::Off => Ok(Foreseen::Impossible { reason }),
        }
    }
}
