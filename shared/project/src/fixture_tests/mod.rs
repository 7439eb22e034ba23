//! Fixtures: given rows, and the rows that tables must hold after the stages between have run, turn by turn.
//!
//! ```text
//! tests/*.yaml ─decode→ FixtureSpec ─resolve→ Fixture: stages to run, inputs with types, turns ─run→ rows
//!                (spec/decode/fixture.rs)                                                    └ diff → FixtureReport ─ render
//! ```

mod diff;
mod inputs;
mod render;
mod report;
mod resolve;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_base::error::ErrorCode;
use windlass_base::ids::NodeName;

use crate::contract::ContractType;
use crate::graph::{PipelineGraph, check};
use crate::literal_rows::{Cell, Literal, Row};
use crate::spec::files::TESTS_DIR;
use crate::spec::{Problems, ProjectFiles, draft_fixtures};

pub use diff::{ChangedRow, TableDiff, compare};
pub use report::{Finding, FindingKind, FixtureReport};
pub use spec::{ExpectSpec, FixtureSpec, GivenSpec, TurnSpec};

/// The columns of a source of text files that a fixture gives; the others follow from them.
pub const TEXT_COLUMNS: [&str; 2] = ["path", "content"];

/// A fixture of a project, resolved: it can be run as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// The name, unique in the project.
    pub name: String,
    /// The file's path below the project folder.
    pub file: Arc<str>,
    /// What it shows.
    pub description: Option<String>,
    /// Values of the project's parameters, by name.
    pub params: Vec<(String, String)>,
    /// The stages that run.
    pub stages: BTreeSet<NodeName>,
    /// What stands in for the sources and stages that are given.
    pub inputs: BTreeMap<NodeName, Input>,
    /// What happens, in order. At least one.
    pub turns: Vec<Turn>,
}

/// What stands in for a source or a stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A table.
    Table {
        /// Its columns.
        columns: Vec<(String, ContractType)>,
        /// The columns that identify a row; none if that is not known.
        key: Vec<String>,
    },
    /// Text files, a row each: [`TEXT_COLUMNS`].
    Texts,
}

/// Inputs change, the stages run, tables are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// What happens to the inputs before the stages run.
    pub changes: Vec<(NodeName, InputChange)>,
    /// What tables must hold afterwards.
    pub expect: Vec<Expected>,
    /// How the tables of stages must have been brought up to date, as [`strategy_names`] writes it.
    pub strategies: Vec<(NodeName, String)>,
    /// The code with which the run must fail.
    pub error: Option<ErrorCode>,
}

/// What happens to an input, in the order of the fields, a commit each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputChange {
    /// These are all rows from now on.
    pub replace: Option<Vec<Row>>,
    /// Rows that have all of some values, by column, go.
    pub delete: Vec<Vec<(usize, Cell)>>,
    /// Rows take the place of those with the same key, or are added.
    pub upsert: Vec<Row>,
    /// Rows are added.
    pub insert: Vec<Row>,
}

/// What a table must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The stage.
    pub stage: NodeName,
    /// The columns that are looked at.
    pub columns: Vec<String>,
    /// The columns by which a row is known again.
    pub key: Vec<String>,
    /// How far floats may be from what is expected.
    pub tolerance: Option<f64>,
    /// The rows, in the order of `columns`. Their types are those that the table turns out to have.
    pub rows: Vec<Vec<Literal>>,
}

/// Every word for how a table is brought up to date: the strategies, and `reused` if it was not touched.
pub fn strategy_names() -> [&'static str; 7] {
    use crate::strategy::Strategy as S;
    let strategies = [S::Append, S::RowWise, S::AffectedKeys, S::PartitionReplace, S::ChangedFiles, S::Full];
    let [a, b, c, d, e, f] = strategies.map(S::as_str);
    [a, b, c, d, e, f, "reused"]
}

/// Whether a fixture's name is `wanted`, or matches it as a glob.
pub fn name_matches(wanted: &str, name: &str) -> bool {
    wanted == name || globset::Glob::new(wanted).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// Reads a project together with its fixtures, or says everything that is wrong with either. The graph is as if the project
/// had none, so that no fixture makes a difference to a run.
///
/// # Errors
/// Every problem of the project's files and, as far as they can be told, of its fixtures.
pub fn check_with_fixtures(files: &ProjectFiles) -> Result<(PipelineGraph, Vec<Fixture>), Problems> {
    let mut problems = Vec::new();
    let specs = draft_fixtures(files, &mut problems);
    match check(&files.without(TESTS_DIR)) {
        Ok(graph) => {
            let fixtures = resolve::resolve_all(&specs, &graph, &mut problems);
            Problems::check(problems, files)?;
            Ok((graph, fixtures))
        }
        Err(of_project) => {
            problems.extend(of_project.iter().cloned());
            Problems::check(problems, files)?;
            Err(of_project)
        }
    }
}
