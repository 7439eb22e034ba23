//! Parses a source text to the columns of its syntax nodes.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Builder, StringBuilder, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use tree_sitter::{Node, ParseOptions, Parser, Point, Tree};

use super::language::Language;
use super::role::{Role, Roles};
use super::rules::Name;

/// The maximum size of a parsed text in bytes. A longer one becomes a single `ERROR` node.
pub const MAX_SYNTAX_BYTES: usize = 32 * 1024 * 1024;

/// The parser reports every 100 operations. A text may use this many reports plus one per byte, a hundred times what
/// real sources need; then parsing is aborted. Unlike a time limit, this has the same result on every machine.
const FREE_REPORTS: usize = 100_000;

/// The size of a text column in bytes above which no further text is added. The nodes of the longest text still fit.
const FULL_BYTES: usize = 1 << 30;

/// The fields of a node, in order.
pub(super) fn node_fields() -> Fields {
    Fields::from(vec![
        Field::new("node_id", DataType::Int32, false),
        Field::new("parent_id", DataType::Int32, true),
        Field::new("kind", DataType::Utf8, false),
        Field::new("field", DataType::Utf8, true),
        Field::new("start_byte", DataType::Int32, false),
        Field::new("end_byte", DataType::Int32, false),
        Field::new("start_line", DataType::Int32, false),
        Field::new("end_line", DataType::Int32, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("name_kind", DataType::Utf8, true),
        Field::new("qualifier", DataType::Utf8, true),
        Field::new("arity", DataType::Int32, true),
        Field::new("role", DataType::Utf8, true),
        Field::new("scope_id", DataType::Int32, true),
        Field::new("owner", DataType::Utf8, true),
    ])
}

/// The columns of the nodes of many texts, one text after the other.
#[derive(Default)]
pub(super) struct NodeColumns {
    node_id: Int32Builder,
    parent_id: Int32Builder,
    kind: StringBuilder,
    field: StringBuilder,
    start_byte: Int32Builder,
    end_byte: Int32Builder,
    start_line: Int32Builder,
    end_line: Int32Builder,
    name: StringBuilder,
    name_kind: StringBuilder,
    qualifier: StringBuilder,
    arity: Int32Builder,
    role: StringBuilder,
    scope_id: Int32Builder,
    owner: StringBuilder,
}

/// What a node passes to its descendants.
#[derive(Clone, Copy, Default)]
struct Frame<'a> {
    /// The nearest named node.
    parent: Option<i32>,
    /// The nearest definition.
    scope: Option<i32>,
    /// The name of the nearest owning definition.
    owner: Option<&'a str>,
    /// Whether that is also the nearest definition.
    scope_owns: bool,
}

impl NodeColumns {
    /// The number of nodes so far.
    pub(super) fn len(&self) -> usize {
        self.node_id.values_slice().len()
    }

    /// Whether one more text might exceed the 32-bit offsets of the columns.
    pub(super) fn is_full(&self) -> bool {
        let texts = [&self.kind, &self.field, &self.name, &self.name_kind, &self.qualifier, &self.role, &self.owner];
        texts.iter().any(|column| column.values_slice().len() > FULL_BYTES)
    }

    /// Adds the nodes of `source`, or those of them that have one of `roles`, in the order of their ids.
    pub(super) fn append(&mut self, parser: &mut Parser, language: &Language, source: &str, roles: Option<Roles>) {
        match parse(parser, language, source) {
            Some(tree) => self.append_tree(&tree, language, source, roles),
            None if wanted(Some(Role::Error), roles) => self.append_unparsed(source),
            None => {}
        }
    }

    /// The columns as one array of structs.
    pub(super) fn finish(mut self) -> datafusion::error::Result<StructArray> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.node_id.finish()),
            Arc::new(self.parent_id.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.field.finish()),
            Arc::new(self.start_byte.finish()),
            Arc::new(self.end_byte.finish()),
            Arc::new(self.start_line.finish()),
            Arc::new(self.end_line.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.name_kind.finish()),
            Arc::new(self.qualifier.finish()),
            Arc::new(self.arity.finish()),
            Arc::new(self.role.finish()),
            Arc::new(self.scope_id.finish()),
            Arc::new(self.owner.finish()),
        ];
        Ok(StructArray::try_new(node_fields(), columns, None)?)
    }

    /// Traverses the tree in preorder. Anonymous nodes (punctuation, keywords) are skipped: their children belong to
    /// the nearest named ancestor.
    fn append_tree(&mut self, tree: &Tree, language: &Language, source: &str, roles: Option<Roles>) {
        let rules = &language.rules;
        let mut cursor = tree.walk();
        let mut children = tree.walk();
        let mut next_id = 0;
        // One frame for each node on the path from the root to the cursor.
        let mut frames: Vec<Frame<'_>> = Vec::new();
        loop {
            let node = cursor.node();
            let outer = frames.last().copied().unwrap_or_default();
            let mut inner = outer;
            if node.is_named() || node.is_missing() {
                let rule = rules.of(node);
                let wanted = wanted(rule.role, roles);
                let name = if wanted || rule.owns { rules.name_of(node, source) } else { None };
                if wanted {
                    let arity = rules.arity_of(node, rule, &mut children);
                    self.append_node(node, next_id, &outer, rule.role, cursor.field_name());
                    self.append_name(node, name, arity);
                }
                inner.parent = Some(next_id);
                if rule.role == Some(Role::Definition) {
                    inner.scope = Some(next_id);
                    inner.scope_owns = rule.owns;
                }
                if rule.owns {
                    inner.owner = name.map(|name| name.text);
                }
                next_id += 1;
            }
            if cursor.goto_first_child() {
                frames.push(inner);
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                frames.pop();
            }
        }
    }

    fn append_node(&mut self, node: Node<'_>, id: i32, outer: &Frame<'_>, role: Option<Role>, field: Option<&str>) {
        self.node_id.append_value(id);
        self.parent_id.append_option(outer.parent);
        self.kind.append_value(if node.is_missing() { "MISSING" } else { node.kind() });
        self.field.append_option(field);
        self.start_byte.append_value(position(node.start_byte()));
        self.end_byte.append_value(position(node.end_byte()));
        self.start_line.append_value(line(node.start_position()));
        self.end_line.append_value(line(node.end_position()));
        self.role.append_option(role.map(Role::as_str));
        self.scope_id.append_option(outer.scope);
        // A function inside a method is not a method.
        let owned = role != Some(Role::Definition) || outer.scope_owns;
        self.owner.append_option(outer.owner.filter(|_| owned));
    }

    fn append_name(&mut self, node: Node<'_>, name: Option<Name<'_>>, arity: Option<usize>) {
        if node.is_missing() {
            self.name.append_value(node.kind());
            self.name_kind.append_null();
        } else {
            self.name.append_option(name.map(|name| name.text));
            self.name_kind.append_option(name.map(|name| name.kind));
        }
        self.qualifier.append_option(name.and_then(|name| name.qualifier));
        self.arity.append_option(arity.map(position));
    }

    /// One `ERROR` node over the whole text.
    fn append_unparsed(&mut self, source: &str) {
        self.node_id.append_value(0);
        self.parent_id.append_null();
        self.kind.append_value("ERROR");
        self.field.append_null();
        self.start_byte.append_value(0);
        self.end_byte.append_value(position(source.len()));
        self.start_line.append_value(1);
        self.end_line.append_value(position(source.split('\n').count()));
        self.role.append_value(Role::Error.as_str());
        self.scope_id.append_null();
        self.owner.append_null();
        self.name.append_null();
        self.name_kind.append_null();
        self.qualifier.append_null();
        self.arity.append_null();
    }
}

/// Whether a node with this role is requested.
fn wanted(role: Option<Role>, roles: Option<Roles>) -> bool {
    match roles {
        None => true,
        Some(roles) => role.is_some_and(|role| roles.contains(role)),
    }
}

fn parse(parser: &mut Parser, language: &Language, source: &str) -> Option<Tree> {
    if source.len() > MAX_SYNTAX_BYTES {
        return None;
    }
    let mut reports_left = FREE_REPORTS + source.len();
    let mut on_report = |_: &tree_sitter::ParseState| {
        reports_left = reports_left.saturating_sub(1);
        if reports_left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    parser.reset();
    parser.set_language(&language.grammar).ok()?;
    let bytes = source.as_bytes();
    parser.parse_with_options(
        &mut |offset, _| bytes.get(offset..).unwrap_or_default(),
        None,
        Some(ParseOptions::new().progress_callback(&mut on_report)),
    )
}

/// A byte offset or a count as a column value; texts are shorter than [`i32::MAX`].
fn position(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Lines count from one.
fn line(point: Point) -> i32 {
    position(point.row.saturating_add(1))
}
