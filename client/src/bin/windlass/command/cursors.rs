//! `windlass cursors`: shows how far each table has consumed its sources, and resets cursors.

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;
use windlass_client::{CursorReset, CursorStatus};
use windlass_evidence::artifact::SourceCursor;

use super::{open_project, start};
use crate::args::{BindArgs, CursorsCommand, Global, Output, ResetArgs};
use crate::failure::CommandError;
use crate::output::{self, count};

/// Lists the cursors, shows those of a stage, or resets them.
pub(crate) async fn run(global: &Global, command: &CursorsCommand) -> Result<(), CommandError> {
    match command {
        CursorsCommand::Ls(bind) => {
            let cursors = cursors(global, bind).await?;
            if global.output == Output::Json {
                return Ok(output::json(&cursors)?);
            }
            Ok(output::text(&list(&cursors))?)
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
    let windlass = start(global, &project).await?;
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
fn list(cursors: &[CursorStatus]) -> String {
    let rows = cursors.iter().flat_map(|cursor| {
        let stage = |source: Option<&SourceCursor>| {
            vec![
                cursor.stage.to_string(),
                cursor.last_run.map_or_else(|| "none".to_owned(), |run| run.to_string()),
                cursor.version.map(|version| version.to_string()).unwrap_or_default(),
                source.map(|source| source.source.to_string()).unwrap_or_default(),
                source.map(position).unwrap_or_default(),
                source.and_then(|source| source.behind).map(count).unwrap_or_default(),
            ]
        };
        match cursor.sources.as_slice() {
            [] => vec![stage(None)],
            sources => sources.iter().map(|source| stage(Some(source))).collect(),
        }
    });
    let headings = ["STAGE", "LAST RUN", "VERSION", "READS", "TAKEN IN", "BEHIND"];
    output::columns(&headings, rows.collect(), &[1, 2, 5])
}

fn show(global: &Global, cursor: &CursorStatus) -> Result<(), CommandError> {
    if global.output == Output::Json {
        return Ok(output::json(cursor)?);
    }
    let mut text = format!(
        "stage            {}\nversion          {}\nlast run         {}\ntransactions of  {}\n",
        cursor.stage,
        cursor.version.map_or_else(|| "not built".to_owned(), |version| version.to_string()),
        cursor.last_run.map_or_else(|| "none".to_owned(), |run| run.to_string()),
        cursor.app_id,
    );
    if !cursor.sources.is_empty() {
        let rows = cursor.sources.iter().map(|source| {
            vec![
                source.source.to_string(),
                position(source),
                source.behind.map(count).unwrap_or_default(),
                source.table_id.clone().unwrap_or_default(),
            ]
        });
        text.push('\n');
        text.push_str(&output::columns(&["READS", "TAKEN IN", "BEHIND", "TABLE"], rows.collect(), &[2]));
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
