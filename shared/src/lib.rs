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

pub mod canonical;
pub mod codec;
pub mod function;
pub mod io;
pub mod session;
pub mod task_failure;

pub use windlass_api as proto;
pub use windlass_base::{code_parts, config, error, ids, stack};
pub use windlass_delta as delta;
pub use windlass_delta::values;
pub use windlass_evidence::bundle;
pub use windlass_process as process;
pub use windlass_project::{contract, expect, fixture, graph, rows, tag};

/// Reading a project, and the suggestions for what was mistyped in one.
pub mod spec {
    pub use windlass_base::suggest;
    pub use windlass_project::spec::*;
}

/// Locations and stores, and what keeps their credentials out of texts.
pub mod storage {
    pub use windlass_base::secrets::{DiscreetStderr, credential_variables, without_secrets};
    pub use windlass_storage::*;
}

/// What a run leaves behind.
pub mod artifact {
    pub use windlass_evidence::artifact::*;
    pub use windlass_project::strategy::Strategy;
}
