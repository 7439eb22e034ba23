//! What `windlass clean` finds in a home besides the tables of the project, and what it removes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_base::error::Failure;
use windlass_base::ids::PipelineName;

/// The format of [`CleanRecord`].
pub const CLEAN_FORMAT: u32 = 1;

/// A cleaning of a home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanRecord {
    /// [`CLEAN_FORMAT`].
    pub format: u32,
    /// The pipeline whose leftovers were looked for.
    pub pipeline: PipelineName,
    /// The home.
    pub home: String,
    /// Whether nothing was to be removed.
    pub dry_run: bool,
    /// What was found, by kind and name.
    pub items: Vec<CleanItem>,
    /// What the items come to.
    pub totals: CleanTotals,
}

/// Something that no run, reader or table needs any more, or that might be such a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanItem {
    /// What it is.
    pub kind: CleanKind,
    /// Its name: the id of a run, or the name of a folder.
    pub name: String,
    /// Where it is.
    pub location: String,
    /// Files or, in the state store, keys.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why it is not needed, or why it stays.
    pub reason: String,
    /// Whether it is to be removed; what is not is listed for the user's decision.
    pub due: bool,
    /// Whether it was removed.
    pub removed: bool,
    /// Why it was not removed, if that was tried; what is left of it is removed the next time.
    pub failure: Option<Failure>,
}

/// What can be left in a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CleanKind {
    /// The bundle of a run that has ended.
    RunBundle,
    /// What a killed run kept for itself.
    Cache,
    /// The plan and the events of a killed run, in the state store.
    RunEvents,
    /// The lease of a killed process, in the state store.
    Lease,
    /// The shuffle and spill files of a killed process.
    WorkFolder,
    /// What a query of a killed process has spilled.
    Spill,
    /// A table that no stage of the project writes.
    Table,
}

impl CleanKind {
    /// Its name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunBundle => "run bundle",
            Self::Cache => "cache",
            Self::RunEvents => "run events",
            Self::Lease => "lease",
            Self::WorkFolder => "work folder",
            Self::Spill => "spill",
            Self::Table => "table",
        }
    }
}

/// What the items of a cleaning come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanTotals {
    /// Those that are to be removed.
    pub due: CleanTotal,
    /// Those that were removed.
    pub removed: CleanTotal,
    /// Those that are listed only.
    pub kept: CleanTotal,
}

/// What some items come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CleanTotal {
    /// How many.
    pub items: u64,
    /// Their files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl CleanTotals {
    /// What `items` come to.
    pub fn of(items: &[CleanItem]) -> Self {
        let total = |counts: fn(&CleanItem) -> bool| {
            items.iter().filter(|item| counts(item)).fold(CleanTotal::default(), |total, item| CleanTotal {
                items: total.items + 1,
                files: total.files + item.files,
                bytes: total.bytes + item.bytes,
            })
        };
        Self { due: total(|item| item.due), removed: total(|item| item.removed), kept: total(|item| !item.due) }
    }
}
