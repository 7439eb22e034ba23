//! The crates of this folder under one name, for those who need most of them. Nothing of its own is here.
//!
//! ```text
//! project files ─parse→ PipelineSpec ─resolve→ PipelineGraph ─pin+decide→ RunPlan ─per stage→ StageRun
//!     ─execute on Ballista→ StagedFiles ─commit→ CommitReceipt ─record→ RunBundle
//!     └────────── windlass-project ─────────┘     └─ windlass-delta, windlass-engine ─┘  └ windlass-evidence ┘
//! ```
//!
//! ARCHITECTURE.md says what each crate holds and which may depend on which.

pub use windlass_api as proto;
pub use windlass_base::{code_parts, config, error, ids, stack};
pub use windlass_delta as delta;
pub use windlass_delta::values;
pub use windlass_engine::{canonical, codec, function, io, task_failure};
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

/// Sessions and what is registered in them, with the records and identities of both.
pub mod session {
    pub use windlass_base::identity::{ResultIdentity, ScanIdentity, SessionIdentity};
    pub use windlass_engine::session::*;
    pub use windlass_evidence::artifact::{ColumnRecord, Registration, SortRecord, TableKind};
}
