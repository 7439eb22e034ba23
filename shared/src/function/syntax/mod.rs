//! `syntax_nodes(content, language)`: the syntax tree of a source file as a list of its nodes.
//!
//! ```text
//! (content, 'rust') ─Languages→ grammar ─parse→ tree ─walk, names→ List<Struct<node_id, parent_id, kind, …>>
//! ```

mod function;
mod language;
mod names;
mod nodes;

pub use function::syntax_nodes;
pub use language::{Language, Languages};
pub use names::MAX_NAME_BYTES;
pub use nodes::MAX_SYNTAX_BYTES;
/// A tree-sitter grammar.
pub use tree_sitter::Language as Grammar;
