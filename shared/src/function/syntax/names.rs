//! How a node of a syntax tree gets its name.

use tree_sitter::{Language, Node};

/// Bytes of the longest name; a longer one is cut at a character's boundary.
pub const MAX_NAME_BYTES: usize = 256;

/// Steps from a node to the identifier that names it, at most.
const MAX_STEPS: usize = 16;

/// Where a node's name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameRule {
    /// The name of the child in this field.
    NameOf(u16),
    /// The text of the child in this field.
    TextOf(u16),
    /// The node's own text.
    OwnText,
    /// Nowhere.
    Nameless,
}

/// The rules of a grammar, by the id of a node's kind.
#[derive(Debug, Clone)]
pub(super) struct NameRules {
    by_kind: Vec<NameRule>,
}

impl NameRules {
    /// The rules that hold for every grammar.
    pub(super) fn new(grammar: &Language) -> Self {
        let name_field = grammar.field_id_for_name("name");
        let by_kind = (0..grammar.node_kind_count())
            .map(|id| {
                let kind = u16::try_from(id).ok().and_then(|id| grammar.node_kind_for_id(id)).unwrap_or_default();
                match name_field {
                    _ if kind.contains("identifier") && !kind.starts_with("scoped_") => NameRule::OwnText,
                    Some(field) => NameRule::NameOf(field.get()),
                    None => NameRule::Nameless,
                }
            })
            .collect();
        Self { by_kind }
    }

    /// Sets the rule of every node kind with this name; a grammar may have several.
    pub(super) fn set(&mut self, grammar: &Language, kind: &str, rule: NameRule) {
        for (id, slot) in self.by_kind.iter_mut().enumerate() {
            let known = u16::try_from(id).ok().and_then(|id| grammar.node_kind_for_id(id));
            if known == Some(kind) {
                *slot = rule;
            }
        }
    }

    /// The name of `node` in `source`, if it has one.
    pub(super) fn name_of<'s>(&self, node: Node<'_>, source: &'s str) -> Option<&'s str> {
        let mut node = node;
        for _ in 0..MAX_STEPS {
            match self.by_kind.get(usize::from(node.kind_id())).copied().unwrap_or(NameRule::Nameless) {
                NameRule::NameOf(field) => node = node.child_by_field_id(field)?,
                NameRule::TextOf(field) => return text_of(node.child_by_field_id(field)?, source),
                NameRule::OwnText => return text_of(node, source),
                NameRule::Nameless => return None,
            }
        }
        None
    }
}

/// The text of `node`, cut to [`MAX_NAME_BYTES`].
fn text_of<'s>(node: Node<'_>, source: &'s str) -> Option<&'s str> {
    let text = source.get(node.byte_range())?;
    Some(text.get(..text.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or(text))
}
