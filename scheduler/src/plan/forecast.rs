//! What applying the changes of a stage's inputs will come to, before anything is run: by which strategy, and how much.

use datafusion::logical_expr::LogicalPlan;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::SourceChange;
use windlass_project::spec::table::WriteMode;
use windlass_project::strategy::Strategy;
use windlass_storage::Location;

use super::changes::{ChangeFeeds, ChangeReader, ChangesSince, strategy_for};
use super::decide::{Cursors, changed_text};
use super::error::PlanError;

/// Whether changes can be applied.
pub(super) enum Forecast {
    Possible { strategy: Strategy, changes: Vec<SourceChange> },
    Impossible { reason: String },
}

/// What applying the changes since `cursors` to the stage's table, which is at a version, will come to; as far as it can be
/// known now. `plan` is the stage's optimized query.
///
/// # Errors
/// As [`ChangeReader::changes_since`]; [`PlanError::Refused`] if the stage is strict and they cannot be applied.
pub(super) async fn forecast(
    reader: &ChangeReader<'_>,
    (location, newest): (&Location, TableVersion),
    cursors: &Cursors,
    plan: &LogicalPlan,
) -> Result<Forecast, PlanError> {
    let stage = reader.stage;
    let impossible = |reason: String| reader.unless_strict(reason).map(|reason| Forecast::Impossible { reason });
    if let Some(own) = cursors.repair {
        match reader.changes_by_others(location, own, newest).await? {
            Ok(_) if cursors.files.is_empty() => {}
            Ok(_) => return impossible("another program changed rows of its table".to_owned()),
            Err(reason) => return impossible(reason),
        }
    }
    let changes = match reader.changes_since(cursors).await? {
        ChangesSince::Known(changes) => changes,
        ChangesSince::Unknown { reason } => return Ok(Forecast::Impossible { reason }),
    };
    let changed = changes.iter().filter(|input| !input.change.is_without_rows());
    let changed: Vec<NodeName> = changed.map(|input| input.summary.source.clone()).collect();
    let is_insert_only = changes.iter().all(|input| input.change.is_insert_only());
    let insert_only = is_insert_only || stage.table.mode == WriteMode::Append;
    let changes = changes.into_iter().map(|input| input.summary).collect();
    let feeds = ChangeFeeds::imagined(&changed, reader.inputs, insert_only);
    if cursors.repair.is_some() && feeds.is_empty() {
        return Ok(Forecast::Possible { strategy: Strategy::AffectedKeys, changes });
    }
    let engine = |source| PlanError::Engine { stage: stage.name.clone(), source };
    match strategy_for(stage, plan, &feeds, !cursors.again.is_empty()).map_err(engine)? {
        Ok(choice) if cursors.repair.is_some() && choice.strategy != Strategy::PartitionReplace => {
            Ok(Forecast::Possible { strategy: Strategy::AffectedKeys, changes })
        }
        Ok(choice) => Ok(Forecast::Possible { strategy: choice.strategy, changes }),
        Err(blocker) => {
            let changed = changed_text(&changed);
            impossible(format!("{changed}, and changes cannot be followed through {blocker}"))
        }
    }
}
