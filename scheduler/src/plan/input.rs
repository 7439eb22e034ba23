//! What each name of the pipeline stands for at one moment of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use windlass_base::ids::{NodeName, RunId};
use windlass_delta::pin::PinnedTable;
use windlass_engine::connectors::{LoadRequest, Loaded};
use windlass_engine::session::{Sessions, TableInput, TextListing, register};
use windlass_evidence::artifact::PinRecord;
use windlass_evidence::artifact::Registration;
use windlass_project::spec::SourceSpec;
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;

use super::error::PlanError;

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Input {
    /// Rows that are fixed for the run.
    Pinned(Arc<PinnedInput>),
    /// A table that this run will make: its columns are known, its rows are not.
    Planned(SchemaRef),
}

/// A source or a table at the one state that the whole run reads.
#[derive(Debug)]
pub struct PinnedInput {
    /// The rows.
    pub provider: Arc<dyn TableProvider>,
    /// How they were registered.
    pub registration: Registration,
    /// The state they are pinned to.
    pub pin: PinRecord,
    /// The table, if it is one with versions.
    pub table: Option<PinnedTable>,
    /// The files, if it is text files.
    pub files: Option<TextListing>,
}

impl Input {
    /// The input as a session takes it.
    pub fn table(&self) -> TableInput {
        match self {
            Self::Pinned(input) => {
                TableInput::Known { provider: Arc::clone(&input.provider), registration: input.registration.clone() }
            }
            Self::Planned(schema) => TableInput::Planned(Arc::clone(schema)),
        }
    }
}

/// What every name of the pipeline but the views stands for.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    by_name: BTreeMap<NodeName, Input>,
}

impl Inputs {
    /// Sets what `name` stands for.
    pub fn set(&mut self, name: NodeName, input: Input) {
        self.by_name.insert(name, input);
    }

    /// What `name` stands for.
    pub fn get(&self, name: &NodeName) -> Option<&Input> {
        self.by_name.get(name)
    }

    /// The pinned state of `name`, if it has one.
    pub fn pin(&self, name: &NodeName) -> Option<&PinRecord> {
        match self.by_name.get(name)? {
            Input::Pinned(input) => Some(&input.pin),
            Input::Planned(_) => None,
        }
    }

    /// The pinned input `name`, if it is one.
    pub fn pinned_input(&self, name: &NodeName) -> Option<&Arc<PinnedInput>> {
        match self.by_name.get(name)? {
            Input::Pinned(input) => Some(input),
            Input::Planned(_) => None,
        }
    }

    /// Every pinned input.
    pub fn pinned(&self) -> impl Iterator<Item = &PinnedInput> {
        self.by_name.values().filter_map(|input| match input {
            Input::Pinned(pinned) => Some(pinned.as_ref()),
            Input::Planned(_) => None,
        })
    }
}

/// Fixes a source for the run: a Delta table at one version (`at`, else the project's choice), files as they are listed
/// now. Relative locations start at `base`, the project's folder.
///
/// # Errors
/// [`PlanError`] if the location is wrong, or the source cannot be read.
pub async fn pin_source(
    sessions: &Sessions,
    source: &SourceSpec,
    base: &Location,
    at: Option<PinAt>,
) -> Result<PinnedInput, PlanError> {
    let loaded = sessions.connectors().load(LoadRequest { source, base, at, sessions }).await?;
    pin_loaded(sessions, &source.name.value, loaded).await
}

/// Fixes the Delta table at `location` for the run.
///
/// # Errors
/// [`PlanError::Pin`] if there is no such table or version, or if it cannot be read.
pub async fn pin_table(
    sessions: &Sessions,
    name: &NodeName,
    location: &Location,
    at: PinAt,
) -> Result<PinnedInput, PlanError> {
    let loaded = sessions.connectors().load_table(sessions, name, location, at).await?;
    pin_loaded(sessions, name, loaded).await
}

async fn pin_loaded(sessions: &Sessions, name: &NodeName, loaded: Loaded) -> Result<PinnedInput, PlanError> {
    let context = sessions.context()?;
    let registration = register(&context, sessions.stores(), name, loaded.table).await?;
    let table = loaded.pinned;
    let pin = PinRecord {
        source: name.clone(),
        kind: loaded.kind,
        location: registration.location.clone().unwrap_or_default(),
        version: table.as_ref().map(|table| table.pin().version),
        committed_at: table.as_ref().and_then(|table| table.pin().timestamp),
        chosen_by: loaded.chosen_by.to_owned(),
        content_identity: match table {
            Some(_) => None,
            None => loaded.content_identity.or_else(|| registration.files_digest.clone()).or_else(never_the_same),
        },
        files: registration.files.unwrap_or_default(),
        bytes: registration.bytes.unwrap_or_default(),
    };
    pinned(&context, name, registration, pin, table).await
}

/// The identity of rows that nobody can tell from others: another one every time.
fn never_the_same() -> Option<String> {
    Some(RunId::generate().to_string())
}

async fn pinned(
    context: &SessionContext,
    name: &NodeName,
    registration: Registration,
    pin: PinRecord,
    table: Option<PinnedTable>,
) -> Result<PinnedInput, PlanError> {
    let provider = context
        .table_provider(TableReference::bare(name.as_str()))
        .await
        .map_err(|source| PlanError::Engine { stage: name.clone(), source })?;
    let files = TextListing::of(provider.as_ref());
    Ok(PinnedInput { provider, registration, pin, table, files })
}
