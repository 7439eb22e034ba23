//! `windlass tables`: the current tables of the stages.

use super::{open_project, start};
use crate::args::{BindArgs, Global, Output};
use crate::failure::CommandError;
use crate::output::{self, bytes, count};

/// Lists the tables.
pub(crate) async fn run(global: &Global, args: &BindArgs) -> Result<(), CommandError> {
    let project = open_project(global, args)?;
    let windlass = start(global, &project).await?;
    let tables = windlass.tables(&project).await;
    windlass.stop().await;
    let tables = tables?;
    if global.output == Output::Json {
        return Ok(output::json(&tables)?);
    }
    let rows = tables.iter().map(|table| {
        vec![
            table.name.to_string(),
            table.version.map_or_else(|| "not built".to_owned(), |version| version.to_string()),
            count(table.files),
            bytes(table.bytes),
            table.committed_at.map(|at| at.format("%F %T").to_string()).unwrap_or_default(),
            table.location.clone(),
        ]
    });
    let headings = ["TABLE", "VERSION", "FILES", "SIZE", "COMMITTED (UTC)", "AT"];
    Ok(output::text(&output::columns(&headings, rows.collect(), &[1, 2, 3]))?)
}
