//! `windlass cursors`: how far each table has come.

use super::{open_project, start};
use crate::args::{CursorsCommand, Global, Output};
use crate::failure::CommandError;
use crate::output;

/// Lists the cursors.
pub(crate) async fn run(global: &Global, command: &CursorsCommand) -> Result<(), CommandError> {
    let CursorsCommand::Ls(args) = command;
    let project = open_project(global, args)?;
    let windlass = start(global, &project).await?;
    let cursors = windlass.cursors(&project).await;
    windlass.stop().await;
    let cursors = cursors?;
    if global.output == Output::Json {
        return Ok(output::json(&cursors)?);
    }
    let rows = cursors.iter().map(|cursor| {
        vec![
            cursor.stage.to_string(),
            cursor.last_run.map_or_else(|| "none".to_owned(), |run| run.to_string()),
            cursor.version.map(|version| version.to_string()).unwrap_or_default(),
            cursor.app_id.to_string(),
        ]
    });
    Ok(output::text(&output::columns(&["STAGE", "LAST RUN", "VERSION", "TRANSACTIONS OF"], rows.collect(), &[1, 2]))?)
}
