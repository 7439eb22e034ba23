//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod ls;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod run;
pub(crate) mod runs;

use std::path::{Path, PathBuf};

use windlass_client::Project;
use windlass_client::embedded::{EmbeddedConfig, RunOptions, Windlass};
use windlass_client::error::ClientError;
use windlass_client::project::find_project_dir;

use crate::args::{BindArgs, Global, SelectArgs};
use crate::failure::CommandError;

/// The project's folder: the one given, or the nearest upwards.
fn project_dir(global: &Global) -> Result<PathBuf, CommandError> {
    match &global.project {
        Some(dir) => Ok(dir.clone()),
        None => Ok(find_project_dir(Path::new(".")).map_err(ClientError::from)?),
    }
}

fn open_project(global: &Global, bind: &BindArgs) -> Result<Project, CommandError> {
    Ok(Project::open(&project_dir(global)?, bind.target.as_deref(), &bind.sources)?)
}

/// Windlass in this process, in the project's home.
async fn start(global: &Global, project: &Project) -> Result<Windlass, CommandError> {
    let home = project.home(global.home.as_deref())?;
    Ok(Windlass::embedded(EmbeddedConfig::new(home, project.graph.session.clone())).await?)
}

fn run_options(args: &SelectArgs) -> RunOptions {
    RunOptions {
        select: args.select.clone(),
        exclude: args.exclude.clone(),
        params: args.bind.params.clone(),
        ..RunOptions::default()
    }
}
