//! Every part of the SQL that the parser understands, and how it is handled: the plan contains it, or it is refused
//! here with name and position.
//!
//! The engine's planner silently ignores parts of the syntax tree, and others only fail in the middle of a run. So the
//! files here declare the complete tree, node by node and field by field, with `nodes!`: a version of the parser with
//! an additional field or variant does not compile until its handling is declared here. The tables in `docs/sql.md` are
//! generated from the same declarations.

mod call;
mod data_type;
mod expr;
mod from;
mod leaf;
mod literal;
mod pipe;
mod query;
mod select;
mod walk;

use sqlparser::ast::{Expr, Query};

use super::tokens::Tokens;
use crate::spec::problem::Problem;
use walk::Walk;

/// Something that is refused.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The clause, as it is written in SQL.
    pub clause: &'static str,
    /// What to write instead.
    pub help: &'static str,
}

/// How a part of the syntax tree is handled.
#[derive(Debug, Clone, Copy)]
pub enum Verdict {
    /// The plan contains it.
    Carried,
    /// The plan contains it if the called function supports it; otherwise it is refused when the query is planned.
    ByFunction,
    /// It makes no difference to the rows, for this reason.
    Nothing(&'static str),
    /// It is refused.
    Refused(Rule),
    /// The plan contains it, except for what the rule refuses.
    Except(Rule),
}

/// A field of a node, or a variant of it.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Its name in the parser's syntax tree.
    pub name: &'static str,
    /// How it is handled.
    pub verdict: Verdict,
}

/// A node of the parser's syntax tree.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name in the parser's syntax tree.
    pub node: &'static str,
    /// All of its parts.
    pub parts: &'static [Part],
}

/// A part of the syntax tree that can be traversed to find refused clauses.
trait Node {
    fn walk(&self, walk: &mut Walk<'_>);
}

/// A declared node.
trait Declared: Node {
    const PARTS: &'static [Part];
}

/// Whether an optional part is present.
trait Given {
    fn given(&self) -> bool;
}

/// Declares nodes of the syntax tree: each `structure` and `tuple` with all of its fields, each `choice` with all of
/// its variants. A field or variant is followed by its handling:
///
/// - `carried`: the plan contains it; its content is traversed
/// - `(plain)`: the plan contains it, and it has no content
/// - `by_function`: as `carried`, if the function supports it
/// - `(nothing "why")`: it has no effect
/// - `(refused "CLAUSE" "what to write instead")`: it is a problem if present
/// - `(except test "CLAUSE" "…")`: carried, but a problem if `test` of it holds
/// - `(only test, "CLAUSE" "…")`: the same without traversing it
/// - `(with walker)`: carried, and traversed by `walker`
/// - `(chain walker)`, of a variant `{ left, op, right }`: carried, and the node is traversed by `walker`
///
/// `also(check: RULE)` after a name applies `check` to the node as a whole.
macro_rules! nodes {
    ($($kind:ident $node:ident $(also($($check:path: $rule:path),+))? { $($body:tt)* })*) => {
        $(crate::spec::sql::grammar::declare! { $kind $node [$($($check)+)?] [$($($rule)+)?] { $($body)* } })*

        /// The nodes of this file.
        pub(super) const SECTIONS: &[Section] =
            &[$(Section { node: stringify!($node), parts: <$node as Declared>::PARTS }),*];
    };
}

macro_rules! declare {
    (structure $node:ident [$($check:path)*] [$($rule:path)*] { $($field:ident: $verdict:tt),* $(,)? }) => {
        impl Node for $node {
            fn walk(&self, walk: &mut Walk<'_>) {
                $($check(self, walk);)*
                let $node { $($field),* } = self;
                $(crate::spec::sql::grammar::act!(walk $field $verdict);)*
            }
        }
        impl Declared for $node {
            const PARTS: &'static [Part] = &[
                $(Part { name: stringify!($field), verdict: crate::spec::sql::grammar::verdict!($verdict) },)*
                $(Part { name: "as a whole", verdict: Verdict::Except($rule) },)*
            ];
        }
    };
    (tuple $node:ident [] [] { $($field:ident: $verdict:tt),* $(,)? }) => {
        impl Node for $node {
            fn walk(&self, walk: &mut Walk<'_>) {
                let $node($($field),*) = self;
                $(crate::spec::sql::grammar::act!(walk $field $verdict);)*
            }
        }
        impl Declared for $node {
            const PARTS: &'static [Part] =
                &[$(Part { name: stringify!($field), verdict: crate::spec::sql::grammar::verdict!($verdict) }),*];
        }
    };
    (choice $node:ident [$($check:path)*] [$($rule:path)*] {
        $($variant:ident $(($($bind:ident: $inner:tt),*))? $({$($field:ident: $part:tt),* $(,)?})? $(: $whole:tt)?;)*
    }) => {
        impl Node for $node {
            fn walk(&self, walk: &mut Walk<'_>) {
                $($check(self, walk);)*
                let node = self;
                let _ = &walk;
                match node {
                    $(crate::spec::sql::grammar::shape!($node $variant $(($($bind)*))? $({$($field)*})? $(: $whole)?) => {
                        $($(crate::spec::sql::grammar::act!(walk $bind $inner);)*)?
                        $($(crate::spec::sql::grammar::act!(walk $field $part);)*)?
                        $(crate::spec::sql::grammar::act_whole!(node walk $whole);)?
                    })*
                }
            }
        }
        impl Declared for $node {
            const PARTS: &'static [Part] = &[
                $(
                    $($(Part {
                        name: concat!(stringify!($variant), ", ", stringify!($bind)),
                        verdict: crate::spec::sql::grammar::verdict!($inner),
                    },)*)?
                    $($(Part {
                        name: concat!(stringify!($variant), ", ", stringify!($field)),
                        verdict: crate::spec::sql::grammar::verdict!($part),
                    },)*)?
                    $(Part { name: stringify!($variant), verdict: crate::spec::sql::grammar::verdict!($whole) },)?
                )*
                $(Part { name: "as a whole", verdict: Verdict::Except($rule) },)*
            ];
        }
    };
}

/// The pattern of a variant, which names all of its fields, unless the variant is refused as a whole.
macro_rules! shape {
    ($node:ident $variant:ident ($($bind:ident)*)) => { $node::$variant($($bind),*) };
    ($node:ident $variant:ident {$($field:ident)*}) => { $node::$variant { $($field),* } };
    ($node:ident $variant:ident : (refused $clause:literal $help:literal)) => { $node::$variant { .. } };
    ($node:ident $variant:ident : (chain $walker:path)) => { $node::$variant { left: _, op: _, right: _ } };
    ($node:ident $variant:ident : $whole:tt) => { $node::$variant {} };
}

macro_rules! act {
    ($walk:ident $field:ident carried) => {
        Node::walk($field, $walk)
    };
    ($walk:ident $field:ident by_function) => {
        Node::walk($field, $walk)
    };
    ($walk:ident $field:ident (plain)) => {
        let _ = $field;
    };
    ($walk:ident $field:ident (nothing $why:literal)) => {
        let _ = $field;
    };
    ($walk:ident $field:ident (refused $clause:literal $help:literal)) => {
        if Given::given($field) {
            $walk.refuse(&Rule { clause: $clause, help: $help });
        }
    };
    ($walk:ident $field:ident (except $test:path, $clause:literal $help:literal)) => {
        Node::walk($field, $walk);
        if $test($field) {
            $walk.refuse(&Rule { clause: $clause, help: $help });
        }
    };
    ($walk:ident $field:ident (only $test:path, $clause:literal $help:literal)) => {
        if $test($field) {
            $walk.refuse(&Rule { clause: $clause, help: $help });
        }
    };
    ($walk:ident $field:ident (with $walker:path)) => {
        $walker($field, $walk)
    };
}

macro_rules! act_whole {
    ($node:ident $walk:ident (refused $clause:literal $help:literal)) => {
        $walk.refuse(&Rule { clause: $clause, help: $help })
    };
    ($node:ident $walk:ident (chain $walker:path)) => {
        $walker($node, $walk)
    };
    ($node:ident $walk:ident $other:tt) => {};
}

macro_rules! verdict {
    (carried) => {
        Verdict::Carried
    };
    ((plain)) => {
        Verdict::Carried
    };
    (by_function) => {
        Verdict::ByFunction
    };
    ((nothing $why:literal)) => {
        Verdict::Nothing($why)
    };
    ((refused $clause:literal $help:literal)) => {
        Verdict::Refused(Rule { clause: $clause, help: $help })
    };
    ((except $test:path, $clause:literal $help:literal)) => {
        Verdict::Except(Rule { clause: $clause, help: $help })
    };
    ((only $test:path, $clause:literal $help:literal)) => {
        Verdict::Except(Rule { clause: $clause, help: $help })
    };
    ((with $walker:path)) => {
        Verdict::Carried
    };
    ((chain $walker:path)) => {
        Verdict::Carried
    };
}

use {act, act_whole, declare, nodes, shape, verdict};

/// Every node of the syntax tree that a query can contain, in order of declaration.
pub fn sections() -> impl Iterator<Item = &'static Section> {
    let files = [
        query::SECTIONS,
        select::SECTIONS,
        from::SECTIONS,
        pipe::SECTIONS,
        expr::SECTIONS,
        call::SECTIONS,
        literal::SECTIONS,
        data_type::SECTIONS,
    ];
    files.into_iter().flatten()
}

/// Reports parts of `query` that its plan would not contain.
pub(super) fn check_query(query: &Query, tokens: &Tokens<'_>, problems: &mut Vec<Problem>) {
    problems.append(&mut problems_of(query, tokens));
}

/// The first refused part of an expression.
pub(super) fn check_expr(expr: &Expr, tokens: &Tokens<'_>) -> Result<(), String> {
    match problems_of(expr, tokens).into_iter().next() {
        None => Ok(()),
        Some(Problem { message, help, .. }) => Err(format!("{message}: {}", help.unwrap_or_default())),
    }
}

fn problems_of(node: &impl Node, tokens: &Tokens<'_>) -> Vec<Problem> {
    let mut walk = Walk::new(tokens);
    node.walk(&mut walk);
    walk.into_problems()
}
