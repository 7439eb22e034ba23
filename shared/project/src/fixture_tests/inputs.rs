//! The given inputs of a fixture: resolves types, parses values and validates changes.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;

use super::spec::{FixtureSpec, GivenSpec};
use super::{Input, InputChange, TEXT_COLUMNS};
use crate::contract::ContractType;
use crate::graph::{Node, PipelineGraph};
use crate::literal_rows::{Cell, Columns, Row, RowsSpec, check_name, columns_of, report_mismatch, rows_of};
use crate::spec::column_type::ColumnType;
use crate::spec::source::SourceKind;
use crate::spec::{Problem, Span, codes};

/// The inputs, and their changes in each turn.
pub(super) struct Inputs {
    pub(super) inputs: BTreeMap<NodeName, Input>,
    pub(super) changes: Vec<Vec<(NodeName, InputChange)>>,
}

/// Resolves all given inputs of a fixture.
pub(super) fn resolve_inputs(spec: &FixtureSpec, graph: &PipelineGraph, problems: &mut Vec<Problem>) -> Inputs {
    let mut resolved = Inputs { inputs: BTreeMap::new(), changes: vec![Vec::new(); spec.turns.len()] };
    let Some(first) = spec.turns.first() else { return resolved };
    for turn in spec.turns.iter().skip(1) {
        for given in &turn.given {
            let known = first.given.iter().any(|other| other.name.value == given.name.value);
            if !known && graph.node(&NodeName::new(&given.name.value)).is_some() {
                let message = format!("`{}` is given here but not in the first turn", given.name.value);
                let problem = Problem::new(codes::FIXTURE_CHANGE, message).at(&given.name.span);
                problems.push(problem.help("give it in the first turn too: `rows: []` with `columns` if it is empty"));
            }
        }
    }
    for given in &first.given {
        let name = NodeName::new(&given.name.value);
        let Some(node) = graph.node(&name) else {
            let message = format!("`{name}` is neither a source nor a stage");
            let mut problem = Problem::new(codes::FIXTURE_NODE, message).at(&given.name.span);
            let names: Vec<&str> = graph.nodes().map(|node| node.name().as_str()).collect();
            problem.help = did_you_mean(name.as_str(), "there are", names);
            problems.push(problem);
            continue;
        };
        let of_turns: Vec<Option<&GivenSpec>> = spec
            .turns
            .iter()
            .map(|turn| turn.given.iter().find(|other| other.name.value == given.name.value))
            .collect();
        let Some(table) = Table::of(node, given, &of_turns, problems) else { continue };
        let mut state = Vec::new();
        for (place, given) in of_turns.iter().enumerate() {
            let Some(given) = given else { continue };
            let change = table.change(given, place == 0, &mut state, problems);
            resolved.changes[place].push((name.clone(), change));
        }
        resolved.inputs.insert(name, table.into_input());
    }
    resolved
}

/// An input while its rows are read.
struct Table {
    columns: Columns,
    key: Vec<usize>,
    texts: bool,
}

impl Table {
    fn of(
        node: Node<'_>,
        first: &GivenSpec,
        of_turns: &[Option<&GivenSpec>],
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let texts = matches!(node, Node::Source(source) if matches!(source.kind, SourceKind::TextFiles(_)));
        let named = of_turns.iter().flatten().find_map(|given| given.columns.as_ref());
        let declared = match (texts, named) {
            (true, _) => Some(TEXT_COLUMNS.map(|name| (name.to_owned(), STRING)).to_vec()),
            (false, Some(named)) => Some(named.iter().map(|(name, of)| (name.value.clone(), of.clone())).collect()),
            (false, None) => declared(node),
        };
        let columns = match declared {
            Some(columns) => {
                check_names(&columns, of_turns, problems);
                columns
            }
            None => {
                // Inferred from all values in all turns.
                let all: Vec<&RowsSpec> = of_turns.iter().flatten().flat_map(|given| given.all_rows()).collect();
                columns_of(&first.name, &all, problems)?
            }
        };
        let key = key(node, of_turns, &columns, texts, problems);
        Some(Self { columns, key, texts })
    }

    fn into_input(self) -> Input {
        if self.texts {
            return Input::Texts;
        }
        let key = self.key.iter().filter_map(|place| self.columns.get(*place)).map(|(name, _)| name.clone()).collect();
        Input::Table { columns: self.columns, key }
    }

    /// The changes in one turn; `state` is the current rows.
    fn change(
        &self,
        given: &GivenSpec,
        is_first: bool,
        state: &mut Vec<Row>,
        problems: &mut Vec<Problem>,
    ) -> InputChange {
        let mut change = InputChange::default();
        let name = &given.name.value;
        let mut refuse = |span: &Span, message: String, help: &str| {
            problems.push(Problem::new(codes::FIXTURE_CHANGE, message).at(span).help(help));
        };
        if is_first && given.rows.is_none() {
            refuse(&given.name.span, format!("the first turn must give all rows of `{name}`"), "write `rows`");
        }
        if let Some((rows, _)) =
            [&given.delete, &given.upsert, &given.insert].into_iter().flatten().zip(&given.rows).next()
        {
            refuse(
                &rows.span,
                format!("`rows` are all rows of `{name}`: nothing else can change"),
                "take one of the two out",
            );
        }
        if let (Some(rows), true) = (&given.upsert, self.key.is_empty()) {
            let help = "add `key: [column, …]` next to it";
            refuse(
                &rows.span,
                format!("rows of `{name}` cannot be upserted: it is not known which columns identify a row"),
                help,
            );
        }
        if let Some(rows) = &given.rows {
            let rows = self.rows(rows, problems);
            state.clone_from(&rows);
            change.replace = Some(rows);
        }
        for row in given.delete.iter().filter(|_| given.rows.is_none()).flat_map(|rows| &rows.rows) {
            let cells = row.values.iter().filter_map(|(column, literal)| {
                let place = self.columns.iter().position(|(name, _)| *name == column.value)?;
                let cell =
                    literal.to_cell(&self.columns[place].1).map_err(|error| report_mismatch(error, problems)).ok()?;
                Some((place, cell))
            });
            let pattern: Vec<(usize, Cell)> = cells.collect();
            let had = state.len();
            let is_meant = |row: &Row| pattern.iter().all(|(place, cell)| row[*place].canonical() == cell.canonical());
            state.retain(|row| !is_meant(row));
            if pattern.is_empty() || state.len() == had {
                let message = format!("no row of `{name}` matches, so there is nothing to delete");
                problems.push(Problem::new(codes::FIXTURE_CHANGE, message).at(&row.span));
            }
            change.delete.push(pattern);
        }
        if let Some(rows) = given.upsert.as_ref().filter(|_| !self.key.is_empty()) {
            change.upsert = self.rows(rows, problems);
            for (row, written) in change.upsert.iter().zip(&rows.rows) {
                if self.key.iter().any(|place| row[*place] == Cell::Null) {
                    let message = format!("the key of a row of `{name}` is null");
                    problems.push(Problem::new(codes::FIXTURE_CHANGE, message).at(&written.span));
                }
                state.retain(|other| !self.same_key(row, other));
                state.push(row.clone());
            }
        }
        if let Some(rows) = &given.insert {
            change.insert = self.rows(rows, problems);
            for (row, written) in change.insert.iter().zip(&rows.rows) {
                if !self.key.is_empty() && state.iter().any(|other| self.same_key(row, other)) {
                    let message = format!("`{name}` has a row with this key already");
                    let problem = Problem::new(codes::FIXTURE_CHANGE, message).at(&written.span);
                    problems.push(problem.help("write it under `upsert` to replace the other"));
                }
                state.push(row.clone());
            }
        }
        change
    }

    fn same_key(&self, row: &Row, other: &Row) -> bool {
        self.key.iter().all(|place| row[*place].canonical() == other[*place].canonical())
    }

    /// The rows in the types of the columns. Values that do not fit are reported and become null.
    fn rows(&self, rows: &RowsSpec, problems: &mut Vec<Problem>) -> Vec<Row> {
        let found = rows_of(&self.columns, rows, problems);
        if self.texts {
            for (cells, row) in found.iter().zip(&rows.rows) {
                if let [path, content] = cells.as_slice() {
                    check_text(path, content, &row.span, problems);
                }
            }
        }
        found
    }
}

const STRING: ContractType = ContractType::Primitive(ColumnType::String);

/// A text file needs a path below its folder.
fn check_text(path: &Cell, content: &Cell, span: &Span, problems: &mut Vec<Problem>) {
    let good = matches!(path, Cell::Text(path)
        if !path.is_empty() && path.split('/').all(|part| !["", ".", ".."].contains(&part)) && !path.contains('\\'));
    if !good {
        let problem = Problem::new(codes::ROWS_VALUE, "a text file needs a `path` below its source's folder").at(span);
        problems.push(problem.help("write a relative path such as repo/src/lib.rs"));
    }
    if *content == Cell::Null {
        problems.push(Problem::new(codes::ROWS_VALUE, "a text file needs a `content`").at(span));
    }
}

/// The columns that the project declares for a node, if any.
fn declared(node: Node<'_>) -> Option<Columns> {
    match node {
        Node::Stage(stage) => {
            let contract = &stage.contract.as_ref()?.value;
            Some(contract.columns.iter().map(|column| (column.name.clone(), column.data_type.clone())).collect())
        }
        Node::Source(source) => match &source.kind {
            SourceKind::Listing(listing) => {
                let columns = listing.schema.as_ref()?.iter().chain(&listing.partition_columns);
                Some(columns.map(|(name, of)| (name.clone(), ContractType::Primitive(*of))).collect())
            }
            _ => None,
        },
    }
}

/// Reports every unknown column of a row.
fn check_names(columns: &Columns, of_turns: &[Option<&GivenSpec>], problems: &mut Vec<Problem>) {
    for given in of_turns.iter().flatten() {
        for column in given.all_rows().flat_map(|rows| &rows.columns) {
            check_name(column, &given.name.value, columns, problems);
        }
    }
}

/// The indexes of the key columns: those of the fixture, else those of the stage.
fn key(
    node: Node<'_>,
    of_turns: &[Option<&GivenSpec>],
    columns: &Columns,
    texts: bool,
    problems: &mut Vec<Problem>,
) -> Vec<usize> {
    if texts {
        return vec![0];
    }
    let keyed = of_turns.iter().flatten().find(|given| !given.key.is_empty());
    let names: Vec<String> = match (keyed, node) {
        (Some(given), _) => {
            given.key.iter().for_each(|name| check_name(name, &given.name.value, columns, problems));
            given.key.iter().map(|name| name.value.clone()).collect()
        }
        (None, Node::Stage(stage)) => stage.table.key.clone(),
        (None, Node::Source(_)) => Vec::new(),
    };
    let places: Vec<usize> =
        names.iter().filter_map(|name| columns.iter().position(|(column, _)| column == name)).collect();
    // A stage's key may contain columns that are not given.
    if places.len() == names.len() { places } else { Vec::new() }
}
