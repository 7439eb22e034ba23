//! The functions that Windlass adds to SQL, and their registry.
//!
//! ```text
//! Functions::standard().with_scalar(yours).with_version("yours", 2) ──→ every session, on scheduler and executors
//! ```
//!
//! A plan contains only the names of functions: both sides must register the same ones. The registry's
//! [`records`](Functions::records) are part of the session identity.
//!
//! ```
//! use datafusion::logical_expr::ScalarUDF;
//! use windlass_engine::function::{Functions, Language, Languages, syntax_nodes};
//!
//! // Starlark is a dialect of Python: any grammar of tree-sitter can be added.
//! fn functions(my_function: ScalarUDF) -> Functions {
//!     let starlark = Language::new("starlark", tree_sitter_python::LANGUAGE.into())
//!         .also_known_as("bzl")
//!         .named_by("function_definition", "name");
//!     Functions::standard()
//!         .with_scalar(syntax_nodes(Languages::standard().with(starlark)))
//!         .with_scalar(my_function)
//!         .with_version("my_function", 2)
//! }
//! ```

pub mod exact;
mod registry;
mod stable_id;
mod syntax;

pub use registry::{FunctionKind, FunctionRecord, Functions};
pub use stable_id::stable_id;
pub use syntax::{Grammar, Language, Languages, MAX_NAME_BYTES, MAX_SYNTAX_BYTES, Role, syntax_nodes};
