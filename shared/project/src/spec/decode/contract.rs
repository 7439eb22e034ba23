//! Decodes the files below `contracts/`, and applies a contract to the stage that names it.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_base::suggest::did_you_mean;

use super::fields::{Fields, Keys, entries};
use super::manifest::Defaults;
use super::readable;
use super::table::Table;
use super::values::{boolean, check_name, choice, filled_text, names, text, whole, wrong_type};
use crate::contract::{Contract, ContractColumn, ContractType, Contracts, Evolution, TYPE_HELP};
use crate::spec::codes;
use crate::spec::files::{CONTRACTS_DIR, ProjectFiles};
use crate::spec::problem::{Problem, Problems};
use crate::spec::span::{Span, Spanned};
use crate::spec::table::Materialize;
use crate::spec::yaml::{self, Node, Value};

const KEYS: Keys = Keys {
    what: "a contract",
    known: &["name", "version", "description", "evolution", "columns", "key", "partition_by"],
};
const COLUMN: Keys =
    Keys { what: "a column of a contract", known: &["type", "nullable", "description", "semantic_type"] };
const EVOLUTION: [(&str, Evolution); 3] =
    [("exact", Evolution::Exact), ("additive", Evolution::Additive), ("ignore_extra", Evolution::IgnoreExtra)];

/// The contracts of a project that could be read.
pub(super) struct Decoded {
    pub(super) found: Contracts,
    /// Names of contracts that could not be read.
    broken: Vec<String>,
}

/// Reads every contract.
pub(super) fn decode_all(files: &ProjectFiles, problems: &mut Vec<Problem>) -> Decoded {
    let mut decoded = Decoded { found: Contracts::default(), broken: Vec::new() };
    let mut places: BTreeMap<(String, u32), Span> = BTreeMap::new();
    let prefix = format!("{CONTRACTS_DIR}/");
    for (path, _) in files.iter().filter(|(path, _)| path.starts_with(&prefix)) {
        let Some((file, text)) = readable(files, path, problems) else { continue };
        let before = problems.len();
        let root = yaml::parse(file, text, 0, problems);
        let Some((contract, place)) = root.and_then(|root| decode(file, &root, problems)) else {
            decoded.broken.push(stem(path).to_owned());
            continue;
        };
        if problems.len() > before {
            decoded.broken.push(contract.name.clone());
        }
        if let Some(first) = places.insert((contract.name.clone(), contract.version), place.clone()) {
            let message = format!("version {} of the contract `{}` exists twice", contract.version, contract.name);
            let problem = Problem::new(codes::CONTRACT_TWICE, message).label(&place, "again here");
            problems.push(problem.label(&first, "first here").help("give the newer one the next `version`"));
        }
        decoded.found.0.entry(contract.name.clone()).or_default().insert(contract.version, contract);
    }
    decoded
}

/// Parses one contract from the text of a file, or returns every problem.
///
/// # Errors
/// Every problem, with its position.
pub fn parse_contract(path: &str, text: &str) -> Result<Contract, Problems> {
    let mut files = ProjectFiles::new();
    files.insert(path, text);
    let mut problems = Vec::new();
    let found = readable(&files, path, &mut problems).and_then(|(file, text)| {
        let root = yaml::parse(file, text, 0, &mut problems)?;
        decode(file, &root, &mut problems)
    });
    if problems.is_empty() && found.is_none() {
        problems.push(Problem::new(codes::MISSING_KEY, format!("{path} is empty")).help("write at least `columns`"));
    }
    Problems::check(problems, &files)?;
    found
        .map(|(contract, _)| contract)
        .ok_or_else(|| Problems::one(Problem::new(codes::MISSING_KEY, format!("{path} contains no contract")), &files))
}

/// The file's name up to its first dot, without the folder: `orders.v1.yaml` is `orders`.
fn stem(path: &str) -> &str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.split('.').next().unwrap_or(name)
}

fn decode(file: &Arc<str>, root: &Node, problems: &mut Vec<Problem>) -> Option<(Contract, Span)> {
    let fields = Fields::open(root, &KEYS, problems)?;
    let name = match fields.get("name") {
        Some(node) => Spanned::new(text(node, "`name`", problems)?, node.span.clone()),
        None => Spanned::new(stem(file).to_owned(), Span::new(file, 0, 0)),
    };
    check_name(&name, "a contract", problems);
    let version = fields.get("version").map(|node| whole(node, "`version`", 1..=1_000_000, problems));
    let evolution = fields.get("evolution").and_then(|node| choice(node, "`evolution`", &EVOLUTION, problems));
    let listed = fields.require("columns", "columns: { id: long }", problems)?;
    let columns = columns(listed, problems)?;
    // All names, including those that could not be read.
    let there: Vec<&str> = match &listed.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.value.as_str()).collect(),
        _ => Vec::new(),
    };
    let key = columns_of("key", &fields, &there, problems);
    let partition_by = columns_of("partition_by", &fields, &there, problems);
    let contract = Contract {
        name: name.value,
        version: version.flatten().unwrap_or(1),
        description: fields.get("description").and_then(|node| text(node, "`description`", problems)),
        evolution: evolution.unwrap_or_default(),
        columns,
        key,
        partition_by,
    };
    Some((contract, name.span))
}

/// A list of columns of the contract.
fn columns_of(key: &str, fields: &Fields<'_>, there: &[&str], problems: &mut Vec<Problem>) -> Vec<String> {
    let found = fields.get(key).and_then(|node| names(node, &format!("`{key}`"), problems)).unwrap_or_default();
    for name in found.iter().filter(|name| !there.contains(&name.value.as_str())) {
        let message = format!("`{key}` names `{}`, which is not a column of the contract", name.value);
        let mut problem = Problem::new(codes::CONTRACT_COLUMN, message).at(&name.span);
        problem.help = did_you_mean(&name.value, "columns are", there.iter().copied());
        problems.push(problem);
    }
    found.into_iter().map(|name| name.value).collect()
}

/// The columns: a type each, or a mapping.
fn columns(node: &Node, problems: &mut Vec<Problem>) -> Option<Vec<ContractColumn>> {
    let listed = entries(node, "`columns`", problems)?;
    if listed.is_empty() {
        problems.push(Problem::new(codes::BAD_VALUE, "a contract needs at least one column").at(&node.span));
    }
    let mut columns: Vec<ContractColumn> = Vec::new();
    for entry in listed {
        let name = entry.key.value.clone();
        if columns.iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
            let message = format!("there are two columns `{name}`; upper and lower case make no difference");
            problems.push(Problem::new(codes::DUPLICATE_ITEM, message).at(&entry.key.span));
        }
        columns.extend(column(name, &entry.value, problems));
    }
    Some(columns)
}

fn column(name: String, node: &Node, problems: &mut Vec<Problem>) -> Option<ContractColumn> {
    match &node.value {
        Value::Scalar(_) => {
            let data_type = data_type(&name, node, problems)?;
            Some(ContractColumn { name, data_type, nullable: true, description: None, semantic_type: None })
        }
        Value::Map(_) => {
            let fields = Fields::open(node, &COLUMN, problems)?;
            let of_type = fields.require("type", "type: long", problems);
            let data_type = of_type.and_then(|node| data_type(&name, node, problems));
            let nullable = fields.get("nullable").and_then(|node| boolean(node, "`nullable`", problems));
            let mut text_of = |key: &str| fields.get(key).and_then(|node| text(node, &format!("`{key}`"), problems));
            let (description, semantic_type) = (text_of("description"), text_of("semantic_type"));
            let nullable = nullable.unwrap_or(true);
            Some(ContractColumn { name, data_type: data_type?, nullable, description, semantic_type })
        }
        _ => wrong_type(node, &format!("the column `{name}`"), "a type, or a mapping with `type`", problems),
    }
}

fn data_type(column: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<ContractType> {
    let text = filled_text(node, &format!("the type of `{column}`"), problems)?;
    let found = ContractType::parse(&text);
    if found.is_none() {
        let problem = Problem::new(codes::BAD_VALUE, format!("`{text}` is not a type")).at(&node.span);
        problems.push(problem.help(TYPE_HELP));
    }
    found
}

impl Decoded {
    /// The contract of a stage: the one that its header names, or, by the project's defaults, the one with its name.
    pub(super) fn of_stage(
        &self,
        stage: &str,
        named: Option<&Node>,
        defaults: &Defaults,
        problems: &mut Vec<Problem>,
    ) -> Option<Spanned<Arc<Contract>>> {
        if let Some(node) = named {
            return self.named(node, problems);
        }
        let span = defaults.contracts_by_name.clone()?;
        Some(Spanned::new(Arc::new(self.found.find(stage)?.clone()), span))
    }

    /// The contract that a stage or a source names.
    pub(super) fn named(&self, node: &Node, problems: &mut Vec<Problem>) -> Option<Spanned<Arc<Contract>>> {
        let reference = filled_text(node, "`contract`", problems)?;
        if let Some(contract) = self.found.find(&reference) {
            return Some(Spanned::new(Arc::new(contract.clone()), node.span.clone()));
        }
        let name = reference.split('@').next().unwrap_or(&reference);
        // Problems of the contract itself are reported elsewhere.
        if !self.broken.iter().any(|broken| broken == name) {
            let message = format!("the project has no contract `{reference}`");
            let mut problem = Problem::new(codes::CONTRACT_UNKNOWN, message).at(&node.span);
            let names = self.found.names();
            problem.help = did_you_mean(&reference, "contracts are", names.iter().map(String::as_str))
                .or_else(|| Some(format!("write {CONTRACTS_DIR}/{name}.yaml")));
            problems.push(problem);
        }
        None
    }
}

/// Copies key, partition columns and NOT NULL columns from the contract to the settings of the stage's table.
pub(super) fn supply(
    table: &mut Table,
    contract: Option<&Spanned<Arc<Contract>>>,
    materialize: Materialize,
    problems: &mut Vec<Problem>,
) {
    let Some(contract) = contract.filter(|_| materialize == Materialize::Table) else { return };
    let (span, contract) = (&contract.span, &contract.value);
    let settings = &mut table.settings;
    let sides = [
        ("key", &mut settings.key, &contract.key, &table.key_span),
        ("partition_by", &mut settings.partition_by, &contract.partition_by, &table.partition_span),
    ];
    for (what, own, of_contract, place) in sides {
        match place {
            None if own.is_empty() => own.clone_from(of_contract),
            Some(place) if !of_contract.is_empty() && own != of_contract => {
                let (own, wanted) = (own.join(", "), of_contract.join(", "));
                let message = format!("`{what}` is [{own}], and the contract `{}` has [{wanted}]", contract.label());
                let problem = Problem::new(codes::CONTRACT_DIFFERS, message).at(place).label(span, "this contract");
                problems.push(problem.help(format!("remove `{what}` from `io`, or change the contract")));
            }
            _ => {}
        }
    }
    table.lacks_key &= settings.key.is_empty();
    for column in contract.not_null() {
        if !settings.not_null.iter().any(|known| known == column) {
            settings.not_null.push(column.to_owned());
        }
    }
}
