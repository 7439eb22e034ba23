//! `windlass cursors`: shows how far each table has consumed its sources, and resets cursors.

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;
use windlass_client::{CursorReset, CursorStatus};
use windlass_evidence::artifact::SourceCursor;

use super::{open_project, start, start_reading};
use crate::args::{BindArgs, CursorsCommand, Global, Output, ResetArgs};
use crate::failure::CommandError;
use crate::output::{self, Cell, Layout, Table, count, fields, name, number, word};

/// Lists the cursors, shows those of a stage, or resets them.
pub(crate) async fn run(global: &Global, command: &CursorsCommand) -> Result<(), CommandError> {
    match command {
        CursorsCommand::Ls(bind) => {
            let cursors = cursors(global, bind).await?;
            if global.output == Output::Json {
                return Ok(output::json(&cursors)?);
            }
            Ok(output::table(&list(&cursors))?)
        }
        CursorsCommand::Show { stage, bind } => {
            let cursors = cursors(global, bind).await?;
            let Some(cursor) = cursors.iter().find(|cursor| cursor.stage.as_str() == stage) else {
                let stages = cursors.iter().map(|cursor| cursor.stage.as_str());
                let help = did_you_mean(stage, "there are", stages);
                return Err(CommandError::NoCursors { stage: stage.clone(), help });
            };
            show(global, cursor)
        }
        CursorsCommand::Reset(args) => reset(global, args).await,
    }
}

async fn cursors(global: &Global, bind: &BindArgs) -> Result<Vec<CursorStatus>, CommandError> {
    let project = open_project(global, bind)?;
    let windlass = start_reading(global, &project).await?;
    let cursors = windlass.cursors(&project).await;
    windlass.stop().await;
    Ok(cursors?)
}

async fn reset(global: &Global, args: &ResetArgs) -> Result<(), CommandError> {
    if !args.yes {
        let what = args.to.map_or_else(
            || format!("all sources of `{}` will count as not consumed", args.stage),
            |to| format!("version {to} will count as the last one consumed by `{}`", args.stage),
        );
        return Err(CommandError::Usage {
            message: format!("a reset changes what the next run computes: {what}"),
            help: "confirm with `--yes`".to_owned(),
        });
    }
    let project = open_project(global, &args.bind())?;
    let windlass = start(global, &project).await?;
    let reset = CursorReset {
        stage: NodeName::new(args.stage.clone()),
        source: args.source.clone().map(NodeName::new),
        to: args.to.map(windlass_base::ids::TableVersion),
        reason: args.reason.clone(),
    };
    let cursor = windlass.reset_cursor(&project, &reset).await;
    windlass.stop().await;
    show(global, &cursor?)
}

/// One line per source, and one for a stage without any.
fn list(cursors: &[CursorStatus]) -> Table {
    let rows = cursors.iter().flat_map(|cursor| {
        let stage = |source: Option<&SourceCursor>| -> Vec<Cell> {
            vec![
                cursor.stage.to_string().into(),
                cursor.last_run.map_or_else(|| "none".to_owned(), |run| run.to_string()).into(),
                cursor.version.map(|version| version.to_string()).unwrap_or_default().into(),
                source.map(|source| source.source.to_string()).unwrap_or_default().into(),
                source.map(position).unwrap_or_default().into(),
                source.and_then(|source| source.behind).map(count).unwrap_or_default().into(),
            ]
        };
        match cursor.sources.as_slice() {
            [] => vec![stage(None)],
            sources => sources.iter().map(|source| stage(Some(source))).collect(),
        }
    });
    let columns =
        [name("STAGE"), number("LAST RUN"), number("VERSION"), name("READS"), word("APPLIED"), number("BEHIND")];
    Table::new(columns).with(rows)
}

fn show(global: &Global, cursor: &CursorStatus) -> Result<(), CommandError> {
    if global.output == Output::Json {
        return Ok(output::json(cursor)?);
    }
    let layout = Layout::stdout();
    let facts: [(&str, Cell); 4] = [
        ("stage", cursor.stage.to_string().into()),
        ("version", cursor.version.map_or_else(|| "not built".to_owned(), |version| version.to_string()).into()),
        ("last run", cursor.last_run.map_or_else(|| "none".to_owned(), |run| run.to_string()).into()),
        ("transactions of", cursor.app_id.to_string().into()),
    ];
    let mut text = fields(facts, layout);
    if !cursor.sources.is_empty() {
        let rows = cursor.sources.iter().map(|source| {
            vec![
                source.source.to_string().into(),
                position(source).into(),
                source.behind.map(count).unwrap_or_default().into(),
                source.table_id.clone().unwrap_or_default().into(),
            ]
        });
        let columns = [name("READS"), word("APPLIED"), number("BEHIND"), name("TABLE")];
        text.push_str(&format!("\n{}", Table::new(columns).with(rows).render(layout)));
    }
    Ok(output::text(&text)?)
}

fn position(cursor: &SourceCursor) -> String {
    match (cursor.version, &cursor.table_id) {
        (None, _) => "nothing".to_owned(),
        (Some(..0), _) => "reset".to_owned(),
        (Some(version), Some(_)) => format!("version {version}"),
        // The hash of a listing is meaningless to users.
        (Some(_), None) => "as listed then".to_owned(),
    }
}
