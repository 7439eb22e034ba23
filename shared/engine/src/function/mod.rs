//! The functions that Windlass adds to SQL, and their registry.
//!
//! ```text
//! Functions::standard().with_scalar(yours).with_version("yours", 2) ──→ every session, on scheduler and executors
//! ```
//!
//! A plan contains only the names of functions: both sides must register the same ones. The registry's
//! [`records`](Functions::records) are part of the session identity.

pub mod exact;
mod registry;
mod stable_id;
mod syntax;

pub use registry::{FunctionKind, FunctionRecord, Functions};
pub use stable_id::stable_id;
pub use syntax::{Grammar, Language, Languages, MAX_NAME_BYTES, MAX_SYNTAX_BYTES, Role, syntax_nodes};
