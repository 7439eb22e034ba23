//! Loaders and savers by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_base::ids::NodeName;
use windlass_project::spec::source::{PinAt, SourceKind};
use windlass_storage::Location;

use super::error::ConnectorError;
use super::file_saver::{ExportFormat, FilesSaver};
use super::loaders::{
    DeltaLoader, ListingLoader, LoadRequest, Loaded, Loader, RowsLoader, TextFilesLoader, load_table,
};
use super::savers::Saver;
use crate::session::Sessions;

/// The loaders and savers of a process.
#[derive(Debug, Clone)]
pub struct ConnectorRegistry {
    /// By the kind of sources that they open.
    kinds: BTreeMap<&'static str, Arc<dyn Loader>>,
    /// The loaders of `custom` sources, by name.
    loaders: BTreeMap<String, Arc<dyn Loader>>,
    savers: BTreeMap<String, Arc<dyn Saver>>,
}

impl ConnectorRegistry {
    /// The standard connectors: sources `delta`, `listing`, `text_files` and `rows`; and exports as `parquet`, `csv`,
    /// `json` and `arrow`.
    pub fn standard() -> Self {
        let kinds: [(&'static str, Arc<dyn Loader>); 4] = [
            ("delta", Arc::new(DeltaLoader)),
            ("listing", Arc::new(ListingLoader)),
            ("text_files", Arc::new(TextFilesLoader)),
            ("rows", Arc::new(RowsLoader)),
        ];
        let savers = ExportFormat::ALL.map(|format| {
            let saver: Arc<dyn Saver> = Arc::new(FilesSaver::new(format));
            (format.name().to_owned(), saver)
        });
        Self { kinds: kinds.into(), loaders: BTreeMap::new(), savers: savers.into() }
    }

    /// Adds a loader for sources with `kind: custom` and `loader: <name>`.
    #[must_use]
    pub fn with_loader(mut self, name: impl Into<String>, loader: Arc<dyn Loader>) -> Self {
        self.loaders.insert(name.into(), loader);
        self
    }

    /// Adds a saver for exports with `saver: <name>`. A saver with the name of a format replaces it.
    #[must_use]
    pub fn with_saver(mut self, name: impl Into<String>, saver: Arc<dyn Saver>) -> Self {
        self.savers.insert(name.into(), saver);
        self
    }

    /// Opens a source.
    ///
    /// # Errors
    /// [`ConnectorError`] if there is no loader for it, or what the loader says.
    pub async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, ConnectorError> {
        let name = request.name().clone();
        let found = match &request.source.kind {
            SourceKind::Custom(source) => self.loaders.get(&source.loader),
            kind => self.kinds.get(kind.name()),
        };
        let loader = request.source.kind.name().to_owned();
        let Some(found) = found else {
            return Err(ConnectorError::NoLoader { name, loader, known: self.loaders.keys().cloned().collect() });
        };
        found.load(request).await.map_err(|fault| match fault.downcast::<ConnectorError>() {
            Ok(error) => *error,
            Err(source) => ConnectorError::Load { name, loader, source },
        })
    }

    /// Opens the Delta table at `location`, at one version.
    ///
    /// # Errors
    /// [`ConnectorError::Pin`] if there is no such table or version, or if it cannot be read.
    pub async fn load_table(
        &self,
        sessions: &Sessions,
        name: &NodeName,
        location: &Location,
        at: PinAt,
    ) -> Result<Loaded, ConnectorError> {
        load_table(sessions, name, location, at).await
    }

    /// The saver of that name, for an export of the stage `name`.
    ///
    /// # Errors
    /// [`ConnectorError::NoSaver`] if there is none.
    pub fn saver(&self, name: &NodeName, saver: &str) -> Result<&Arc<dyn Saver>, ConnectorError> {
        self.savers.get(saver).ok_or_else(|| ConnectorError::NoSaver {
            name: name.clone(),
            saver: saver.to_owned(),
            known: self.savers.keys().cloned().collect(),
        })
    }
}
