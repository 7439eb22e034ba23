//! The quarantine of a stage as a table that can be read: the rows that violated one of its expectations.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use windlass_base::ids::NodeName;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::TableStatus;
use windlass_project::expect::QUARANTINE_SUFFIX;
use windlass_project::graph::Stage;
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;

use super::error::PlanError;
use super::input::{Input, PinnedInput, pin_table};
use super::pins::pin_built;
use super::request::{PlanRequest, table_location};

/// The columns that a row in quarantine has besides its own: the run that computed it,
pub(crate) const RUN_ID: &str = "_windlass_run_id";
/// the names of the expectations that it violates,
pub(crate) const RULES: &str = "_windlass_rules";
/// and when it was found to.
pub(crate) const AT: &str = "_windlass_at";

/// Where the quarantine of a stage is: beside its table.
///
/// # Errors
/// As [`table_location`].
pub(crate) fn quarantine_location(request: &PlanRequest, stage: &Stage) -> Result<Location, PlanError> {
    Ok(table_location(request, stage)?.beside(QUARANTINE_SUFFIX))
}

/// The quarantine of a stage, read as `name`: at its newest version, or another. If no row ever went there it is empty,
/// unless the stage has no table either.
///
/// # Errors
/// [`PlanError::Unbuilt`] if no run has committed to the stage's table, and as [`pin_table`].
pub(super) async fn pin_quarantine(
    request: &PlanRequest,
    sessions: &Sessions,
    name: &NodeName,
    stage: &Stage,
    at: Option<PinAt>,
) -> Result<Input, PlanError> {
    match find(request, sessions, name, stage, at.unwrap_or(PinAt::Latest)).await? {
        Ok(found) => Ok(Input::Pinned(Arc::new(found))),
        Err(missing) if at.is_some() => Err(missing),
        Err(_) => {
            let table = pin_built(request, sessions, stage, PinAt::Latest).await?;
            Ok(Input::Planned(columns(&table.provider.schema())))
        }
    }
}

/// The quarantine of a stage as it is now.
///
/// # Errors
/// As [`pin_table`].
pub(super) async fn status(
    request: &PlanRequest,
    sessions: &Sessions,
    name: NodeName,
    stage: &Stage,
) -> Result<TableStatus, PlanError> {
    let found = find(request, sessions, &name, stage, PinAt::Latest).await?.ok();
    let location = quarantine_location(request, stage)?;
    let status = super::tables::status(name, &location, found.as_ref());
    Ok(TableStatus { quarantine_of: Some(stage.name.clone()), ..status })
}

/// The quarantine, or the error that there is none.
async fn find(
    request: &PlanRequest,
    sessions: &Sessions,
    name: &NodeName,
    stage: &Stage,
    at: PinAt,
) -> Result<Result<PinnedInput, PlanError>, PlanError> {
    match pin_table(sessions, name, &quarantine_location(request, stage)?, at).await {
        Ok(found) => Ok(Ok(found)),
        Err(PlanError::Pin { node, source }) if source.is_not_a_table() => Ok(Err(PlanError::Pin { node, source })),
        Err(error) => Err(error),
    }
}

/// The columns of the quarantine of a table with `columns`.
fn columns(columns: &SchemaRef) -> SchemaRef {
    let own = columns.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true));
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let at = Field::new(AT, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
    Arc::new(Schema::new(own.chain([text(RUN_ID), text(RULES), at]).collect::<Vec<_>>()))
}
