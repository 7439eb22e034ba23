//! One folder of an export: what is in it, whose that is, and what may go.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use windlass_storage::{Location, Stores};

use super::check::ExportPlace;
use super::error::ExportError;
use super::name::{former_name, is_of_an_export};
use super::record::{self, Exported, ExportedFile, FolderRecord, Mark};

/// A folder with what the home remembers of it.
pub(crate) struct ExportFolder<'p> {
    place: &'p ExportPlace,
    stores: Arc<Stores>,
    store: Arc<dyn ObjectStore>,
    path: StorePath,
    record: FolderRecord,
    /// The files directly in it when it was opened.
    found: BTreeMap<String, ObjectMeta>,
    /// Where an earlier version of Windlass has remembered the export, if it has.
    former: Option<Location>,
}

impl<'p> ExportFolder<'p> {
    /// Looks into the folder and its record.
    pub(crate) async fn open(place: &'p ExportPlace, stores: &Arc<Stores>) -> Result<Self, ExportError> {
        let store = stores.store(&place.folder)?;
        let path = place.folder.path()?;
        let mut record = FolderRecord::read(stores, &place.record, &place.folder).await?;
        let found = files_in(store.as_ref(), &path).await?;
        let former = record::former(stores, &place.former_record, &place.saver, &place.location).await?;
        if let Some((version, written)) = former {
            let name = former_name(version, &place.saver);
            // Its record was written when the file was there; what was added later is somebody else's.
            if let Some(file) = found.get(&name).filter(|file| file.last_modified <= written)
                && !record.replaced.iter().any(|known| known.name == name)
            {
                record.replaced.push(ExportedFile::of(&name, file));
            }
        }
        let former = former.map(|_| place.former_record.clone());
        Ok(Self { place, stores: Arc::clone(stores), store, path, record, found, former })
    }

    /// Whether the folder holds just that.
    pub(crate) fn holds(&self, wanted: &Exported) -> bool {
        self.record.exported.as_ref() == Some(wanted)
            && self.record.files.iter().all(|file| self.found.get(&file.name).is_some_and(|found| file.is(found)))
    }

    /// Refuses a folder with files of another export, or with files of this one that somebody has changed: readers would
    /// take both for its rows.
    pub(crate) fn check(&self) -> Result<(), ExportError> {
        let (export, folder) = (self.place.words(), self.place.folder.to_string());
        let record = &self.record;
        if let Some(other) = record.exported.as_ref().filter(|other| other.pipeline != self.place.pipeline) {
            let file = record.files.iter().find(|file| self.found.contains_key(&file.name));
            if let Some(file) = file.map(|file| file.name.clone()) {
                let of =
                    format!("the export `{}` of `{}` in the pipeline `{}`", other.export, other.stage, other.pipeline);
                return Err(ExportError::Foreign { export, folder, file, of });
            }
        }
        let changed = |file: &&ExportedFile| self.found.get(&file.name).is_some_and(|found| !file.is(found));
        if let Some(file) = record.files.iter().chain(&record.replaced).find(changed) {
            return Err(ExportError::Changed { export, folder, file: file.name.clone() });
        }
        let is_known = |name: &String| {
            let files = record.files.iter().chain(&record.replaced).map(|file| &file.name);
            files.chain(&record.begun).any(|known| known == name)
        };
        match self.found.keys().find(|name| is_of_an_export(name) && !is_known(name)) {
            Some(file) => {
                let of = "an export that this home has no record of".to_owned();
                Err(ExportError::Foreign { export, folder, file: file.clone(), of })
            }
            None => Ok(()),
        }
    }

    /// Files that are not the export's and that its readers may take for a part of it.
    pub(crate) fn others(&self) -> Vec<&str> {
        let record = &self.record;
        let is_known = |name: &str| {
            let mut files = record.files.iter().chain(&record.replaced);
            files.any(|file| file.name == name) || record.begun.iter().any(|known| known == name)
        };
        let is_read = |name: &&str| {
            let extension = name.rsplit_once('.').map(|(_, extension)| extension);
            !name.starts_with(['.', '_']) && extension == Some(self.place.saver.as_str())
        };
        self.found.keys().map(String::as_str).filter(is_read).filter(|name| !is_known(name)).collect()
    }

    /// Remembers that a file of that name is about to be written. Until then, and until it is whole, nothing changes for
    /// readers.
    pub(crate) async fn begin(&mut self, file: &str) -> Result<(), ExportError> {
        let mut begun = std::mem::take(&mut self.record.begun);
        begun.retain(|name| self.found.contains_key(name) || !self.pieces(name).is_empty());
        begun.push(file.to_owned());
        self.record.begun = begun;
        self.record.replaced.retain(|old| self.found.contains_key(&old.name));
        self.record.write(&self.stores, &self.place.record).await
    }

    /// Remembers that the file is there, and whose it is.
    pub(crate) async fn complete(&mut self, file: Option<&str>, now: Exported, by: Mark) -> Result<(), ExportError> {
        let mut files = Vec::new();
        if let Some(name) = file {
            // As lists tell of it: some stores say times and tags otherwise when asked for one file.
            let found = files_in(self.store.as_ref(), &self.path).await?;
            let path = self.path.clone().join(name).to_string();
            let missing = || object_store::Error::NotFound { path, source: "the file is not listed".into() };
            files.push(ExportedFile::of(name, found.get(name).ok_or_else(missing)?));
            self.record.begun.retain(|begun| begun != name);
        }
        let former = std::mem::replace(&mut self.record.files, files);
        self.record.replaced.extend(former);
        self.record.exported = Some(now);
        self.record.written_by = Some(by);
        self.record.write(&self.stores, &self.place.record).await
    }

    /// Removes the files of earlier versions, and what was begun and not completed.
    pub(crate) async fn tidy(&self) -> Result<(), ExportError> {
        let proven = self.record.replaced.iter().filter(|old| self.found.get(&old.name).is_some_and(|it| old.is(it)));
        let begun = self.record.begun.iter().filter(|name| self.found.contains_key(*name));
        for name in proven.map(|old| &old.name).chain(begun) {
            match self.store.delete(&self.path.clone().join(name.as_str())).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for name in &self.record.begun {
            self.remove_pieces(name);
        }
        if let Some(former) = &self.former {
            match self.stores.store(former)?.delete(&former.path()?).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What a store on a disk has left of a file when its process was killed: `NAME#1` and so on, which no reader sees.
    fn pieces(&self, name: &str) -> Vec<std::path::PathBuf> {
        let Some(folder) = self.place.folder.local_path() else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let is_piece = |entry: &std::fs::DirEntry| {
            let file = entry.file_name();
            let number = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('#').map(str::to_owned));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        entries.flatten().filter(is_piece).map(|entry| entry.path()).collect()
    }

    fn remove_pieces(&self, name: &str) {
        for piece in self.pieces(name) {
            if let Err(error) = std::fs::remove_file(&piece) {
                tracing::debug!(piece = %piece.display(), %error, "a piece of a file that was begun is left");
            }
        }
    }
}

/// The files directly in a folder, by name.
async fn files_in(store: &dyn ObjectStore, folder: &StorePath) -> Result<BTreeMap<String, ObjectMeta>, ExportError> {
    let listed = store.list_with_delimiter(Some(folder)).await?.objects.into_iter();
    Ok(listed.filter_map(|file| Some((file.location.filename()?.to_owned(), file))).collect())
}
