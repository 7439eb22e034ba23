//! The state while a canonical form is written: the scope of names, and the collected dependencies.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchemaRef, TableReference};

use super::writer::Writer;
use super::{Names, PlanDependencies};
use crate::function::FunctionKind;

/// Functions of the engine that depend on the names of their arguments.
const SEE_NAMES: [&str; 2] = ["arrow_field", "arrow_metadata"];

/// The scope of an expression's columns.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    /// The inputs of the node, whose columns are numbered consecutively.
    inputs: &'s [&'s DFSchemaRef],
    /// Whether it is a table, whose columns are identified by name, independent of their position.
    of_table: bool,
}

impl<'s> Scope<'s> {
    pub(super) const NOTHING: Self = Self { inputs: &[], of_table: false };

    pub(super) fn inputs(inputs: &'s [&'s DFSchemaRef]) -> Self {
        Self { inputs, of_table: false }
    }

    pub(super) fn table(inputs: &'s [&'s DFSchemaRef]) -> Self {
        Self { inputs, of_table: true }
    }
}

/// A canonical form under construction.
pub(super) struct Form {
    pub(super) out: Writer,
    pub(super) names: Names,
    pub(super) dependencies: PlanDependencies,
    /// The inputs of the outer queries of a subquery, innermost last.
    outer: Vec<Vec<DFSchemaRef>>,
    /// The enclosing recursive queries of a node, innermost last.
    pub(super) recursive: Vec<String>,
    /// The parameters of the enclosing lambdas of an expression, innermost last.
    pub(super) lambdas: Vec<Vec<String>>,
    /// Whether the result depends on names that would be omitted.
    names_matter: bool,
}

impl Form {
    pub(super) fn new(names: Names) -> Self {
        Self {
            out: Writer::default(),
            names,
            dependencies: PlanDependencies::default(),
            outer: Vec::new(),
            recursive: Vec::new(),
            lambdas: Vec::new(),
            names_matter: false,
        }
    }

    /// Whether positions alone do not determine the meaning of the plan.
    pub(super) fn needs_all_names(&self) -> bool {
        self.names_matter && self.names == Names::Outside
    }

    pub(super) fn finish(self) -> (String, PlanDependencies) {
        (self.out.finish(), self.dependencies)
    }

    /// The kind of a part.
    pub(super) fn tag(&mut self, tag: &'static str) {
        self.out.text(tag);
    }

    /// A name that is only used within the query.
    pub(super) fn inner_name(&mut self, name: &str) {
        if self.names == Names::All {
            self.out.text(name);
        }
    }

    /// Positions are not sufficient: the form is written once more, with all names.
    pub(super) fn names_matter(&mut self) {
        self.names_matter = true;
    }

    /// A column of an input.
    pub(super) fn column(&mut self, column: &Column, scope: Scope<'_>) {
        let Column { relation, name, spans: _ } = column;
        let place = place(column, scope.inputs);
        if self.names == Names::Outside && !scope.of_table {
            match place {
                Some(place) => {
                    self.tag("place");
                    self.out.count(place);
                    return;
                }
                None => self.names_matter(),
            }
        }
        self.tag("column");
        if self.names == Names::All {
            self.relation(relation.as_ref());
        }
        self.out.text(name);
    }

    /// A column of an outer query.
    pub(super) fn outer_column(&mut self, column: &Column, data_type: &DataType) {
        let Column { relation, name, spans: _ } = column;
        self.tag("outer column");
        self.data_type(data_type);
        let mut around = self.outer.iter().rev().enumerate();
        let found = around.find_map(|(depth, inputs)| {
            let inputs: Vec<&DFSchemaRef> = inputs.iter().collect();
            place(column, &inputs).map(|place| (depth, place))
        });
        match found {
            Some((depth, place)) if self.names == Names::Outside => {
                self.out.count(depth);
                self.out.count(place);
            }
            found => {
                if found.is_none() {
                    self.names_matter();
                }
                self.relation(relation.as_ref());
                self.out.text(name);
            }
        }
    }

    pub(super) fn relation(&mut self, relation: Option<&TableReference>) {
        let parts: &[&str] = match relation {
            None => &[],
            Some(TableReference::Bare { table }) => &[table],
            Some(TableReference::Partial { schema, table }) => &[schema, table],
            Some(TableReference::Full { catalog, schema, table }) => &[catalog, schema, table],
        };
        self.out.count(parts.len());
        parts.iter().for_each(|part| self.out.text(part));
    }

    /// Writes a subquery, in which columns of `scope` belong to an outer query.
    pub(super) fn inside<T>(&mut self, scope: Scope<'_>, write: impl FnOnce(&mut Self) -> T) -> T {
        self.outer.push(scope.inputs.iter().map(|input| DFSchemaRef::clone(input)).collect());
        let written = write(self);
        self.outer.pop();
        written
    }

    /// A function, by its name. Its version comes from the registry.
    pub(super) fn function(&mut self, kind: FunctionKind, name: &str) {
        if SEE_NAMES.contains(&name) {
            self.names_matter();
        }
        self.out.text(name);
        self.dependencies.functions.insert((kind, name.to_owned()));
    }
}

/// The position of a column, counted across all `inputs`.
fn place(column: &Column, inputs: &[&DFSchemaRef]) -> Option<usize> {
    let mut before = 0;
    for input in inputs {
        if let Some(index) = input.maybe_index_of_column(column) {
            return Some(before + index);
        }
        before += input.fields().len();
    }
    None
}
