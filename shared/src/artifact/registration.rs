//! `registrations.json`: every table as the sessions of the run came to know it.

use serde::{Deserialize, Serialize};

use crate::session::Registration;

/// Every registration of a run, each table once, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationsRecord {
    /// The registrations.
    pub tables: Vec<Registration>,
}
