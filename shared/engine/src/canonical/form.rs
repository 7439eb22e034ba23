//! What is known while a form is written: where names lead, and what was met.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchemaRef, TableReference};

use super::writer::Writer;
use super::{Names, PlanDependencies};
use crate::function::FunctionKind;

/// Functions of the engine that look at the names of what they are given.
const SEE_NAMES: [&str; 2] = ["arrow_field", "arrow_metadata"];

/// What the columns of an expression are columns of.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    /// The inputs of the node, whose columns are counted through.
    inputs: &'s [&'s DFSchemaRef],
    /// Whether it is a table, whose columns are told by name: where they are in it makes no difference.
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

/// A form that is being written.
pub(super) struct Form {
    pub(super) out: Writer,
    pub(super) names: Names,
    pub(super) dependencies: PlanDependencies,
    /// The inputs of the queries around a subquery, the innermost last.
    outer: Vec<Vec<DFSchemaRef>>,
    /// The recursive queries around a node, the innermost last.
    pub(super) recursive: Vec<String>,
    /// The parameters of the lambdas around an expression, the innermost last.
    pub(super) lambdas: Vec<Vec<String>>,
    /// Whether something decides by names that would be omitted.
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

    /// Whether places alone do not tell what the plan means.
    pub(super) fn needs_all_names(&self) -> bool {
        self.names_matter && self.names == Names::Outside
    }

    pub(super) fn finish(self) -> (String, PlanDependencies) {
        (self.out.finish(), self.dependencies)
    }

    /// What a part is.
    pub(super) fn tag(&mut self, tag: &'static str) {
        self.out.text(tag);
    }

    /// A name that only the query itself uses.
    pub(super) fn inner_name(&mut self, name: &str) {
        if self.names == Names::All {
            self.out.text(name);
        }
    }

    /// Places are not enough: the form is written once more, with all names.
    pub(super) fn names_matter(&mut self) {
        self.names_matter = true;
    }

    /// A column of what stands below.
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

    /// A column of a query around this one.
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

    /// Writes what stands inside of a subquery, from where columns of `scope` are those of a query around.
    pub(super) fn inside<T>(&mut self, scope: Scope<'_>, write: impl FnOnce(&mut Self) -> T) -> T {
        self.outer.push(scope.inputs.iter().map(|input| DFSchemaRef::clone(input)).collect());
        let written = write(self);
        self.outer.pop();
        written
    }

    /// A function, by its name. Its version is the registry's to tell.
    pub(super) fn function(&mut self, kind: FunctionKind, name: &str) {
        if SEE_NAMES.contains(&name) {
            self.names_matter();
        }
        self.out.text(name);
        self.dependencies.functions.insert((kind, name.to_owned()));
    }
}

/// Where a column is, counted through all `inputs`.
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
