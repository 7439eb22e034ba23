//! What `windlass pins` and `windlass tag` share: versions of tables that are kept by hand.

use windlass_client::{NewMark, VersionMark};

use super::{open_project, start};
use crate::args::{BindArgs, Global, NamedArgs, Output};
use crate::failure::CommandError;
use crate::output;

/// Sets a pin or a tag.
pub(super) async fn set(global: &Global, bind: &BindArgs, mark: NewMark) -> Result<(), CommandError> {
    let project = open_project(global, bind)?;
    let windlass = start(global, &project).await?;
    let mark = windlass.set_mark(&project, &mark).await;
    windlass.stop().await;
    show(global, &mark?, |mark| {
        let until = mark.expires_at.map(|at| format!(" until {}", output::time(at))).unwrap_or_default();
        format!("{} `{}` keeps version {} of `{}`{until}", kind(mark.tag), mark.name, mark.version, mark.table)
    })
}

/// Releases a pin, or removes a tag: what the command is for, since one is not to be taken for the other.
pub(super) async fn release(global: &Global, args: &NamedArgs, tag: bool) -> Result<(), CommandError> {
    let project = open_project(global, &args.target.bind())?;
    let windlass = start(global, &project).await?;
    let released = async {
        let marks = windlass.version_marks(&project).await?;
        if marks.iter().any(|mark| mark.name == args.name && mark.tag != tag) {
            return Err(CommandError::OtherMark { name: args.name.clone(), is_tag: !tag });
        }
        Ok(windlass.release_mark(&project, &args.name).await?)
    };
    let released = released.await;
    windlass.stop().await;
    show(global, &released?, |mark| {
        let what = if mark.tag { "removed" } else { "released" };
        let VersionMark { name, version, table, .. } = mark;
        format!("{} `{name}` is {what}: it does not keep version {version} of `{table}` any more", kind(mark.tag))
    })
}

fn show(global: &Global, mark: &VersionMark, text: impl Fn(&VersionMark) -> String) -> Result<(), CommandError> {
    match global.output {
        Output::Json => Ok(output::json(mark)?),
        _ => Ok(output::text(&format!("{}\n", text(mark)))?),
    }
}

/// What a mark is called.
pub(super) fn kind(tag: bool) -> &'static str {
    if tag { "tag" } else { "pin" }
}
