//! What each name of the pipeline stands for at one moment of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use windlass_shared::artifact::PinRecord;
use windlass_shared::delta::pin::{PinnedTable, pin};
use windlass_shared::delta::scan::ScanOptions;
use windlass_shared::ids::NodeName;
use windlass_shared::session::{ProviderInput, Registration, Sessions, TableInput, TableKind, TextListing, register};
use windlass_shared::spec::SourceSpec;
use windlass_shared::spec::source::{PinAt, SourceKind};
use windlass_shared::storage::Location;

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
/// now. Relative locations start at
/// `base`, the project's folder.
///
/// # Errors
/// [`PlanError`] if the location is wrong, or the source cannot be read.
pub async fn pin_source(
    sessions: &Sessions,
    source: &SourceSpec,
    base: &Location,
    at: Option<PinAt>,
) -> Result<PinnedInput, PlanError> {
    let name = &source.name.value;
    let locate = |text: &str| base.resolve(text).map_err(|source| PlanError::Location { node: name.clone(), source });
    match &source.kind {
        SourceKind::Delta(delta) => pin_table(sessions, name, &locate(&delta.location)?, at.unwrap_or(delta.pin)).await,
        _ if at.is_some() => Err(PlanError::NoVersions { node: name.clone() }),
        SourceKind::Listing(listing) => {
            let table = TableInput::Listing { source: listing.clone(), location: locate(&listing.location)? };
            pin_files(sessions, name, table, "listing").await
        }
        SourceKind::TextFiles(files) => {
            let table = TableInput::TextFiles { source: files.clone(), location: locate(&files.location)? };
            pin_files(sessions, name, table, "text_files").await
        }
    }
}

async fn pin_files(
    sessions: &Sessions,
    name: &NodeName,
    table: TableInput,
    kind: &str,
) -> Result<PinnedInput, PlanError> {
    let context = sessions.context()?;
    let registration = register(&context, sessions.stores(), name, table).await?;
    let pin = PinRecord {
        source: name.clone(),
        kind: kind.to_owned(),
        location: registration.location.clone().unwrap_or_default(),
        version: None,
        committed_at: None,
        chosen_by: "listed".to_owned(),
        content_identity: registration.files_digest.clone(),
        files: registration.files.unwrap_or_default(),
        bytes: registration.bytes.unwrap_or_default(),
    };
    pinned(&context, name, registration, pin, None).await
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
    let table =
        pin(location, at, sessions.stores()).await.map_err(|source| PlanError::Pin { node: name.clone(), source })?;
    let context = sessions.context()?;
    let input = provider_input(name, &context, &table)?;
    let registration = register(&context, sessions.stores(), name, TableInput::Provider(input)).await?;
    let pin = table.pin();
    let pin = PinRecord {
        source: name.clone(),
        kind: "delta".to_owned(),
        location: location.to_string(),
        version: Some(pin.version),
        committed_at: pin.timestamp,
        chosen_by: match at {
            PinAt::Latest => "latest",
            PinAt::Version(_) => "version",
            PinAt::Timestamp(_) => "timestamp",
        }
        .to_owned(),
        content_identity: None,
        files: pin.files,
        bytes: pin.bytes,
    };
    pinned(&context, name, registration, pin, Some(table)).await
}

fn provider_input(name: &NodeName, context: &SessionContext, table: &PinnedTable) -> Result<ProviderInput, PlanError> {
    let options = ScanOptions::from_config(context.state().config());
    let pin = table.pin();
    let identity = table.scan_identity(&options).map_err(|error| PlanError::Engine {
        stage: name.clone(),
        source: DataFusionError::External(Box::new(error)),
    })?;
    Ok(ProviderInput {
        provider: table.provider(&options),
        kind: TableKind::Delta,
        location: Some(table.location().clone()),
        format: Some("parquet".to_owned()),
        version: Some(pin.version),
        partition_columns: table.partition_columns().to_vec(),
        sort_order: Vec::new(),
        files: Some(pin.files),
        bytes: Some(pin.bytes),
        files_digest: None,
        scan_identity: identity,
    })
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
