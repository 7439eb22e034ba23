//! Identities: what two runs must have in common for their results to be comparable.
//!
//! The types are defined here, because plans, cursors and bundles contain them; sessions and tables define what they
//! are computed from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Hexadecimal digits of an identity: 128 bits of a BLAKE3 hash.
const DIGITS: usize = 32;

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The identity of a value: a hash of its JSON. Maps in it must be sorted.
            ///
            /// # Errors
            /// If the value cannot be written as JSON.
            pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
                Ok(Self(digest(&serde_json::to_vec(value)?)))
            }

            /// 32 hexadecimal digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identity! {
    /// Everything apart from a query and its tables that determines its plan and its result: options, optimizer rules,
    /// functions and the engine's version. Equal in all processes with the same configuration.
    SessionIdentity
}
identity! {
    /// The options that affect the result of a query, but not its speed. It is the same on a cluster of any size. The
    /// engine's version and the functions are not part of it, although they affect results too.
    ResultIdentity
}
identity! {
    /// How a table is read: from where, in which format, with which schema, partition columns and sort order. Its
    /// content is not part of it.
    ScanIdentity
}

fn digest(bytes: &[u8]) -> String {
    let mut hex = blake3::hash(bytes).to_hex().to_string();
    hex.truncate(DIGITS);
    hex
}
