//! Whether exports may go where the project says, by where that really is.

use std::sync::Arc;

use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path as StorePath;
use windlass_base::ids::{NodeName, PipelineName, TableVersion};
use windlass_engine::session::Sessions;
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::table::{Export, Materialize};
use windlass_storage::{Location, StorageError, Stores};

use super::error::ExportError;
use super::folder::ExportFolder;
use super::record::Exported;
use crate::home::Home;

/// The folder of a table's log.
const DELTA_LOG: &str = "_delta_log";
/// As many files below a folder are looked at.
const LOOKED_AT: usize = 10_000;

/// Where an export goes.
#[derive(Debug, Clone)]
pub(crate) struct ExportPlace {
    pub(crate) pipeline: PipelineName,
    stage: NodeName,
    export: String,
    pub(super) saver: String,
    /// The location as the project says it.
    pub(crate) location: Location,
    /// The folder that it is, links followed.
    pub(super) folder: Location,
    /// What the home remembers of the folder.
    pub(super) record: Location,
    /// What earlier versions of Windlass remembered of the export.
    pub(super) former_record: Location,
}

impl ExportPlace {
    /// Where an export of a stage goes.
    ///
    /// # Errors
    /// [`StorageError`] if its location is none.
    pub(crate) fn of(
        graph: &PipelineGraph,
        stage: &NodeName,
        export: &Export,
        base: &Location,
        home: &Home,
    ) -> Result<Self, StorageError> {
        let location = base.resolve(&export.location)?;
        let folder = location.real();
        Ok(Self {
            pipeline: graph.name.clone(),
            stage: stage.clone(),
            export: export.name.clone(),
            saver: export.saver.clone(),
            record: home.export_record(&folder),
            former_record: home.former_export_record(stage, &export.name),
            location,
            folder,
        })
    }

    /// What the folder contains once the export is there as `version` of the table at `table` with the id `table_id`.
    pub(crate) fn exported(
        &self,
        export: &Export,
        table: &str,
        table_id: Option<&str>,
        version: TableVersion,
    ) -> Exported {
        Exported {
            pipeline: self.pipeline.clone(),
            stage: self.stage.clone(),
            export: self.export.clone(),
            table: table.to_owned(),
            table_id: table_id.map(str::to_owned),
            version,
            saver: self.saver.clone(),
            location: self.location.to_string(),
            options: export.options.clone(),
        }
    }

    pub(super) fn words(&self) -> String {
        format!("the export `{}` of `{}`", self.export, self.stage)
    }

    fn in_the_way(&self, what: impl Into<String>, place: &Location) -> ExportError {
        ExportError::InTheWay {
            export: self.words(),
            folder: self.folder.to_string(),
            what: what.into(),
            place: place.to_string(),
        }
    }

    /// A path of the folder's store as people write it.
    fn shown(&self, path: &StorePath) -> String {
        let root = self.folder.store_url().map(|root| root.as_str().to_owned()).unwrap_or_default();
        format!("{}{path}", root.strip_prefix("file://").unwrap_or(&root))
    }

    /// Refuses a folder in which, around which or below which there is a Delta table.
    ///
    /// # Errors
    /// [`ExportError`].
    pub(crate) async fn check_tables(&self, stores: &Stores) -> Result<(), ExportError> {
        let store = stores.store(&self.folder)?;
        let path = self.folder.path()?;
        let table = match table_above(store.as_ref(), &path).await? {
            Some(table) => Some(table),
            None => table_below(store.as_ref(), &path).await?,
        };
        match table {
            Some(table) => Err(ExportError::InTheWay {
                export: self.words(),
                folder: self.folder.to_string(),
                what: "a Delta table".to_owned(),
                place: format!("in `{}`", self.shown(&table)),
            }),
            None => Ok(()),
        }
    }
}

/// Refuses exports of the project that may not go where it says: those of `selected` are looked at where they are.
///
/// A store that cannot be reached prevents no plan: the export itself reports the error.
///
/// # Errors
/// [`ExportError`].
pub(crate) async fn check(
    graph: &PipelineGraph,
    base: &Location,
    home: &Home,
    sessions: &Sessions,
    selected: impl Fn(&NodeName) -> bool,
) -> Result<(), ExportError> {
    let places = places(graph, base, home, sessions)?;
    check_places(graph, base, home, &places)?;
    let stores: &Arc<Stores> = sessions.stores();
    for place in places.iter().filter(|place| selected(&place.stage)) {
        let looked = async {
            place.check_tables(stores).await?;
            ExportFolder::open(place, stores).await?.check()
        };
        match looked.await {
            Err(ExportError::Store(error)) => {
                tracing::warn!(%error, folder = %place.folder, "the folder of an export cannot be looked at yet");
            }
            looked => looked?,
        }
    }
    Ok(())
}

/// Where every export goes that is files.
fn places(
    graph: &PipelineGraph,
    base: &Location,
    home: &Home,
    sessions: &Sessions,
) -> Result<Vec<ExportPlace>, ExportError> {
    let tables = graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
    let exports = tables.flat_map(|stage| stage.table.exports.iter().map(move |export| (stage, export)));
    let is_files = |stage: &Stage, export: &Export| {
        sessions.connectors().saver(&stage.name, &export.saver).is_ok_and(|saver| saver.file_name("x").is_some())
    };
    let files = exports.filter(|(stage, export)| is_files(stage, export));
    files.map(|(stage, export)| Ok(ExportPlace::of(graph, &stage.name, export, base, home)?)).collect()
}

/// What is wrong by the places alone.
fn check_places(
    graph: &PipelineGraph,
    base: &Location,
    home: &Home,
    places: &[ExportPlace],
) -> Result<(), ExportError> {
    if places.is_empty() {
        return Ok(());
    }
    let home = home.root().real();
    let located = graph.stages.iter().filter_map(|stage| Some((&stage.name, stage.table.location.as_deref()?)));
    let tables: Vec<(&NodeName, Location)> =
        located.filter_map(|(name, text)| Some((name, base.resolve(text).ok()?.real()))).collect();
    for (index, place) in places.iter().enumerate() {
        if place.folder.touches(&home) {
            return Err(place.in_the_way("the home", &home));
        }
        if let Some((name, table)) = tables.iter().find(|(_, table)| place.folder.touches(table)) {
            return Err(place.in_the_way(format!("the table `{name}`"), table));
        }
        if let Some(other) = places[index + 1..].iter().find(|other| place.folder.touches(&other.folder)) {
            let (export, other, folder) = (place.words(), other.words(), place.folder.to_string());
            return Err(ExportError::Twice { export, other, folder });
        }
    }
    Ok(())
}

/// The folder of a table that holds `path` or is it.
async fn table_above(store: &dyn ObjectStore, path: &StorePath) -> Result<Option<StorePath>, ExportError> {
    let parts: Vec<_> = path.parts().collect();
    for depth in (0..=parts.len()).rev() {
        let folder = StorePath::from_iter(parts[..depth].iter().cloned());
        if !is_empty(store, &folder.clone().join(DELTA_LOG)).await? {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// The folder of a table somewhere below `path`.
async fn table_below(store: &dyn ObjectStore, path: &StorePath) -> Result<Option<StorePath>, ExportError> {
    let mut files = store.list(Some(path)).take(LOOKED_AT);
    while let Some(file) = files.next().await {
        let location = match file {
            Ok(file) => file.location,
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let parts: Vec<_> = location.parts().collect();
        if let Some(depth) = parts.iter().position(|part| part.as_ref() == DELTA_LOG) {
            return Ok(Some(StorePath::from_iter(parts[..depth].iter().cloned())));
        }
    }
    Ok(None)
}

async fn is_empty(store: &dyn ObjectStore, folder: &StorePath) -> Result<bool, ExportError> {
    match store.list(Some(folder)).next().await {
        None | Some(Err(object_store::Error::NotFound { .. })) => Ok(true),
        Some(Ok(_)) => Ok(false),
        Some(Err(error)) => Err(error.into()),
    }
}
