//! Runs a physical plan on the cluster and takes back its rows and the evidence of how it went.
//!
//! ```text
//! JobRequest ─submit→ RunningJob ─wait→ FinishedJob ─rows, stream→ record batches
//!                         └── progress, cancel    └── evidence → JobEvidence
//! ```

mod arrival;
mod distributable;
mod distributed;
mod engine;
mod error;
mod evidence;
mod job;
mod leaving;
mod result;
mod task_size;

pub use distributed::planned_stages_text;
pub use engine::{Capacity, Engine, JobRequest};
pub use error::EngineError;
pub use evidence::{JobEvidence, OperatorEvidence, StageEvidence, StageState, TaskEvidence, TaskState};
pub use job::{JobProgress, RunningJob, StageProgress};
pub use result::FinishedJob;
