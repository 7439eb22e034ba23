//! Runs as events of OpenLineage, which catalogues and lineage servers read.
//!
//! ```text
//! RunRecord ──────────────────────────────────────────────────────┐
//! StageFacts (what is read and written) + StageRecord (how it went) ─run, stage─→ RunEvent → JSON
//! ```
//!
//! A run is a job, and each of its stages a job of its own with the run as parent. The events follow version 2-0-2 of the
//! specification; [`FACETS`] has the version of each facet.

mod dataset;
mod event;
mod facets;
mod run;
mod stage;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use windlass_base::ids::{NodeName, PipelineName, RunId};

pub use dataset::InputFacts;
pub use event::{Dataset, EventType, Facets, Job, Run, RunEvent, SCHEMA_URL};
pub use facets::{FACETS, PRODUCER};
pub use run::{run_begins, run_ended, run_goes_on};
pub use stage::{StageFacts, stage_begins, stage_ended};

/// The namespace of jobs unless another is set.
pub const DEFAULT_NAMESPACE: &str = "windlass";

/// Which run events are about.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// The namespace of its jobs.
    pub namespace: String,
    /// The run.
    pub run_id: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
}

impl RunFacts {
    /// The job of the run: its pipeline.
    fn job(&self, facets: Facets) -> Job {
        Job { namespace: self.namespace.clone(), name: self.pipeline.to_string(), facets }
    }

    /// The job of a stage, and the name under which its table is known there.
    fn name_of(&self, stage: &NodeName) -> String {
        format!("{}.{stage}", self.pipeline)
    }

    /// The id of the run, as a UUID.
    fn uuid(&self) -> String {
        let id = self.run_id.as_str();
        match RunId::parse(id) {
            Ok(_) => with_hyphens(id),
            Err(_) => uuid_of(&[id]),
        }
    }

    /// The id of the run of a stage: the same each time that it is tried, also by another process.
    fn uuid_of(&self, stage: &NodeName) -> String {
        uuid_of(&[self.run_id.as_str(), stage.as_str()])
    }

    fn event(&self, event_type: EventType, at: DateTime<Utc>, run: Run, job: Job) -> RunEvent {
        RunEvent {
            event_type,
            event_time: at,
            run,
            job,
            inputs: Vec::new(),
            outputs: Vec::new(),
            producer: PRODUCER,
            schema_url: SCHEMA_URL,
        }
    }
}

/// A UUID of version 8 that is made of texts.
fn uuid_of(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    // The version is in the 13th digit, the variant in the two highest bits of the 17th.
    with_hyphens(&format!("{}8{}a{}", &hash[..12], &hash[12..15], &hash[15..30]))
}

/// 32 digits in the groups of a UUID.
fn with_hyphens(digits: &str) -> String {
    let group = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32)].join("-")
}
