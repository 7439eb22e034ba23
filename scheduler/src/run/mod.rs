//! One run of a pipeline: what is to run, what has happened, and what to do next.
//!
//! ```text
//! pipeline_run: RunRequest ─plan→ RunPlan ─┬─ machine/: events in, actions out, pure ─┐
//!               the arrow as code          └─ drive/: performs the actions ←──────────┘ ─→ RunRecord
//!                                                └─ stage/: one attempt at a stage
//! ```
//!
//! `context` is what all stages of a run share, `journal` what it writes into its bundle meanwhile. Each event is appended
//! to the run's [event log](drive::event_log) *before* the actions are performed that it gave rise to; a run that was
//! interrupted is resumed by replaying its events ([`drive::LoggedRun::resume`]) and then telling the machine `Resumed`.

mod context;
pub mod drive;
mod error;
mod journal;
pub mod machine;
pub mod pipeline_run;
mod resume;
mod stage;
pub mod staged;

pub(crate) use drive::leases::Leases;
pub use error::RunError;
pub use pipeline_run::{Begin, RunRequest, run_pipeline};
pub use resume::ResumeError;
