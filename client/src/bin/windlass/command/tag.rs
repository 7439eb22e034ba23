//! `windlass tag`: names for versions of tables, under which they are kept.

use windlass_client::{NewMark, VersionMark};

use super::{marks, open_project, start_reading};
use crate::args::{BindArgs, Global, Output, TagArgs, TagCommand};
use crate::failure::CommandError;
use crate::output::{self, Table, name, number, or_none, prose, time, word};

/// Sets a tag, lists the tags, or removes one.
pub(crate) async fn run(global: &Global, args: TagArgs) -> Result<(), CommandError> {
    match args {
        TagArgs { command: Some(TagCommand::Ls(bind)), .. } => list(global, &bind).await,
        TagArgs { command: Some(TagCommand::Rm(args)), .. } => marks::release(global, &args, true).await,
        TagArgs { table: Some(at), name: Some(name), reason, target, .. } => {
            let mark = NewMark { name, tag: true, table: at.table, version: at.version, expires_at: None, reason };
            marks::set(global, &target.bind(), mark).await
        }
        // The arguments require both.
        TagArgs { .. } => Err(CommandError::Usage {
            message: "a tag needs a table and a name".to_owned(),
            help: "write `windlass tag TABLE@VERSION NAME`".to_owned(),
        }),
    }
}

async fn list(global: &Global, bind: &BindArgs) -> Result<(), CommandError> {
    let project = open_project(global, bind)?;
    let windlass = start_reading(global, &project).await?;
    let marks = windlass.version_marks(&project).await;
    windlass.stop().await;
    let tags: Vec<VersionMark> = marks?.into_iter().filter(|mark| mark.tag).collect();
    if global.output == Output::Json {
        return Ok(output::json(&tags)?);
    }
    let rows = tags.into_iter().map(|tag| {
        vec![
            tag.name.into(),
            tag.table.to_string().into(),
            tag.version.to_string().into(),
            time(tag.created_at).into(),
            or_none(tag.reason).into(),
        ]
    });
    let columns = [name("TAG"), name("TABLE"), number("VERSION"), word("SET").optional(), prose("REASON")];
    Ok(output::table(&Table::new(columns).with(rows))?)
}
