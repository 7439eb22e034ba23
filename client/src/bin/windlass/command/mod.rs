//! The commands, one file each.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod contract;
pub(crate) mod cursors;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod lineage;
pub(crate) mod ls;
pub(crate) mod maintain;
pub(crate) mod man;
mod marks;
pub(crate) mod pins;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod registry;
pub(crate) mod run;
mod run_again;
pub(crate) mod runs;
mod runs_diff;
pub(crate) mod schema;
pub(crate) mod tables;
pub(crate) mod tag;
pub(crate) mod test;
pub(crate) mod ui;

use std::path::{Path, PathBuf};

use windlass_base::ids::NodeName;
use windlass_client::embedded::{EmbeddedConfig, EngineKind, local_runs};
use windlass_client::error::ClientError;
use windlass_client::project::find_project_dir;
use windlass_client::{Project, RunOptions, Runs, Windlass};
use windlass_evidence::artifact::{Refresh, RunRecord};

use crate::args::{BindArgs, EngineArg, Global, RefreshArgs, SelectArgs};
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

/// Connects to the given cluster, or starts an embedded Windlass that writes to the project's home.
async fn start(global: &Global, project: &Project) -> Result<Windlass, CommandError> {
    start_as(global, project, false).await
}

/// As [`start`], for commands that only read: they leave the home as it is, and need not be allowed to write to it.
async fn start_reading(global: &Global, project: &Project) -> Result<Windlass, CommandError> {
    start_as(global, project, true).await
}

async fn start_as(global: &Global, project: &Project, read_only: bool) -> Result<Windlass, CommandError> {
    if let Some(url) = &global.cluster {
        return Ok(Windlass::connect(url).await?);
    }
    let home = project.home(global.home.as_deref())?;
    let engine = match global.engine {
        EngineArg::Local => EngineKind::Local,
        EngineArg::Cluster => EngineKind::Cluster,
    };
    let config = EmbeddedConfig { engine, read_only, ..EmbeddedConfig::new(home, project.graph.session.clone()) };
    Ok(Windlass::embedded(config).await?)
}

/// The project's runs, in its home or on the cluster.
async fn open_runs(global: &Global, project: &Project) -> Result<Runs, CommandError> {
    match &global.cluster {
        Some(url) => Ok(Windlass::connect(url).await?.runs(project).await?),
        None => Ok(local_runs(&project.home(global.home.as_deref())?).await?),
    }
}

/// What a run was asked to do, in the words of its options.
fn selection_of(record: &RunRecord) -> String {
    let mut text = record.select.clone().unwrap_or_else(|| "all".to_owned());
    if let Some(excluded) = &record.exclude {
        text.push_str(&format!(" --exclude {excluded}"));
    }
    if !record.refresh.full.is_empty() {
        text.push_str(" --full-refresh");
    }
    let range = |option: &str, versions: &[(Option<NodeName>, u64)]| -> String {
        let version = |(source, version): &(Option<NodeName>, u64)| match source {
            Some(source) => format!(" {option} {source}={version}"),
            None => format!(" {option} {version}"),
        };
        versions.iter().map(version).collect()
    };
    text.push_str(&range("--from-version", &record.refresh.from_versions));
    text.push_str(&range("--to-version", &record.refresh.to_versions));
    text
}

fn run_options(args: &SelectArgs, refresh: &RefreshArgs) -> RunOptions {
    RunOptions {
        select: args.select.clone(),
        exclude: args.exclude.clone(),
        params: args.bind.params.clone(),
        refresh: Refresh {
            full: refresh.full_refresh.clone(),
            from_versions: refresh.from_version.clone(),
            to_versions: refresh.to_version.clone(),
        },
        ..RunOptions::default()
    }
}
