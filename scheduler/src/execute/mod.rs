//! Runs a physical plan on the cluster and takes back its rows and the evidence of its execution.
//!
//! ```text
//! JobRequest ─start→ RunningJob ─wait→ FinishedJob ─rows, stream→ record batches
//!      └ Place: in tasks, or as a whole here (place, small_jobs, local)
//!                         └── progress, cancel    └── evidence → JobEvidence
//! ```

mod arrival;
mod cluster_engine;
mod distributable;
mod engine;
mod error;
mod evidence;
mod job;
mod kept_rows;
mod local;
mod place;
mod result;
mod shortage;
mod small_jobs;
mod task_size;

pub use engine::{Capacity, Engine, JobRequest};
pub use error::EngineError;
pub use evidence::{EngineStageState, JobEvidence, OperatorEvidence, StageEvidence, TaskEvidence, TaskState};
pub use job::{JobProgress, RunningJob, StageProgress};
pub use place::Place;
pub use result::FinishedJob;
pub(crate) use shortage::Shortage;
pub use small_jobs::SmallJobs;
