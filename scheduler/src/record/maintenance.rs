//! What a home keeps of maintenance: the record of each turn, what is remembered of each table, and the pins and tags that
//! people set.
//!
//! ```text
//! <home>/maintenance/<turn>.json            a MaintenanceRecord
//!       /maintenance/tables/<table>.json    a TableMemory
//!       /marks/<name>.json                  a VersionMark
//! ```

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use windlass_base::failpoint;
use windlass_base::ids::{RunId, TableVersion};
use windlass_evidence::artifact::{MAINTENANCE_FORMAT, MaintenanceRecord, VersionMark, segment};

use super::store::{BundleStore, failed, malformed};
use windlass_evidence::bundle::RecordError;

/// The folder of the records of turns.
const TURNS: &str = "maintenance";
/// The folder of the pins and tags.
const MARKS: &str = "marks";

/// What is remembered of a table from one turn to the next. It only saves work: without it more is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMemory {
    /// When its folder was last listed for files that no log names.
    #[serde(default)]
    pub last_full_vacuum: Option<DateTime<Utc>>,
    /// The version up to which all files that commits name were looked at, and removed unless they were needed for ever.
    #[serde(default)]
    pub vacuumed_through: Option<TableVersion>,
}

impl BundleStore {
    /// Writes the record of a turn.
    pub async fn write_maintenance(&self, record: &MaintenanceRecord) -> Result<(), RecordError> {
        failpoint!("maintain.record.before");
        self.put_json(&turn_path(&record.turn), record).await?;
        failpoint!("maintain.record.after");
        Ok(())
    }

    /// The turns that have a record, in no order.
    pub async fn maintenance_turns(&self) -> Result<Vec<RunId>, RecordError> {
        let listed = self.objects().list_with_delimiter(Some(&self.path(TURNS))).await;
        let listed = listed.map_err(|source| failed(TURNS, source))?;
        let turn = |name: &str| name.strip_suffix(".json").map(RunId::from);
        Ok(listed.objects.iter().filter_map(|file| turn(file.location.filename()?)).collect())
    }

    /// The record of a turn, if there is one.
    pub async fn maintenance(&self, turn: &RunId) -> Result<Option<MaintenanceRecord>, RecordError> {
        let record: Option<MaintenanceRecord> = self.get_json(&turn_path(turn)).await?;
        match record.as_ref().map(|record| record.format) {
            Some(found) if found > MAINTENANCE_FORMAT => {
                Err(RecordError::Format { run_id: turn.clone(), found, supported: MAINTENANCE_FORMAT })
            }
            _ => Ok(record),
        }
    }

    /// What is remembered of the table that goes by `key`.
    pub async fn table_memory(&self, key: &str) -> Result<TableMemory, RecordError> {
        Ok(self.get_json(&memory_path(key)).await?.unwrap_or_default())
    }

    /// Remembers something of the table that goes by `key`.
    pub async fn write_table_memory(&self, key: &str, memory: &TableMemory) -> Result<(), RecordError> {
        failpoint!("maintain.memory.before");
        self.put_json(&memory_path(key), memory).await?;
        failpoint!("maintain.memory.after");
        Ok(())
    }

    /// The pins and tags, by name.
    pub async fn marks(&self) -> Result<Vec<VersionMark>, RecordError> {
        let folder = self.path(MARKS);
        let listed: Vec<_> =
            self.objects().list(Some(&folder)).try_collect().await.map_err(|source| failed(MARKS, source))?;
        let mut marks = Vec::with_capacity(listed.len());
        for file in listed {
            let Some(name) = file.location.filename() else { continue };
            // Gone since it was listed.
            let Some(mark) = self.get_json::<VersionMark>(&format!("{MARKS}/{name}")).await? else { continue };
            marks.push(mark);
        }
        marks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(marks)
    }

    /// Writes a pin or tag unless its name is taken; gives the one that has it then.
    pub async fn create_mark(&self, mark: &VersionMark) -> Result<Result<(), VersionMark>, RecordError> {
        let path = mark_path(&mark.name);
        let json = serde_json::to_vec_pretty(mark).map_err(|source| malformed(&path, source))?;
        let only_new = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects().put_opts(&self.path(&path), json.into(), only_new).await {
            Ok(_) => Ok(Ok(())),
            Err(object_store::Error::AlreadyExists { .. }) => match self.get_json::<VersionMark>(&path).await? {
                // The answer to an earlier put of the same was lost.
                Some(found) if found == *mark => Ok(Ok(())),
                Some(found) => Ok(Err(found)),
                None => Err(failed(&path, object_store::Error::NotFound { path: path.clone(), source: "gone".into() })),
            },
            Err(source) => Err(failed(&path, source)),
        }
    }

    /// Removes a pin or tag; gives what it was, if it existed.
    pub async fn remove_mark(&self, name: &str) -> Result<Option<VersionMark>, RecordError> {
        let path = mark_path(name);
        let Some(mark) = self.get_json::<VersionMark>(&path).await? else { return Ok(None) };
        match self.objects().delete(&self.path(&path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(Some(mark)),
            Err(source) => Err(failed(&path, source)),
        }
    }
}

fn turn_path(turn: &RunId) -> String {
    format!("{TURNS}/{}.json", segment(turn.as_str()))
}

fn memory_path(key: &str) -> String {
    format!("{TURNS}/tables/{}.json", segment(key))
}

fn mark_path(name: &str) -> String {
    format!("{MARKS}/{}.json", segment(name))
}
