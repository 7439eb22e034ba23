//! What a home remembers of the folder of an export.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use windlass_base::ids::{NodeName, PipelineName, RunId, TableVersion};
use windlass_storage::{Location, Stores};

use super::error::ExportError;

/// The format that is written, and the greatest that is read.
const FORMAT: u32 = 2;

/// What a folder holds: a version of a table, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exported {
    pub(crate) pipeline: PipelineName,
    pub(crate) stage: NodeName,
    pub(crate) export: String,
    /// Where the table is, and its id: another table has versions of the same numbers.
    pub(crate) table: String,
    pub(crate) table_id: Option<String>,
    pub(crate) version: TableVersion,
    pub(crate) saver: String,
    pub(crate) location: String,
    pub(crate) options: BTreeMap<String, String>,
}

/// Who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The target; none is the project without one.
    pub(crate) target: Option<String>,
    pub(crate) run: RunId,
}

/// A file as it was when it had been written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ExportedFile {
    pub(super) name: String,
    bytes: u64,
    modified: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    e_tag: Option<String>,
}

impl ExportedFile {
    /// The file as its store tells of it.
    pub(super) fn of(name: &str, found: &ObjectMeta) -> Self {
        Self { name: name.to_owned(), bytes: found.size, modified: found.last_modified, e_tag: found.e_tag.clone() }
    }

    /// Whether a file of that name is still this one. Copies keep at least one of time and tag.
    pub(super) fn is(&self, found: &ObjectMeta) -> bool {
        let same_tag = self.e_tag.is_some() && self.e_tag == found.e_tag;
        self.bytes == found.size && (same_tag || self.modified == found.last_modified)
    }
}

/// What a home remembers of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FolderRecord {
    format: u32,
    /// What is there; nothing if the first export to the folder has not come to its end.
    pub(super) exported: Option<Exported>,
    pub(super) written_by: Option<Mark>,
    pub(super) files: Vec<ExportedFile>,
    /// Files of earlier versions, which are to be removed.
    #[serde(default)]
    pub(super) replaced: Vec<ExportedFile>,
    /// Names of files that were begun. No other file ever has one of them.
    #[serde(default)]
    pub(super) begun: Vec<String>,
}

impl Default for FolderRecord {
    fn default() -> Self {
        Self {
            format: FORMAT,
            exported: None,
            written_by: None,
            files: Vec::new(),
            replaced: Vec::new(),
            begun: Vec::new(),
        }
    }
}

impl FolderRecord {
    /// The record at `place`, which is of `folder`; an empty one if there is none.
    pub(super) async fn read(stores: &Stores, place: &Location, folder: &Location) -> Result<Self, ExportError> {
        let Some(bytes) = get(stores, place).await? else { return Ok(Self::default()) };
        let unreadable = |source| ExportError::Record { folder: folder.to_string(), record: place.to_string(), source };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let found = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or_default();
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        if found > FORMAT {
            let (folder, record) = (folder.to_string(), place.to_string());
            return Err(ExportError::LaterRecord { folder, record, found });
        }
        serde_json::from_value(value).map_err(unreadable)
    }

    pub(super) async fn write(&self, stores: &Stores, place: &Location) -> Result<(), ExportError> {
        // It is made of texts and numbers: there is nothing in it that JSON refuses.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        stores.store(place)?.put(&place.path()?, PutPayload::from(bytes)).await?;
        Ok(())
    }
}

/// What earlier versions of Windlass remembered of an export: no names of files, but its version, and with it the name of
/// the one file.
#[derive(Debug, Deserialize)]
struct FormerMark {
    version: TableVersion,
    saver: String,
    location: String,
}

/// The version of which an earlier version of Windlass has exported a file, and when it had been written at the latest.
pub(super) async fn former(
    stores: &Stores,
    place: &Location,
    saver: &str,
    location: &Location,
) -> Result<Option<(TableVersion, DateTime<Utc>)>, ExportError> {
    let found = match stores.store(place)?.get(&place.path()?).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let written = found.meta.last_modified;
    // What cannot be read proves nothing.
    let mark: Option<FormerMark> = serde_json::from_slice(&found.bytes().await?).ok();
    let mark = mark.filter(|mark| mark.saver == saver && mark.location == location.to_string());
    Ok(mark.map(|mark| (mark.version, written)))
}

async fn get(stores: &Stores, place: &Location) -> Result<Option<bytes::Bytes>, ExportError> {
    match stores.store(place)?.get(&place.path()?).await {
        Ok(found) => Ok(Some(found.bytes().await?)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
