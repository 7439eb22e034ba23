//! `request.json`: what a run was asked to do, so that it can be taken up or tried again.

use serde::{Deserialize, Serialize};

use super::saved_plan::SavedRequest;

/// What a run was asked to do, besides its project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequestRecord {
    /// Target, parameters, sources put elsewhere, selection and refresh, as they were given.
    #[serde(flatten)]
    pub request: SavedRequest,
    /// Whether the first failure ends the run, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
    /// How many stages may run side by side, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<usize>,
}
