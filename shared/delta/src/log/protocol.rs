//! What a table's protocol asks of its readers.

use serde::Deserialize;
use windlass_storage::Location;

use crate::error::ReadError;
use crate::feature::{NEWEST_READER_VERSION, READABLE_FEATURES, REFUSED_FEATURES};

/// The part of a `protocol` action that a reader must obey.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReaderProtocol {
    pub(crate) min_reader_version: i32,
    #[serde(default)]
    pub(crate) reader_features: Option<Vec<String>>,
}

impl ReaderProtocol {
    /// Whether `feature` binds the readers of the table.
    pub(crate) fn has(&self, feature: &str) -> bool {
        self.reader_features.iter().flatten().any(|name| name == feature)
    }

    /// Whether columns may be mapped: reader version 2, or the feature by name.
    pub(crate) fn maps_columns(&self) -> bool {
        self.min_reader_version == 2 || self.has("columnMapping")
    }

    /// Refuses what cannot be read rightly.
    ///
    /// # Errors
    /// [`ReadError::InvalidLog`] for a version below 1, [`ReadError::ReaderVersion`] for one above
    /// [`NEWEST_READER_VERSION`], [`ReadError::Feature`] naming the first feature that is not read.
    pub(crate) fn check(&self, location: &Location) -> Result<(), ReadError> {
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
