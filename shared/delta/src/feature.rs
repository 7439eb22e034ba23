//! The table features that Windlass reads, and those that it refuses by name.
//!
//! Only *reader* features decide whether a table can be read (Delta protocol, "Table Features"): a feature that is
//! listed for writers alone changes nothing about the rows of a snapshot.

use serde::Deserialize;
use windlass_storage::Location;

use super::read_error::ReadError;

/// The newest reader version whose meaning is known: version 3 lists its features by name.
pub(super) const NEWEST_READER_VERSION: i32 = 3;

/// The reader features that a scan honours.
pub const READABLE_FEATURES: [&str; 6] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    // An older spelling of `timestampNtz` that some tables carry.
    "timestampWithoutTimezone",
    "v2Checkpoint",
    // Binds those who vacuum, not those who read.
    "vacuumProtocolCheck",
];

/// The reader features that are known and refused, and what to do about each.
pub const REFUSED_FEATURES: [(&str, &str); 11] = [
    ("typeWidening", WIDENING),
    ("typeWidening-preview", WIDENING),
    ("variantType", VARIANT),
    ("variantType-preview", VARIANT),
    ("variantShredding", VARIANT),
    ("variantShredding-preview", VARIANT),
    ("catalogManaged", CATALOG),
    ("catalogOwned-preview", CATALOG),
    ("timestampNanos", "store the column as timestamp (microseconds) and rewrite the table"),
    ("geospatial", "store geometry and geography columns as binary or string in a copy of the table"),
    ("adaptiveMetadata-preview", "drop the feature with the engine that added it"),
];

const WIDENING: &str = "with the engine that widened the column, run `ALTER TABLE … DROP FEATURE typeWidening`, which rewrites the old files";
const VARIANT: &str = "copy the table with its variant columns cast to string, and read the copy";
const CATALOG: &str = "its newest commits are known to its catalog alone; read a copy, or give the table back to the file system with the engine that owns it";

/// The part of a `protocol` action that a reader must obey.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReaderProtocol {
    pub(super) min_reader_version: i32,
    #[serde(default)]
    pub(super) reader_features: Option<Vec<String>>,
}

impl ReaderProtocol {
    /// Whether `feature` binds the readers of the table.
    pub(super) fn has(&self, feature: &str) -> bool {
        self.reader_features.iter().flatten().any(|name| name == feature)
    }

    /// Whether columns may be mapped: reader version 2, or the feature by name.
    pub(super) fn maps_columns(&self) -> bool {
        self.min_reader_version == 2 || self.has("columnMapping")
    }

    /// Refuses what cannot be read rightly.
    ///
    /// # Errors
    /// [`ReadError::InvalidLog`] for a version below 1, [`ReadError::ReaderVersion`] for one above
    /// [`NEWEST_READER_VERSION`], [`ReadError::Feature`] naming the first feature that is not read.
    pub(super) fn check(&self, location: &Location) -> Result<(), ReadError> {
        if self.min_reader_version < 1 {
            return Err(ReadError::InvalidLog {
                location: location.to_string(),
                reason: format!("its protocol asks for reader version {}", self.min_reader_version),
            });
        }
        if self.min_reader_version > NEWEST_READER_VERSION {
            return Err(ReadError::ReaderVersion { location: location.to_string(), version: self.min_reader_version });
        }
        let unknown = self.reader_features.iter().flatten().find(|name| !READABLE_FEATURES.contains(&name.as_str()));
        match unknown {
            None => Ok(()),
            Some(name) => Err(ReadError::Feature {
                location: location.to_string(),
                feature: name.clone(),
                advice: REFUSED_FEATURES.iter().find(|(known, _)| known == name).map(|(_, advice)| *advice),
            }),
        }
    }
}
