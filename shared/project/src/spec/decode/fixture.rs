//! Decodes the files below `tests/`: fixtures, and tables that they refer to.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_base::error::ErrorCode;

use super::fields::{Fields, Keys, entries};
use super::values::{any_text, choice, filled_text, list, names, text, wrong_type};
use super::{readable, rows};
use crate::fixture_tests::{ExpectSpec, FixtureSpec, GivenSpec, TurnSpec, strategy_names};
use crate::literal_rows::RowsSpec;
use crate::spec::codes;
use crate::spec::files::{ProjectFiles, TESTS_DIR};
use crate::spec::problem::Problem;
use crate::spec::span::{Span, Spanned};
use crate::spec::yaml::{self, Node, Value};

const KEYS: Keys = Keys {
    what: "a fixture",
    known: &["name", "description", "select", "params", "turns", "given", "expect", "strategies", "error"],
};
const TURN: Keys = Keys { what: "a turn", known: &["given", "expect", "strategies", "error"] };
const GIVEN: Keys =
    Keys { what: "what is given", known: &["columns", "key", "rows", "file", "insert", "upsert", "delete"] };
const EXPECT: Keys = Keys { what: "what is expected", known: &["columns", "key", "tolerance", "rows", "file"] };
const FILE: Keys = Keys { what: "a table in a file", known: &["file"] };

/// Decodes every fixture as far as possible.
pub(crate) fn draft_fixtures(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Vec<FixtureSpec> {
    let prefix = format!("{TESTS_DIR}/");
    let is_fixture = |path: &str| path.starts_with(&prefix) && (path.ends_with(".yaml") || path.ends_with(".yml"));
    let mut found = Vec::new();
    for (path, _) in files.iter().filter(|(path, _)| is_fixture(path)) {
        let Some((file, text)) = readable(files, path, problems) else { continue };
        let before = problems.len();
        let root = yaml::parse(file, text, 0, problems);
        let fixture = root.and_then(|root| {
            let mut decoder =
                Decoder { files, file, given_columns: BTreeMap::new(), expected_columns: BTreeMap::new(), problems };
            decoder.fixture(&root)
        });
        if fixture.is_none() && problems.len() == before {
            let problem = Problem::new(codes::MISSING_KEY, format!("{file} is empty")).at(&Span::new(file, 0, 0));
            problems.push(problem.help("write at least `given` and `expect`"));
        }
        // Parts that cannot be read are not checked further.
        found.extend(fixture.filter(|_| problems.len() == before));
    }
    found
}

/// The columns of tables, in the order of values in rows that are lists.
type Orders = BTreeMap<String, Vec<Spanned<String>>>;

struct Decoder<'a> {
    files: &'a ProjectFiles,
    file: &'a Arc<str>,
    /// The columns of given tables from earlier turns.
    given_columns: Orders,
    /// The columns of expected tables from earlier turns.
    expected_columns: Orders,
    problems: &'a mut Vec<Problem>,
}

impl Decoder<'_> {
    fn fixture(&mut self, root: &Node) -> Option<FixtureSpec> {
        let fields = Fields::open(root, &KEYS, self.problems)?;
        let name = match fields.get("name") {
            Some(node) => Spanned::new(filled_text(node, "`name`", self.problems)?, node.span.clone()),
            None => Spanned::new(stem(self.file).to_owned(), Span::new(self.file, 0, 0)),
        };
        let description = fields.get("description").and_then(|node| text(node, "`description`", self.problems));
        let select = fields.get("select").map(|node| self.select(node)).unwrap_or_default();
        let mut params = Vec::new();
        if let Some(node) = fields.get("params") {
            for entry in entries(node, "`params`", self.problems).unwrap_or_default() {
                let value = any_text(&entry.value, &format!("`{}`", entry.key.value), self.problems);
                params.extend(value.map(|value| (entry.key.clone(), value)));
            }
        }
        let turns = match fields.get("turns") {
            Some(node) => {
                for key in TURN.known.iter().filter_map(|key| fields.key_span(key)) {
                    let message = "a fixture with `turns` has `given` and `expect` in each of them";
                    let problem = Problem::new(codes::DOES_NOT_APPLY, message).label(key, "this is outside");
                    self.problems.push(problem.help("move it into a turn"));
                }
                let turns = list(node, "`turns`", self.problems)?;
                if turns.is_empty() {
                    let problem = Problem::new(codes::BAD_VALUE, "`turns` must not be empty").at(&node.span);
                    self.problems.push(problem);
                }
                let mut read = |node| {
                    let fields = Fields::open(node, &TURN, self.problems)?;
                    self.turn(node, &fields)
                };
                turns.iter().filter_map(&mut read).collect()
            }
            None => vec![self.turn(root, &fields)?],
        };
        Some(FixtureSpec { name, file: Arc::clone(self.file), description, select, params, turns })
    }

    /// A selection, or a list of them.
    fn select(&mut self, node: &Node) -> Vec<Spanned<String>> {
        match &node.value {
            Value::List(_) => names(node, "`select`", self.problems).unwrap_or_default(),
            _ => filled_text(node, "`select`", self.problems)
                .map(|text| Spanned::new(text, node.span.clone()))
                .into_iter()
                .collect(),
        }
    }

    fn turn(&mut self, node: &Node, fields: &Fields<'_>) -> Option<TurnSpec> {
        let given = fields.get("given").and_then(|node| entries(node, "`given`", self.problems)).unwrap_or_default();
        let given = given.iter().filter_map(|entry| self.given(&entry.key, &entry.value)).collect();
        let expect = fields.get("expect").and_then(|node| entries(node, "`expect`", self.problems)).unwrap_or_default();
        let expect = expect.iter().filter_map(|entry| self.expect(&entry.key, &entry.value)).collect();
        let ways = fields.get("strategies").and_then(|node| entries(node, "`strategies`", self.problems));
        let words = strategy_names().map(|word| (word, word));
        let strategies = ways.unwrap_or_default().iter().filter_map(|entry| {
            let what = format!("the strategy of `{}`", entry.key.value);
            let word = choice(&entry.value, &what, &words, self.problems)?;
            Some((entry.key.clone(), word.to_owned()))
        });
        let strategies = strategies.collect();
        let error = fields.get("error").and_then(|node| {
            let code = filled_text(node, "`error`", self.problems)?;
            if ErrorCode::parse(&code).is_none() {
                let problem = Problem::new(codes::BAD_VALUE, format!("`{code}` is not an error code")).at(&node.span);
                self.problems.push(problem.help("write the code of the error, such as WL0427"));
            }
            Some(Spanned::new(code, node.span.clone()))
        });
        Some(TurnSpec { span: first_of(node), given, expect, strategies, error })
    }

    /// Only rows, or a mapping with more options.
    fn given(&mut self, name: &Spanned<String>, node: &Node) -> Option<GivenSpec> {
        let mut given = GivenSpec {
            name: name.clone(),
            columns: None,
            key: Vec::new(),
            rows: None,
            insert: None,
            upsert: None,
            delete: None,
        };
        let mut order = self.given_columns.get(&name.value).cloned();
        if let Value::List(_) = node.value {
            given.rows = self.rows(node, order.as_deref());
            return Some(given);
        }
        if !matches!(node.value, Value::Map(_)) {
            return wrong_type(node, &format!("`{}`", name.value), "a list of rows, or a mapping", self.problems);
        }
        let fields = Fields::open(node, &GIVEN, self.problems)?;
        match fields.get("columns") {
            Some(columns) if matches!(columns.value, Value::List(_)) => {
                order = names(columns, "`columns`", self.problems);
            }
            Some(columns) => {
                let typed = rows::typed_columns(columns, self.problems);
                order = Some(typed.iter().map(|(name, _)| name.clone()).collect());
                given.columns = Some(typed);
            }
            None => {}
        }
        if let Some(order) = &order {
            self.given_columns.insert(name.value.clone(), order.clone());
        }
        given.key = fields.get("key").and_then(|node| names(node, "`key`", self.problems)).unwrap_or_default();
        given.rows = self.rows_or_file(&fields, order.as_deref());
        let mut rows_of = |key: &str| fields.get(key).and_then(|node| self.rows(node, order.as_deref()));
        (given.insert, given.upsert, given.delete) = (rows_of("insert"), rows_of("upsert"), rows_of("delete"));
        if ["rows", "file", "insert", "upsert", "delete"].iter().all(|key| fields.get(key).is_none()) {
            let problem = Problem::new(codes::MISSING_KEY, format!("no rows of `{}` are given", name.value));
            self.problems.push(problem.at(&name.span).help("add `rows`, or `insert`, `upsert` or `delete`"));
        }
        Some(given)
    }

    fn expect(&mut self, name: &Spanned<String>, node: &Node) -> Option<ExpectSpec> {
        let mut expect = ExpectSpec {
            name: name.clone(),
            columns: None,
            key: Vec::new(),
            tolerance: None,
            rows: RowsSpec { span: node.span.clone(), columns: Vec::new(), rows: Vec::new() },
        };
        let former = self.expected_columns.get(&name.value).cloned();
        if let Value::List(_) = node.value {
            expect.rows = self.rows(node, former.as_deref())?;
            return Some(expect);
        }
        if !matches!(node.value, Value::Map(_)) {
            return wrong_type(node, &format!("`{}`", name.value), "a list of rows, or a mapping", self.problems);
        }
        let fields = Fields::open(node, &EXPECT, self.problems)?;
        expect.columns = fields.get("columns").and_then(|node| names(node, "`columns`", self.problems));
        expect.key = fields.get("key").and_then(|node| names(node, "`key`", self.problems)).unwrap_or_default();
        expect.tolerance = fields.get("tolerance").and_then(|node| self.tolerance(node));
        if fields.get("file").is_none() {
            fields.require("rows", "rows: []", self.problems)?;
        }
        if let Some(columns) = &expect.columns {
            self.expected_columns.insert(name.value.clone(), columns.clone());
        }
        expect.rows = self.rows_or_file(&fields, expect.columns.as_deref().or(former.as_deref()))?;
        if let Some(columns) = &expect.columns {
            for other in &expect.rows.columns {
                if !columns.iter().any(|column| column.value == other.value) {
                    let message = format!("`{}` is not among the `columns` that are compared", other.value);
                    self.problems.push(Problem::new(codes::ROWS_COLUMN, message).at(&other.span));
                }
            }
        }
        Some(expect)
    }

    fn tolerance(&mut self, node: &Node) -> Option<f64> {
        let found = match &node.value {
            Value::Scalar(scalar) => scalar.as_float().filter(|value| value.is_finite() && *value >= 0.0),
            _ => None,
        };
        found.or_else(|| wrong_type(node, "`tolerance`", "a number from 0 on", self.problems))
    }

    fn rows_or_file(&mut self, fields: &Fields<'_>, order: Option<&[Spanned<String>]>) -> Option<RowsSpec> {
        match (fields.get("rows"), fields.get("file")) {
            (Some(_), Some(file)) => {
                let problem = Problem::new(codes::DOES_NOT_APPLY, "rows are given twice: here and in a file");
                self.problems.push(problem.at(&file.span).help("remove `rows` or `file`"));
                None
            }
            (Some(node), None) => self.rows(node, order),
            (None, Some(node)) => self.file(node),
            (None, None) => None,
        }
    }

    /// Rows: each a mapping, or a list of values in the order of the columns; or a file that contains them.
    fn rows(&mut self, node: &Node, order: Option<&[Spanned<String>]>) -> Option<RowsSpec> {
        if let Value::Map(_) = node.value {
            let fields = Fields::open(node, &FILE, self.problems)?;
            let file = fields.require("file", "file: orders.csv", self.problems)?;
            return self.file(file);
        }
        rows::decode(node, order, self.problems)
    }

    /// The rows of a CSV file next to the fixture.
    fn file(&mut self, node: &Node) -> Option<RowsSpec> {
        let folder = self.file.rsplit_once('/').map_or(TESTS_DIR, |(folder, _)| folder);
        rows::file(node, folder, self.files, self.problems)
    }
}

/// The file's name without folder and extension.
fn stem(path: &str) -> &str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The first key of a mapping, which represents a mapping of many lines.
fn first_of(node: &Node) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map_or_else(|| node.span.clone(), |entry| entry.key.span.clone()),
        _ => node.span.clone(),
    }
}
