//! `windlass tables`: the current tables of the stages.

use windlass_client::TableStatus;

use super::{open_project, start_reading};
use crate::args::{BindArgs, Global, Output};
use crate::failure::CommandError;
use crate::output::{self, Cell, NONE, Table, Tone, bytes, count, name, number, or_unknown, prose, time, word};

/// Lists the tables.
pub(crate) async fn run(global: &Global, args: &BindArgs) -> Result<(), CommandError> {
    let project = open_project(global, args)?;
    let windlass = start_reading(global, &project).await?;
    let tables = windlass.tables(&project).await;
    windlass.stop().await;
    let tables = tables?;
    if global.output == Output::Json {
        return Ok(output::json(&tables)?);
    }
    let location = match global.verbose {
        0 => prose("LOCATION").optional(),
        _ => prose("LOCATION"),
    };
    let columns = [name("TABLE"), number("VERSION"), number("ROWS"), number("FILES"), number("SIZE")];
    let columns: Vec<_> = columns.into_iter().chain([word("COMMITTED").optional(), location]).collect();
    Ok(output::table(&Table::new(columns).with(tables.iter().map(row)))?)
}

fn row(table: &TableStatus) -> Vec<Cell> {
    let built = |text: String| Cell::from(if table.version.is_some() { text } else { NONE.to_owned() });
    let version = match (table.version, &table.quarantine_of) {
        (Some(version), _) => Cell::from(version.to_string()),
        // Nothing went there yet.
        (None, Some(_)) => Cell::toned("empty", Tone::Faint),
        (None, None) => Cell::toned("not built", Tone::Faint),
    };
    vec![
        table.name.to_string().into(),
        version,
        built(or_unknown(table.rows, count)),
        built(count(table.files)),
        built(bytes(table.bytes)),
        built(or_unknown(table.committed_at, time)),
        table.location.clone().into(),
    ]
}
