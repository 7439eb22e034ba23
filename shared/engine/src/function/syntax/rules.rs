//! What the kind of a syntax node determines: its role, and where to find its name and other attributes.

use tree_sitter::{Language, Node, TreeCursor};

use super::role::Role;

/// The maximum length of a name in bytes; a longer one is truncated at a character boundary.
pub const MAX_NAME_BYTES: usize = 256;

/// The maximum number of steps from a node to the identifier that names it.
const MAX_STEPS: usize = 16;

/// Where a node's name is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum NameRule {
    /// The name of the child in this field.
    NameOf(u16),
    /// The text of the child in this field.
    TextOf(u16),
    /// The node's own text.
    OwnText,
    /// Nowhere.
    #[default]
    Nameless,
}

/// The rule for nodes of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KindRule {
    pub(super) name: NameRule,
    /// The field of the qualifier, for a kind on the path from a node to its name.
    pub(super) qualifier: Option<u16>,
    /// The field whose children are counted.
    pub(super) counted: Option<u16>,
    pub(super) role: Option<Role>,
    /// Whether definitions inside belong to it.
    pub(super) owns: bool,
}

/// A name, and how it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    /// The kind of the node with this text.
    pub(super) kind: &'a str,
    /// The name of its qualifier; empty if that has none.
    pub(super) qualifier: Option<&'a str>,
}

/// The rules of a grammar, by the id of a node's kind.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    by_kind: Vec<KindRule>,
}

impl Rules {
    /// The rules for every grammar.
    pub(super) fn new(grammar: &Language) -> Self {
        let name_field = grammar.field_id_for_name("name");
        let by_kind = (0..grammar.node_kind_count())
            .map(|id| {
                let kind = u16::try_from(id).ok().and_then(|id| grammar.node_kind_for_id(id)).unwrap_or_default();
                let name = match name_field {
                    _ if kind.contains("identifier") && !kind.starts_with("scoped_") => NameRule::OwnText,
                    Some(field) => NameRule::NameOf(field.get()),
                    None => NameRule::Nameless,
                };
                KindRule { name, ..KindRule::default() }
            })
            .collect();
        Self { by_kind }
    }

    /// Changes the rule of every named node kind of this name; a grammar may have several.
    pub(super) fn change(&mut self, grammar: &Language, kind: &str, change: impl Fn(&mut KindRule)) {
        for (id, rule) in self.by_kind.iter_mut().enumerate() {
            let Ok(id) = u16::try_from(id) else { return };
            if grammar.node_kind_is_named(id) && grammar.node_kind_for_id(id) == Some(kind) {
                change(rule);
            }
        }
    }

    /// The rule of a node's kind.
    pub(super) fn of(&self, node: Node<'_>) -> KindRule {
        let rule = self.by_kind.get(usize::from(node.kind_id())).copied().unwrap_or_default();
        match node.is_error() || node.is_missing() {
            true => KindRule { role: Some(Role::Error), ..rule },
            false => rule,
        }
    }

    /// The name of `node` in `source`, if it has one.
    pub(super) fn name_of<'a>(&self, node: Node<'a>, source: &'a str) -> Option<Name<'a>> {
        let mut node = node;
        let mut qualifying = None;
        for _ in 0..MAX_STEPS {
            let rule = self.of(node);
            if let Some(field) = rule.qualifier {
                qualifying = node.child_by_field_id(field).or(qualifying);
            }
            let named = match rule.name {
                NameRule::NameOf(field) => {
                    node = node.child_by_field_id(field)?;
                    continue;
                }
                NameRule::TextOf(field) => node.child_by_field_id(field)?,
                NameRule::OwnText => node,
                NameRule::Nameless => return None,
            };
            let qualifier = qualifying.map(|node| self.text_of_name(node, source).unwrap_or_default());
            return Some(Name { text: text_of(named, source)?, kind: named.kind(), qualifier });
        }
        None
    }

    /// Only the name.
    pub(super) fn text_of_name<'s>(&self, node: Node<'_>, source: &'s str) -> Option<&'s str> {
        let mut node = node;
        for _ in 0..MAX_STEPS {
            match self.of(node).name {
                NameRule::NameOf(field) => node = node.child_by_field_id(field)?,
                NameRule::TextOf(field) => return text_of(node.child_by_field_id(field)?, source),
                NameRule::OwnText => return text_of(node, source),
                NameRule::Nameless => return None,
            }
        }
        None
    }

    /// How many children, comments omitted, the node has in the field that its kind counts.
    pub(super) fn arity_of<'t>(&self, node: Node<'t>, rule: KindRule, cursor: &mut TreeCursor<'t>) -> Option<usize> {
        let list = node.child_by_field_id(rule.counted?)?;
        Some(list.named_children(cursor).filter(|child| !child.is_extra()).count())
    }
}

/// The text of `node`, cut to [`MAX_NAME_BYTES`].
fn text_of<'s>(node: Node<'_>, source: &'s str) -> Option<&'s str> {
    let text = source.get(node.byte_range())?;
    Some(text.get(..text.floor_char_boundary(MAX_NAME_BYTES)).unwrap_or(text))
}
