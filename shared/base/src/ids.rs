//! Identifiers as distinct types, so that a stage's name is never passed as a run's id.
//!
//! Ids from other processes are parsed ([`RunId::parse`], [`EngineJobId::parse`], …), because they become parts of
//! paths; [`received`] defines what is accepted.

pub mod received;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use received::Refused;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text that is known to be valid.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text of the identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

text_id! {
    /// The name of a project's pipeline, as `windlass.yaml` gives it.
    PipelineName
}
text_id! {
    /// The name of a node of the pipeline: a source or a stage. It is also the table's name in SQL.
    NodeName
}
text_id! {
    /// One run of a pipeline. Ids sort by creation time.
    RunId
}
text_id! {
    /// A job of the engine, as named by its scheduler. The files of a job are in a folder of that name, so received
    /// texts must be converted with [`EngineJobId::parse`].
    EngineJobId
}
text_id! {
    /// The `appId` of a stage's Delta transactions: `pipeline/stage`.
    ///
    /// Delta protocol, "Transaction Identifiers".
    AppId
}

impl RunId {
    /// A new id that sorts after every earlier one (UUID version 7).
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().simple().to_string())
    }

    /// When an id of [`RunId::generate`] was made, in milliseconds since 1970; `None` for others.
    pub fn made_at_ms(&self) -> Option<i64> {
        Self::parse(&self.0).ok()?;
        i64::from_str_radix(self.0.get(..12)?, 16).ok()
    }

    /// Parses an id of [`RunId::generate`] received from another process.
    ///
    /// # Errors
    /// [`Refused`] for anything else, which could name other files.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match is_id {
            true => Ok(Self(text.to_owned())),
            false => Err(Refused::new("id of a run", text, "it has 32 digits out of 0 to 9 and a to f")),
        }
    }
}

impl EngineJobId {
    /// Parses an id received in a message of the engine.
    ///
    /// # Errors
    /// [`Refused`] if it could be more than the name of one folder.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        received::check_id(text).map_err(|reason| Refused::new("id of a job", text, reason))?;
        Ok(Self(text.to_owned()))
    }
}

impl PipelineName {
    /// Parses a pipeline name received in a request.
    ///
    /// # Errors
    /// [`Refused`] for anything else, which could name other folders.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        received::check_id(text).map_err(|reason| Refused::new("name of a pipeline", text, reason))?;
        Ok(Self(text.to_owned()))
    }
}

impl AppId {
    /// The application id under which `stage` of `pipeline` commits.
    pub fn of(pipeline: &PipelineName, stage: &NodeName) -> Self {
        Self(format!("{pipeline}/{stage}"))
    }
}

/// The version of a Delta table.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct TableVersion(pub u64);

impl fmt::Display for TableVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a pipeline's run, counted by the state store: the `version` of its Delta transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RunSequence(pub i64);

impl fmt::Display for RunSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
