//! What a run does with one stage's table, and why, as the plan shows it.

use datafusion::logical_expr::LogicalPlan;
use windlass_evidence::artifact::{Cause, PlanDecision, ReuseVerdict, StageDecision};
use windlass_project::graph::Stage;
use windlass_project::strategy::Strategy;
use windlass_storage::Location;

use super::changes::ChangeReader;
use super::decide::{Cursors, Verdict, changed_text};
use super::error::PlanError;
use super::forecast::{Forecast, forecast};
use super::incremental_context::IncrementalContext;

/// The decision about a stage, whose table is at `location`, as it is shown. A verdict that turns out not to be possible is
/// corrected.
///
/// # Errors
/// As [`forecast`]; [`PlanError::Refused`] if the verdict is to refuse.
pub(super) async fn stage_decision(
    reader: &ChangeReader<'_>,
    location: &Location,
    table_context: &mut IncrementalContext,
    plan: &LogicalPlan,
) -> Result<StageDecision, PlanError> {
    let stage = reader.stage;
    let mut changes = Vec::new();
    let mut strategy = Strategy::Full;
    if let Verdict::Incremental(cursors) = &table_context.verdict {
        let newest = table_context.memory.as_ref().map(|memory| memory.version).unwrap_or_default();
        match forecast(reader, (location, newest), cursors, plan).await? {
            Forecast::Possible { strategy: found, changes: found_changes } => {
                (strategy, changes) = (found, found_changes);
            }
            Forecast::Impossible { reason } => {
                let (cause, missed) = (Cause::NotTraceable, cursors.missed.clone());
                table_context.verdict = Verdict::Full { cause, reason, missed };
            }
        }
    }
    let name = stage.name.clone();
    let mut decision = match &table_context.verdict {
        Verdict::Incremental(cursors) => {
            let (cause, why) = match cursors.repair {
                Some(_) => (Cause::ForeignChange, "another program changed rows of its table".to_owned()),
                None => (Cause::DataChanged, changed_text(&cursors.changed)),
            };
            let reason = format!("{why}; {}{}", explained(strategy, stage), once_more(cursors));
            let mut decision = StageDecision::new(name, PlanDecision::Incremental, cause, reason);
            decision.reuse = Some(ReuseVerdict { hit: false, missed: cursors.missed.clone() });
            // What others have changed is not among the changes of the inputs.
            let rows = || changes.iter().map(|change| change.rows).sum();
            decision.estimated_rows = if cursors.repair.is_some() { None } else { rows() };
            decision.estimated_bytes = changes.iter().map(|change| change.bytes).sum();
            decision
        }
        Verdict::Full { cause, reason, missed } => {
            let mut decision = StageDecision::new(name, PlanDecision::Full, *cause, reason.clone());
            decision.reuse = Some(ReuseVerdict { hit: false, missed: missed.clone() });
            let inputs = || table_context.inputs.iter().map(|name| reader.inputs.pinned_input(name));
            decision.estimated_rows = inputs().map(|input| input?.table.as_ref()?.pin().rows).sum();
            decision.estimated_bytes = inputs().flatten().map(|input| input.pin.bytes).sum();
            decision
        }
        Verdict::Done { reason } => {
            let mut decision = StageDecision::new(name, PlanDecision::Reuse, Cause::DoneBefore, reason.clone());
            decision.reuse = Some(ReuseVerdict { hit: true, missed: Vec::new() });
            decision.code_version = table_context.code.to_string();
            return Ok(decision);
        }
        Verdict::Refuse { reason } => {
            return Err(PlanError::Refused { stage: name, reason: reason.clone() });
        }
        Verdict::Reuse => StageDecision::new(name, PlanDecision::Full, Cause::UpToDate, String::new()),
    };
    decision.strategy = Some(strategy);
    decision.changes = changes;
    decision.set_code(table_context.code.as_str(), table_context.code.parts());
    Ok(decision)
}

/// What comes once more, for the reader of a plan.
fn once_more(cursors: &Cursors) -> String {
    let texts = cursors.again.iter().map(|(name, again)| {
        let (first, last) = (again.first, again.last);
        format!("; versions {first} to {last} of `{name}`, which are already applied, are looked at once more")
    });
    texts.collect()
}

/// What a strategy does, for the reader of a plan.
fn explained(strategy: Strategy, stage: &Stage) -> String {
    let key = stage.table.key.join(", ");
    match strategy {
        Strategy::Append => "inserted rows are added".to_owned(),
        Strategy::RowWise => format!("what changed rows become is replaced by ({key})"),
        Strategy::AffectedKeys => format!("rows of every ({key}) that changes can touch are computed again"),
        Strategy::PartitionReplace => format!("partitions of every ({key}) that changes can touch are replaced"),
        Strategy::ChangedFiles => "rows of changed files are replaced".to_owned(),
        Strategy::Full => "all rows are computed".to_owned(),
    }
}
