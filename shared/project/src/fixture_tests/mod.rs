//! Fixture tests: given rows, and the rows that tables must contain after the stages in between have run, turn by turn.
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

/// The columns that a fixture gives for a source of text files; the others are derived from them.
pub const TEXT_COLUMNS: [&str; 2] = ["path", "content"];

/// A resolved fixture, ready to run.
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
    /// The inputs that replace the given sources and stages.
    pub inputs: BTreeMap<NodeName, Input>,
    /// The turns, in order. At least one.
    pub turns: Vec<Turn>,
}

/// An input that replaces a source or a stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A table.
    Table {
        /// Its columns.
        columns: Vec<(String, ContractType)>,
        /// The columns that identify a row; none if that is not known.
        key: Vec<String>,
    },
    /// Text files, one row each: [`TEXT_COLUMNS`].
    Texts,
}

/// One turn: inputs change, the stages run, tables are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// What happens to the inputs before the stages run.
    pub changes: Vec<(NodeName, InputChange)>,
    /// What tables must contain afterwards.
    pub expect: Vec<Expected>,
    /// How the tables of stages must have been updated, as [`strategy_names`] writes it.
    pub strategies: Vec<(NodeName, String)>,
    /// The error code that the run must fail with.
    pub error: Option<ErrorCode>,
}

/// What happens to an input, in the order of the fields, one commit each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputChange {
    /// Replaces all rows.
    pub replace: Option<Vec<Row>>,
    /// Deletes the rows with these values, by column.
    pub delete: Vec<Vec<(usize, Cell)>>,
    /// Rows that replace those with the same key, or are inserted.
    pub upsert: Vec<Row>,
    /// Inserted rows.
    pub insert: Vec<Row>,
}

/// What a table must contain.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// The stage, or its quarantine.
    pub stage: NodeName,
    /// The compared columns.
    pub columns: Vec<String>,
    /// The columns by which rows are matched.
    pub key: Vec<String>,
    /// How far floats may differ from the expected values.
    pub tolerance: Option<f64>,
    /// The rows, in the order of `columns`. They are parsed with the actual types of the table.
    pub rows: Vec<Vec<Literal>>,
}

/// All names for how a table is updated: the strategies, and `reused` if it was not touched.
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

/// Reads a project together with its fixtures, or returns every problem of either. The graph is the same as without
/// fixtures, so that fixtures do not affect runs.
///
/// # Errors
/// Every problem of the project's files and, as far as possible, of its fixtures.
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
