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
    Ok(output::table(&Table::new(columns).with(tables.iter().map(|table| row(table, &tables))))?)
}

/// The line of one of the `tables`.
fn row(table: &TableStatus, tables: &[TableStatus]) -> Vec<Cell> {
    let built = |text: String| Cell::from(if table.version.is_some() { text } else { NONE.to_owned() });
    let version = match table.version {
        Some(version) => Cell::from(version.to_string()),
        None if is_empty_quarantine(table, tables) => Cell::toned("empty", Tone::Faint),
        None => Cell::toned("not built", Tone::Faint),
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

/// Whether it is a quarantine that has no rows yet: there is none before its stage's table is built, which queries say too.
fn is_empty_quarantine(table: &TableStatus, tables: &[TableStatus]) -> bool {
    let is_stage = |other: &&TableStatus| Some(&other.name) == table.quarantine_of.as_ref();
    table.version.is_none() && tables.iter().find(is_stage).is_some_and(|stage| stage.version.is_some())
}

#[cfg(test)]
mod tests {
    use windlass_base::ids::{NodeName, TableVersion};

    use super::*;

    fn status(name: &str, version: Option<u64>, quarantine_of: Option<&str>) -> TableStatus {
        TableStatus {
            name: NodeName::new(name),
            quarantine_of: quarantine_of.map(NodeName::new),
            location: String::new(),
            version: version.map(TableVersion),
            committed_at: None,
            rows: None,
            files: 0,
            bytes: 0,
        }
    }

    #[test]
    fn a_quarantine_is_empty_only_if_its_stage_is_built() {
        let quarantine = status("orders__quarantine", None, Some("orders"));
        for (stage, is_empty) in [(None, false), (Some(3), true)] {
            let tables = [status("orders", stage, None), quarantine.clone()];
            assert_eq!(is_empty_quarantine(&quarantine, &tables), is_empty);
            assert!(!is_empty_quarantine(&tables[0], &tables));
        }
    }
}
