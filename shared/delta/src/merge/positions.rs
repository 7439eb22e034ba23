//! Positions of rows in a file, as a set.

use std::fmt;

use roaring::RoaringTreemap;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scan::deletion_vector::{VectorError, parsed, serialized};

/// Positions of rows in a file, counted from 0 through the whole file. As text they are what the log would hold inline:
/// the portable bitmap in base85. Delta protocol, "Deletion Vector Format".
#[derive(Clone, Default, PartialEq)]
pub(super) struct Positions(pub(super) RoaringTreemap);

impl Positions {
    /// Adds a position; whether it was not there yet.
    pub(super) fn insert(&mut self, position: u64) -> bool {
        self.0.insert(position)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.0.len()
    }

    /// Adds those of `other`; whether none of them was there yet.
    pub(super) fn add(&mut self, other: Self) -> bool {
        let before = self.0.len() + other.0.len();
        self.0 |= other.0;
        self.0.len() == before
    }

    /// The positions as text.
    pub(super) fn to_text(&self) -> std::io::Result<String> {
        let mut bytes = serialized(&self.0)?;
        // Base85 encodes four bytes at a time; what is behind the bitmap is ignored.
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        Ok(z85::encode(&bytes))
    }

    /// What [`Positions::to_text`] has written.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let bytes = z85::decode(text).map_err(|_| "it is not base85 text".to_owned())?;
        match parsed(&bytes) {
            Ok(rows) => Ok(Self(rows)),
            Err(VectorError::Invalid(reason)) => Err(reason),
            Err(VectorError::Store(error)) => Err(error.to_string()),
        }
    }
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().take(8)).finish()?;
        if self.len() > 8 { write!(f, " of {}", self.len()) } else { Ok(()) }
    }
}

impl Serialize for Positions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text().map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_text(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
