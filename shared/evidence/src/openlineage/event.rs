//! The events themselves.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// The schema of a [`RunEvent`].
pub const SCHEMA_URL: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// Facets by their keys.
pub type Facets = BTreeMap<&'static str, Value>;

/// What happened to a run of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEvent {
    /// What.
    pub event_type: EventType,
    /// When.
    pub event_time: DateTime<Utc>,
    /// The run.
    pub run: Run,
    /// The job.
    pub job: Job,
    /// What it reads.
    pub inputs: Vec<Dataset>,
    /// What it writes.
    pub outputs: Vec<Dataset>,
    /// Who says so.
    pub producer: &'static str,
    /// [`SCHEMA_URL`].
    #[serde(rename = "schemaURL")]
    pub schema_url: &'static str,
}

/// A state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    /// It begins.
    Start,
    /// It goes on.
    Running,
    /// It has ended well.
    Complete,
    /// It was stopped.
    Abort,
    /// It has failed.
    Fail,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// A UUID.
    pub run_id: String,
    /// What is known of it.
    pub facets: Facets,
}

/// A job: a pipeline or a stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Where its name is unique.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub facets: Facets,
}

/// A table or source.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dataset {
    /// The store.
    pub namespace: String,
    /// Its place there.
    pub name: String,
    /// What is known of it.
    pub facets: Facets,
    /// What is known of it as an input.
    #[serde(skip_serializing_if = "Facets::is_empty")]
    pub input_facets: Facets,
    /// What is known of it as an output.
    #[serde(skip_serializing_if = "Facets::is_empty")]
    pub output_facets: Facets,
}
