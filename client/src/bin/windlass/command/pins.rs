//! `windlass pins`: what the active runs have pinned.

use super::{open_project, start_reading};
use crate::args::{Global, Output, PinsCommand};
use crate::failure::CommandError;
use crate::output::{self, Table, name, prose, word};

/// Lists the pins.
pub(crate) async fn run(global: &Global, command: &PinsCommand) -> Result<(), CommandError> {
    let PinsCommand::Ls(args) = command;
    let project = open_project(global, args)?;
    let windlass = start_reading(global, &project).await?;
    let pins = windlass.pins(&project).await;
    windlass.stop().await;
    let pins = pins?;
    if global.output == Output::Json {
        return Ok(output::json(&pins)?);
    }
    let rows = pins.iter().map(|pin| {
        let version = pin.version.map_or_else(|| "as listed".to_owned(), |version| version.to_string());
        vec![pin.run_id.to_string().into(), pin.name.to_string().into(), version.into(), pin.location.clone().into()]
    });
    Ok(output::table(&Table::new([name("RUN"), name("READS"), word("VERSION"), prose("LOCATION")]).with(rows))?)
}
