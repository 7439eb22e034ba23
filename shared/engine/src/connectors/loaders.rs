//! Loaders: open a source at the state that the whole run reads.

use std::fmt;

use async_trait::async_trait;
use windlass_base::ids::NodeName;
use windlass_delta::check_built;
use windlass_delta::pin::{PinnedTable, pin};
use windlass_delta::scan::ScanOptions;
use windlass_evidence::artifact::TableKind;
use windlass_project::spec::SourceSpec;
use windlass_project::spec::source::{CustomSource, PinAt, SourceKind};
use windlass_storage::Location;

use super::error::{ConnectorError, Fault};
use crate::session::{ProviderInput, SessionError, Sessions, TableInput};

/// Opens sources of one kind.
///
/// The source must not change while it is read: every scan of the run must return the same rows. If that cannot be
/// guaranteed, load the rows once and return an in-memory table. The plan of the table is sent to executors, so it must
/// consist of operators that the engine can encode: scans of files, of memory, or of tables that Windlass knows.
#[async_trait]
pub trait Loader: fmt::Debug + Send + Sync {
    /// Opens a source.
    ///
    /// # Errors
    /// [`Fault`], or a [`ConnectorError`], which keeps its code and help.
    async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, Fault>;
}

/// What to open.
#[derive(Debug)]
pub struct LoadRequest<'a> {
    /// The source.
    pub source: &'a SourceSpec,
    /// The base of relative locations: the project's folder.
    pub base: &'a Location,
    /// The requested version, if any: an error for a source without versions.
    pub at: Option<PinAt>,
    /// The sessions of the run, with its object stores.
    pub sessions: &'a Sessions,
}

impl<'a> LoadRequest<'a> {
    /// The source's name.
    pub fn name(&self) -> &'a NodeName {
        &self.source.name.value
    }

    /// A location of the project, resolved.
    ///
    /// # Errors
    /// [`ConnectorError::Location`] if it cannot be used.
    pub fn locate(&self, text: &str) -> Result<Location, ConnectorError> {
        self.base.resolve(text).map_err(|source| ConnectorError::Location { name: self.name().clone(), source })
    }

    /// The source, if it is of kind `custom`.
    ///
    /// # Errors
    /// [`ConnectorError::OtherKind`] if it is not.
    pub fn custom(&self) -> Result<&'a CustomSource, ConnectorError> {
        match &self.source.kind {
            SourceKind::Custom(source) => Ok(source),
            _ => Err(self.other_kind()),
        }
    }

    fn other_kind(&self) -> ConnectorError {
        ConnectorError::OtherKind { name: self.name().clone(), kind: self.source.kind.name().to_owned() }
    }

    fn without_versions(&self) -> Result<(), ConnectorError> {
        match self.at {
            Some(_) => Err(ConnectorError::NoVersions { name: self.name().clone() }),
            None => Ok(()),
        }
    }
}

/// An opened source.
#[derive(Debug)]
pub struct Loaded {
    /// The table, to be registered.
    pub table: TableInput,
    /// The kind, as pins write it.
    pub kind: String,
    /// How its state was chosen, as pins write it: `latest`, `version`, `timestamp`, `listed`, `loaded`.
    pub chosen_by: &'static str,
    /// The Delta table, if it is one.
    pub pinned: Option<PinnedTable>,
    /// The identity of its content, if not given by the table's registration: equal identities mean that nothing has
    /// changed.
    pub content_identity: Option<String>,
}

/// Delta tables.
#[derive(Debug)]
pub(super) struct DeltaLoader;

#[async_trait]
impl Loader for DeltaLoader {
    async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, Fault> {
        let SourceKind::Delta(source) = &request.source.kind else { return Err(request.other_kind().into()) };
        let location = request.locate(&source.location)?;
        let at = request.at.unwrap_or(source.pin);
        let loaded = load_table(request.sessions, request.name(), &location, at).await?;
        if let Some(table) = &loaded.pinned {
            let failed = |source| ConnectorError::Pin { name: request.name().clone(), source };
            check_built(table, request.sessions.stores()).await.map_err(failed)?;
        }
        Ok(loaded)
    }
}

/// The Delta table at `location`, at one version.
///
/// # Errors
/// [`ConnectorError::Pin`] if there is no such table or version, or if it cannot be read.
pub(super) async fn load_table(
    sessions: &Sessions,
    name: &NodeName,
    location: &Location,
    at: PinAt,
) -> Result<Loaded, ConnectorError> {
    let failed = |source| ConnectorError::Pin { name: name.clone(), source };
    let table = pin(location, at, sessions.stores()).await.map_err(failed)?;
    let options = ScanOptions::from_config(sessions.context()?.state().config());
    let facts = table.pin();
    let identity = table.scan_identity(&options).map_err(|error| {
        let source = datafusion::error::DataFusionError::External(Box::new(error));
        ConnectorError::Session(SessionError::Register { table: name.clone(), source })
    })?;
    let input = ProviderInput {
        provider: table.provider(&options),
        kind: TableKind::Delta,
        location: Some(table.location().clone()),
        format: Some("parquet".to_owned()),
        version: Some(facts.version),
        partition_columns: table.partition_columns().to_vec(),
        sort_order: Vec::new(),
        files: Some(facts.files),
        bytes: Some(facts.bytes),
        files_digest: None,
        scan_identity: identity,
    };
    let chosen_by = match at {
        PinAt::Latest => "latest",
        PinAt::Version(_) => "version",
        PinAt::Timestamp(_) => "timestamp",
    };
    let table_input = TableInput::Provider(input);
    Ok(Loaded { table: table_input, kind: "delta".to_owned(), chosen_by, pinned: Some(table), content_identity: None })
}

/// Folders of files of one format.
#[derive(Debug)]
pub(super) struct ListingLoader;

#[async_trait]
impl Loader for ListingLoader {
    async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, Fault> {
        let SourceKind::Listing(source) = &request.source.kind else { return Err(request.other_kind().into()) };
        request.without_versions()?;
        let location = request.locate(&source.location)?;
        Ok(listed(TableInput::Listing { source: source.clone(), location }, "listing"))
    }
}

/// Text files.
#[derive(Debug)]
pub(super) struct TextFilesLoader;

#[async_trait]
impl Loader for TextFilesLoader {
    async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, Fault> {
        let SourceKind::TextFiles(source) = &request.source.kind else { return Err(request.other_kind().into()) };
        request.without_versions()?;
        let location = request.locate(&source.location)?;
        Ok(listed(TableInput::TextFiles { source: source.clone(), location }, "text_files"))
    }
}

fn listed(table: TableInput, kind: &str) -> Loaded {
    Loaded { table, kind: kind.to_owned(), chosen_by: "listed", pinned: None, content_identity: None }
}

/// Rows of the project.
#[derive(Debug)]
pub(super) struct RowsLoader;

#[async_trait]
impl Loader for RowsLoader {
    async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, Fault> {
        let SourceKind::Rows(source) = &request.source.kind else { return Err(request.other_kind().into()) };
        request.without_versions()?;
        let table = TableInput::Rows(source.clone());
        Ok(Loaded { table, kind: "rows".to_owned(), chosen_by: "loaded", pinned: None, content_identity: None })
    }
}
