//! Every source of a run at one state, and every table of an earlier run that it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::cursor::TableProgress;
use windlass_delta::{DeltaError, check_built};
use windlass_engine::session::Sessions;
use windlass_project::graph::Stage;
use windlass_project::spec::source::PinAt;

use super::error::{PlanError, SourceFault};
use super::input::{Input, Inputs, PinnedInput, pin_source, pin_table};
use super::quarantine::pin_quarantine;
use super::request::{PlanRequest, table_location};
use super::scope::{Scope, range_ends};

/// How many tables and sources are looked at at the same time.
pub(super) const PINS_AT_ONCE: usize = 8;

/// Pins every source and every table of an earlier run that the run reads and does not make.
pub(super) async fn pin_inputs(request: &PlanRequest, sessions: &Sessions, scope: &Scope) -> Result<Inputs, PlanError> {
    let pins = scope.outside(&request.graph);
    let to = range_ends(request, scope, &request.refresh.to_versions)?;
    let to = &to;
    let pinned: Vec<(NodeName, Input)> = stream::iter(pins)
        .map(|(name, reader)| async move {
            let fixed = request.fixed.as_deref();
            let asked = || to.get(&name).map(|version| PinAt::Version(*version));
            let at = fixed.and_then(|fixed| fixed.version(&name)).or_else(asked);
            let input = pin_leaf(request, sessions, &name, &reader, at).await?;
            if let Some(fixed) = fixed {
                fixed.check(&name, &input)?;
            }
            Ok::<_, PlanError>((name, input))
        })
        .buffer_unordered(PINS_AT_ONCE)
        .try_collect()
        .await?;
    let mut inputs = Inputs::default();
    for (name, input) in pinned {
        inputs.set(name, input);
    }
    Ok(inputs)
}

/// Pins sources again of which a range ends before what is applied already: at the version that is applied, since a range
/// that comes once more does not take the table back to the time of its end. A full refresh does what is asked for.
pub(super) async fn keep_pace(
    request: &PlanRequest,
    sessions: &Sessions,
    scope: &Scope,
    memories: &BTreeMap<NodeName, Option<TableProgress>>,
    inputs: &mut Inputs,
) -> Result<(), PlanError> {
    for (name, to) in range_ends(request, scope, &request.refresh.to_versions)? {
        // A range is of one stage.
        let Some(stage) = memories.keys().next() else { continue };
        let Some(taken) = applied(memories, inputs, &name) else { continue };
        if taken.0 > to && !scope.refreshed.contains(stage) {
            match pin_for_query(request, sessions, &name, Some(PinAt::Version(taken.0))).await {
                Ok(input) => inputs.set(name, input),
                // A version that is gone is reported by what is decided about the stage.
                Err(PlanError::Pin { .. } | PlanError::Source { source: SourceFault::Delta(_), .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// That the ranges of versions that were asked for begin at versions that there are.
///
/// # Errors
/// [`PlanError::Range`] for a version that is neither read nor applied yet.
pub(super) fn check_ranges(
    request: &PlanRequest,
    scope: &Scope,
    memories: &BTreeMap<NodeName, Option<TableProgress>>,
    inputs: &Inputs,
) -> Result<(), PlanError> {
    for (name, from) in range_ends(request, scope, &request.refresh.from_versions)? {
        let Some(read) = inputs.pinned_input(&name).and_then(|input| input.pin.version) else { continue };
        // A table that was restored from a backup may have applied more than its source has.
        let last = applied(memories, inputs, &name).map_or(read, |applied| applied.max(read));
        if from > last.0 {
            return Err(PlanError::Range {
                reason: format!("it begins at version {from} of `{name}`, and version {last} is the last"),
                help: format!("begin at a version up to {last}"),
            });
        }
    }
    Ok(())
}

/// Up to which version the changes of a table are applied, by the stage that a range is of.
fn applied(
    memories: &BTreeMap<NodeName, Option<TableProgress>>,
    inputs: &Inputs,
    name: &NodeName,
) -> Option<TableVersion> {
    let memory = memories.values().next()?.as_ref()?;
    let table = inputs.pinned_input(name)?.table.as_ref()?;
    let key = (name.clone(), table.table_id().to_owned());
    let cursor = memory.sources.get(&key).and_then(|cursor| u64::try_from(*cursor).ok()).map(TableVersion)?;
    Some(memory.applied_version(&key, cursor))
}

async fn pin_leaf(
    request: &PlanRequest,
    sessions: &Sessions,
    name: &NodeName,
    reader: &NodeName,
    at: Option<PinAt>,
) -> Result<Input, PlanError> {
    match pin_for_query(request, sessions, name, at).await {
        Err(PlanError::Unbuilt { stage: upstream }) => Err(PlanError::NotBuilt { stage: reader.clone(), upstream }),
        outcome => outcome,
    }
}

/// Pins a source as the project says, or a stage's table or quarantine at its newest version; or each at another version.
///
/// # Errors
/// [`PlanError::Source`] or [`PlanError::Pin`] if there is no such table, and as [`pin_source`].
pub async fn pin_for_query(
    request: &PlanRequest,
    sessions: &Sessions,
    name: &NodeName,
    at: Option<PinAt>,
) -> Result<Input, PlanError> {
    let graph = &request.graph;
    let input = match (graph.sources.get(name), graph.stage(name)) {
        (Some(source), _) => {
            pin_source(sessions, source, &request.base, at).await.map_err(|error| error.of_source(source, graph))?
        }
        (None, Some(stage)) => pin_built(request, sessions, stage, at.unwrap_or(PinAt::Latest)).await?,
        (None, None) => {
            return match graph.quarantined_stage(name) {
                Some(stage) => pin_quarantine(request, sessions, name, stage, at).await,
                None => Err(PlanError::unknown(name, graph)),
            };
        }
    };
    Ok(Input::Pinned(Arc::new(input)))
}

/// Pins a stage's table, if a run has committed to it.
///
/// # Errors
/// [`PlanError::Unbuilt`] if none has, and as [`pin_table`].
pub(super) async fn pin_built(
    request: &PlanRequest,
    sessions: &Sessions,
    stage: &Stage,
    at: PinAt,
) -> Result<PinnedInput, PlanError> {
    let unbuilt = |source: DeltaError| match source.is_not_built() {
        true => PlanError::Unbuilt { stage: stage.name.clone() },
        false => PlanError::Pin { node: stage.name.clone(), source },
    };
    let pinned = match pin_table(sessions, &stage.name, &table_location(request, stage)?, at).await {
        Err(PlanError::Pin { source, .. }) => return Err(unbuilt(source)),
        pinned => pinned?,
    };
    if let Some(table) = &pinned.table {
        check_built(table, sessions.stores()).await.map_err(unbuilt)?;
    }
    Ok(pinned)
}
