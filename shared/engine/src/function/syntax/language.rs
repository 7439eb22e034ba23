//! The languages that can be parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::role::Role;
use super::rules::{NameRule, Rules};

/// A language: its grammar, its names, and the meaning of its node kinds.
///
/// A node is named by its grammar's field `name` if it has one, and a node without children of a kind whose name
/// contains `identifier` by its own text. [`named_by`](Self::named_by), [`named_by_text_of`](Self::named_by_text_of)
/// and [`named_by_own_text`](Self::named_by_own_text) override this for particular kinds. Nothing has a role unless
/// [`with_role`](Self::with_role) gives one; nodes of broken text are [`Role::Error`] in every language.
#[derive(Clone)]
pub struct Language {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) grammar: tree_sitter::Language,
    pub(super) rules: Rules,
}

impl Language {
    /// A language of this name, parsed by `grammar`.
    pub fn new(name: &str, grammar: tree_sitter::Language) -> Self {
        let rules = Rules::new(&grammar);
        Self { name: name.to_lowercase(), aliases: Vec::new(), grammar, rules }
    }

    /// The language, also known as `alias`: another name, or the extension of its files.
    pub fn also_known_as(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_lowercase());
        self
    }

    /// Nodes of `kind` take the name of the child in their `field`: `a.b::c()` by `c`.
    pub fn named_by(self, kind: &str, field: &str) -> Self {
        self.with_rule(kind, field, NameRule::NameOf)
    }

    /// Nodes of `kind` are named by the whole text of the child in their `field`: `use a::b` by `a::b`.
    pub fn named_by_text_of(self, kind: &str, field: &str) -> Self {
        self.with_rule(kind, field, NameRule::TextOf)
    }

    /// Nodes of `kind` are named by their own text.
    pub fn named_by_own_text(mut self, kind: &str) -> Self {
        self.rules.change(&self.grammar, kind, |rule| rule.name = NameRule::OwnText);
        self
    }

    /// Names inside a node of `kind` are qualified with the child in its `field`: `a.b` with `a`.
    pub fn qualified_by(mut self, kind: &str, field: &str) -> Self {
        if let Some(field) = self.grammar.field_id_for_name(field) {
            self.rules.change(&self.grammar, kind, |rule| rule.qualifier = Some(field.get()));
        }
        self
    }

    /// The arity of a node of `kind` is the number of children that the child in its `field` has.
    pub fn counted_in(mut self, kind: &str, field: &str) -> Self {
        if let Some(field) = self.grammar.field_id_for_name(field) {
            self.rules.change(&self.grammar, kind, |rule| rule.counted = Some(field.get()));
        }
        self
    }

    /// Nodes of these kinds have this role.
    pub fn with_role(mut self, role: Role, kinds: &[&str]) -> Self {
        for kind in kinds {
            self.rules.change(&self.grammar, kind, |rule| rule.role = Some(role));
        }
        self
    }

    /// Definitions directly inside a definition of one of these kinds belong to it, like methods to a class; all other
    /// nodes inside, at any depth, are owned by the nearest one.
    pub fn with_owners(mut self, kinds: &[&str]) -> Self {
        for kind in kinds {
            self.rules.change(&self.grammar, kind, |rule| rule.owns = true);
        }
        self
    }

    fn with_rule(mut self, kind: &str, field: &str, rule: fn(u16) -> NameRule) -> Self {
        if let Some(field) = self.grammar.field_id_for_name(field) {
            self.rules.change(&self.grammar, kind, |to| to.name = rule(field.get()));
        }
        self
    }

    /// The language's name, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The grammar for parsing its sources.
    pub fn grammar(&self) -> &tree_sitter::Language {
        &self.grammar
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Language").field("name", &self.name).field("aliases", &self.aliases).finish_non_exhaustive()
    }
}

/// The languages of `syntax_nodes`, by name and alias.
#[derive(Debug, Clone, Default)]
pub struct Languages {
    languages: Vec<Language>,
    by_name: BTreeMap<String, usize>,
}

impl Languages {
    /// Rust and Python.
    pub fn standard() -> Self {
        Self::default().with(rust()).with(python())
    }

    /// Adds a language. It takes over names and aliases that are already in use.
    pub fn with(mut self, language: Language) -> Self {
        let index = self.languages.len();
        for name in std::iter::once(&language.name).chain(&language.aliases) {
            self.by_name.insert(name.clone(), index);
        }
        self.languages.push(language);
        self
    }

    /// The language with this name or alias, case-insensitive.
    pub fn get(&self, name: &str) -> Option<&Language> {
        let index = match self.by_name.get(name) {
            Some(index) => index,
            None => self.by_name.get(&name.to_lowercase())?,
        };
        self.languages.get(*index)
    }

    /// Every name and alias, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

impl PartialEq for Languages {
    fn eq(&self, other: &Self) -> bool {
        self.names().eq(other.names())
    }
}

impl Eq for Languages {}

impl Hash for Languages {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for name in self.names() {
            name.hash(state);
        }
    }
}

fn rust() -> Language {
    Language::new("rust", tree_sitter_rust::LANGUAGE.into())
        .also_known_as("rs")
        .named_by("call_expression", "function")
        .named_by("generic_function", "function")
        .named_by("macro_invocation", "macro")
        .named_by("field_expression", "field")
        .named_by("field_initializer", "field")
        .named_by("generic_type", "type")
        .named_by("generic_type_with_turbofish", "type")
        .named_by("reference_type", "type")
        .named_by("impl_item", "type")
        .named_by("struct_pattern", "type")
        .named_by("tuple_struct_pattern", "type")
        .named_by("let_declaration", "pattern")
        .named_by("parameter", "pattern")
        .named_by_text_of("use_declaration", "argument")
        .named_by_text_of("use_as_clause", "path")
        .named_by_text_of("scoped_use_list", "path")
        .named_by_own_text("use_wildcard")
        .named_by_own_text("lifetime")
        .named_by_own_text("self")
        .named_by_own_text("super")
        .named_by_own_text("crate")
        .named_by_own_text("primitive_type")
        .qualified_by("scoped_identifier", "path")
        .qualified_by("scoped_type_identifier", "path")
        .qualified_by("field_expression", "value")
        .counted_in("call_expression", "arguments")
        .counted_in("function_item", "parameters")
        .counted_in("function_signature_item", "parameters")
        .with_role(Role::Definition, &RUST_DEFINITIONS)
        .with_role(Role::Call, &["call_expression", "macro_invocation"])
        .with_role(Role::Import, &["use_declaration", "extern_crate_declaration"])
        .with_owners(&["impl_item", "trait_item", "struct_item", "enum_item", "union_item"])
}

const RUST_DEFINITIONS: [&str; 14] = [
    "associated_type",
    "const_item",
    "enum_item",
    "enum_variant",
    "function_item",
    "function_signature_item",
    "impl_item",
    "macro_definition",
    "mod_item",
    "static_item",
    "struct_item",
    "trait_item",
    "type_item",
    "union_item",
];

fn python() -> Language {
    Language::new("python", tree_sitter_python::LANGUAGE.into())
        .also_known_as("py")
        .also_known_as("pyi")
        .named_by("call", "function")
        .named_by("attribute", "attribute")
        .named_by("assignment", "left")
        .named_by_text_of("import_from_statement", "module_name")
        .named_by_text_of("import_statement", "name")
        .named_by_text_of("aliased_import", "name")
        .named_by_own_text("dotted_name")
        .named_by_own_text("relative_import")
        .qualified_by("attribute", "object")
        .counted_in("call", "arguments")
        .counted_in("function_definition", "parameters")
        .with_role(Role::Definition, &["function_definition", "class_definition"])
        .with_role(Role::Call, &["call"])
        .with_role(Role::Import, &["import_statement", "import_from_statement", "future_import_statement"])
        .with_owners(&["class_definition"])
}
