//! `windlass contract`: infers contracts from tables, and compares versions.

use std::path::Path;

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;
use windlass_client::QueryOptions;
use windlass_client::document::{ContractDiff, WrittenDocument};
use windlass_delta::table::contract_columns;
use windlass_project::contract::{Contract, ContractChange, ContractColumn, Evolution, compare, to_yaml};
use windlass_project::spec::parse_contract;

use super::{open_project, start_reading};
use crate::args::{BindArgs, ContractCommand, ContractDiffArgs, Global, InferArgs, Output};
use crate::failure::CommandError;
use crate::output::{self, Cell, Table, Tone, name, prose, word};
use crate::output_file::{OutputFile, report_written};

/// Writes or compares contracts.
pub(crate) async fn run(global: &Global, command: &ContractCommand) -> Result<(), CommandError> {
    match command {
        ContractCommand::Infer(args) => infer(global, args).await,
        ContractCommand::Diff(args) => diff(global, args),
    }
}

async fn infer(global: &Global, args: &InferArgs) -> Result<(), CommandError> {
    if let Some(file) = &args.to {
        OutputFile::check(file, args.force)?;
    }
    let project = open_project(global, &args.bind)?;
    let windlass = start_reading(global, &project).await?;
    let sql = format!("SELECT * FROM \"{}\" LIMIT 0", args.table.replace('"', "\"\""));
    let options = QueryOptions { params: args.bind.params.clone(), ..QueryOptions::default() };
    let rows = windlass.query(&project, &sql, &options).await;
    windlass.stop().await;
    let schema = rows?.schema();
    let columns =
        contract_columns(&schema).map_err(|source| CommandError::NoContract { table: args.table.clone(), source })?;
    let settings = project.graph.stage(&NodeName::new(&args.table)).map(|stage| &stage.table);
    let must = |name: &String| settings.is_some_and(|settings| settings.not_null.contains(name));
    let contract = Contract {
        name: args.table.clone(),
        version: 1,
        description: project
            .graph
            .node(&NodeName::new(&args.table))
            .and_then(|node| node.description())
            .map(str::to_owned),
        evolution: Evolution::default(),
        columns: columns
            .into_iter()
            .map(|column| ContractColumn {
                nullable: column.nullable && !must(&column.name),
                name: column.name,
                data_type: column.data_type,
                description: None,
                semantic_type: None,
            })
            .collect(),
        key: settings.map(|settings| settings.key.clone()).unwrap_or_default(),
        partition_by: settings.map(|settings| settings.partition_by.clone()).unwrap_or_default(),
    };
    let bytes = match &args.to {
        Some(file) => OutputFile::write(file, args.force, &to_yaml(&contract))?,
        None => None,
    };
    match (global.output, args.to.clone()) {
        (Output::Json, _) => Ok(output::json(&contract)?),
        (_, Some(file)) => {
            let format = "yaml".to_owned();
            Ok(report_written(global, &WrittenDocument { file, format, rows: None, bytes })?)
        }
        (_, None) => Ok(output::text(&to_yaml(&contract))?),
    }
}

fn diff(global: &Global, args: &ContractDiffArgs) -> Result<(), CommandError> {
    let changes = compare(&find(global, &args.old)?, &find(global, &args.new)?);
    let breaking = changes.iter().filter(|change| change.breaking).count();
    if global.output == Output::Json {
        output::json(&ContractDiff { breaking: breaking > 0, changes })?;
    } else if changes.is_empty() {
        output::text("there is no difference\n")?;
    } else {
        let row = |change: ContractChange| {
            let effect = match change.breaking {
                true => Cell::toned("breaking", Tone::Bad),
                false => Cell::toned("fine", Tone::Good),
            };
            vec![effect, change.column.unwrap_or_default().into(), change.what.into()]
        };
        let columns = [word("EFFECT"), name("COLUMN"), prose("CHANGE")];
        output::table(&Table::new(columns).with(changes.into_iter().map(row)))?;
    }
    match args.fail_on_breaking && breaking > 0 {
        true => Err(CommandError::Breaking { old: args.old.clone(), new: args.new.clone(), count: breaking }),
        false => Ok(()),
    }
}

/// A contract by the path of its file, or by name and version in the project.
fn find(global: &Global, reference: &str) -> Result<Contract, CommandError> {
    let file = Path::new(reference);
    if file.is_file() {
        let text =
            std::fs::read_to_string(file).map_err(|source| CommandError::Read { file: file.to_owned(), source })?;
        return Ok(parse_contract(reference, &text)?);
    }
    let contracts = &open_project(global, &BindArgs::default())?.graph.contracts;
    contracts.find(reference).cloned().ok_or_else(|| {
        let names = contracts.names();
        let help = did_you_mean(reference, "contracts are", names.iter().map(String::as_str));
        CommandError::UnknownContract { reference: reference.to_owned(), help }
    })
}
