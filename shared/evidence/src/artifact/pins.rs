//! `pins.json`: the versions that a run reads.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use windlass_base::ids::{NodeName, TableVersion};

/// Every pin of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinsRecord {
    /// The pins, by source name.
    pub pins: Vec<PinRecord>,
}

/// One source at the one state that the whole run reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PinRecord {
    /// The source.
    pub source: NodeName,
    /// Its kind: `delta`, `listing`, `text_files`.
    pub kind: String,
    /// Where it lies, without credentials.
    pub location: String,
    /// The Delta version that the run reads; none for sources without versions.
    #[serde(default)]
    pub version: Option<TableVersion>,
    /// When that version was committed.
    #[serde(default)]
    pub committed_at: Option<DateTime<Utc>>,
    /// How the version was chosen: `latest`, `version`, `timestamp`.
    pub chosen_by: String,
    /// For sources without versions, the hash of the file names, sizes and times (or content hashes) that were read.
    #[serde(default)]
    pub content_identity: Option<String>,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}
