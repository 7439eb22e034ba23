//! `windlass schema`: the columns of the stages' tables, before or after they are built.

use serde_json::{Value, json};
use windlass_evidence::artifact::{PlannedColumn, PlannedTable, Refresh};
use windlass_project::contract::{ContractColumn, ContractType};

use super::{open_project, start};
use crate::args::{Global, Output, RefreshArgs, SelectArgs};
use crate::failure::CommandError;
use crate::output;

/// Shows the columns that a run of everything would write.
pub(crate) async fn run(global: &Global, args: &SelectArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.bind)?;
    let windlass = start(global, &project).await?;
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
            json!({
                "name": column.name, "type": delta_name(&column.data_type), "nullable": column.nullable,
                "description": said.as_ref().and_then(|said| said.description.clone()),
                "semantic_type": said.as_ref().and_then(|said| said.semantic_type.clone()),
            })
        };
        let tables: Vec<Value> = plan
            .tables
            .iter()
            .map(|table| {
                let columns: Vec<Value> = table.columns.iter().map(|of| column(table, of)).collect();
                let contract = contract_of(table).map(|contract| contract.value.label());
                json!({ "table": table.stage, "contract": contract, "columns": columns })
            })
            .collect();
        return Ok(output::json(&tables)?);
    }
    let mut rows = Vec::new();
    for table in &plan.tables {
        for column in &table.columns {
            let said = column_of(table, &column.name);
            let about = said.as_ref().and_then(|said| said.description.clone().or_else(|| said.semantic_type.clone()));
            let null = if column.nullable { "" } else { "not null" };
            rows.push(vec![
                table.stage.to_string(),
                column.name.clone(),
                delta_name(&column.data_type),
                null.to_owned(),
                contract_of(table).map(|contract| contract.value.label()).unwrap_or_default(),
                about.unwrap_or_default(),
            ]);
        }
    }
    Ok(output::text(&output::columns(&["TABLE", "COLUMN", "TYPE", "NULL", "CONTRACT", "ABOUT"], rows, &[]))?)
}

/// The Delta name of an engine type.
fn delta_name(data_type: &str) -> String {
    ContractType::parse(data_type).map_or_else(|| data_type.to_owned(), |found| found.to_string())
}
