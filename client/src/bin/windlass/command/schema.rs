//! `windlass schema`: the columns of the stages' tables, before or after they are built.

use windlass_client::document::{ColumnDocument, TableColumns};
use windlass_evidence::artifact::{PlannedColumn, PlannedTable, Refresh};
use windlass_project::contract::{ContractColumn, ContractType};

use super::{open_project, start_reading};
use crate::args::{Global, Output, RefreshArgs, SelectArgs};
use crate::failure::CommandError;
use crate::output::{self, Table, name, prose, word};

/// Shows the columns that a run of everything would write.
pub(crate) async fn run(global: &Global, args: &SelectArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.bind)?;
    let windlass = start_reading(global, &project).await?;
    // As for a full refresh: stages that are up to date have columns too.
    let refresh = RefreshArgs { full_refresh: vec![Refresh::EVERYTHING.to_owned()], ..RefreshArgs::default() };
    let plan = windlass.plan(&project, &super::run_options(args, &refresh)).await;
    windlass.stop().await;
    let plan = plan?;
    let contract_of = |table: &PlannedTable| project.graph.stage(&table.stage)?.contract.as_ref();
    let column_of = |table: &PlannedTable, name: &str| -> Option<ContractColumn> {
        contract_of(table)?.value.column(name).cloned()
    };
    if global.output == Output::Json {
        let column = |table: &PlannedTable, column: &PlannedColumn| {
            let said = column_of(table, &column.name);
            let (description, semantic_type) =
                said.map(|said| (said.description, said.semantic_type)).unwrap_or_default();
            let (name, nullable) = (column.name.clone(), column.nullable);
            ColumnDocument { name, data_type: delta_name(&column.data_type), nullable, description, semantic_type }
        };
        let tables = plan.tables.iter().map(|table| TableColumns {
            table: table.stage.clone(),
            contract: contract_of(table).map(|contract| contract.value.label()),
            columns: table.columns.iter().map(|of| column(table, of)).collect(),
        });
        return Ok(output::json(&tables.collect::<Vec<_>>())?);
    }
    let mut rows = Vec::new();
    for table in &plan.tables {
        for column in &table.columns {
            let said = column_of(table, &column.name);
            let about = said.as_ref().and_then(|said| said.description.clone().or_else(|| said.semantic_type.clone()));
            let null = if column.nullable { "" } else { "not null" };
            rows.push(vec![
                table.stage.to_string().into(),
                column.name.clone().into(),
                delta_name(&column.data_type).into(),
                null.into(),
                contract_of(table).map(|contract| contract.value.label()).unwrap_or_default().into(),
                about.unwrap_or_default().into(),
            ]);
        }
    }
    let columns = [name("TABLE"), name("COLUMN"), prose("TYPE"), word("NULL"), name("CONTRACT"), prose("ABOUT")];
    Ok(output::table(&Table::new(columns).with(rows))?)
}

/// The Delta name of an engine type.
fn delta_name(data_type: &str) -> String {
    ContractType::parse(data_type).map_or_else(|| data_type.to_owned(), |found| found.to_string())
}
