//! What maintenance has to know about a table: plain data, from which it is decided what is done.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use windlass_base::ids::TableVersion;
use windlass_storage::Location;

/// A table at its newest version, as maintenance looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFacts {
    /// The table's root.
    pub location: Location,
    /// The table's own id.
    pub table_id: String,
    /// The newest version.
    pub version: TableVersion,
    /// The partition columns, outermost first.
    pub partition_columns: Vec<String>,
    /// The columns that rows can be laid out by: their types have an order, and they do not partition the table.
    pub sortable_columns: Vec<String>,
    /// The data files of that version, by path.
    pub files: Vec<FileFacts>,
    /// What there is of the log.
    pub log: LogFacts,
    /// Why the data files cannot be rewritten, if they cannot: a feature of the table, or that rows may only be added.
    pub frozen: Option<String>,
}

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Its path as the log has it.
    pub path: String,
    /// Its partition values, in the order of the partition columns.
    pub partition: Vec<Option<String>>,
    /// Its bytes.
    pub bytes: u64,
    /// Its rows, those that are deleted included; `None` if the log does not count them.
    pub rows: Option<u64>,
    /// How many of them a deletion vector marks as deleted; `None` if it has no deletion vector.
    pub deleted_rows: Option<u64>,
    /// The mark of the layout that a rewrite gave it, as [`layout_mark`] has it; `None` if it was not laid out.
    pub layout: Option<String>,
}

/// The commits and checkpoints of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// When each commit whose file exists was made.
    pub commits: BTreeMap<TableVersion, DateTime<Utc>>,
    /// The versions with a checkpoint.
    pub checkpoints: Vec<TableVersion>,
    /// Bytes of all files of the log.
    pub bytes: u64,
    /// The newest commit of a run of the table's own stage: what follows it must stay, since it tells how far inputs are
    /// applied. `None` if there is none.
    pub last_run: Option<TableVersion>,
    /// Whether others have changed rows since: the next run of an incremental stage reads what they changed.
    pub changed_since: bool,
}

impl LogFacts {
    /// The version that was the newest at a time: the last one that is not younger. `None` if all that there are are younger.
    pub fn version_at(&self, time: DateTime<Utc>) -> Option<TableVersion> {
        self.commits.iter().take_while(|(_, committed)| **committed <= time).last().map(|(version, _)| *version)
    }

    /// The commits after the newest checkpoint.
    pub fn since_checkpoint(&self) -> u64 {
        let last = self.checkpoints.iter().max();
        self.commits.keys().filter(|version| last.is_none_or(|last| *version > last)).count() as u64
    }
}

/// The mark that files get which are laid out by `columns`: part of their names, so that every reader of the log sees it.
pub fn layout_mark(columns: &[String]) -> String {
    let mut digest = blake3::hash(columns.join("\u{1f}").as_bytes()).to_hex().to_string();
    digest.truncate(8);
    format!("z{digest}")
}
