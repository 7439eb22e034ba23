//! What the scheduler, the executors and the clients of Windlass must agree on, and nothing else.
//!
//! ```text
//! project files ─parse→ PipelineSpec ─resolve→ PipelineGraph ─pin+decide→ RunPlan ─per stage→ StageRun
//!     ─execute on Ballista→ StagedFiles ─commit→ CommitReceipt ─record→ RunBundle
//!     └──── spec/ ────┘└──── graph/ ────┘     └────── delta/, session/, codec/ ──────┘     └ artifact/ ┘
//! ```
//!
//! `spec`, `graph`, `tag`, `contract`, `expect`, `rows`, `fixture` and `ids` are pure: text and values in, values out, no tokio and no engine types.
//! `delta` is the only module that imports deltalake; `session` is the only one that builds a session or
//! registers a table or a function.

pub mod artifact;
pub mod bundle;
pub mod canonical;
pub mod codec;
pub mod contract;
pub mod delta;
pub mod expect;
pub mod fixture;
pub mod function;
pub mod graph;
pub mod io;
pub mod process;
pub mod proto;
pub mod rows;
pub mod session;
pub mod spec;
pub mod storage;
pub mod strategy;
pub mod tag;
pub mod task_failure;
pub mod values;

pub use windlass_base::{code_parts, config, error, ids, stack};
