//! `syntax_nodes(content, language[, roles])`: the syntax tree of a source file as a list of its nodes.
//!
//! ```text
//! (content, 'rust') ─Languages→ grammar ─parse→ tree ─walk, rules→ List<Struct<node_id, parent_id, kind, …>>
//! ```

mod function;
mod language;
mod nodes;
mod role;
mod rules;

pub use function::syntax_nodes;
pub use language::{Language, Languages};
pub use nodes::MAX_SYNTAX_BYTES;
pub use role::Role;
pub use rules::MAX_NAME_BYTES;
/// A tree-sitter grammar.
pub use tree_sitter::Language as Grammar;
