//! `windlass check`: every problem with a project, without reading data.

use serde_json::json;
use windlass_client::error::ClientError;
use windlass_client::project::load_project_with_fixtures;
use windlass_project::fixture_tests::check_with_fixtures;

use super::{open_project, project_dir};
use crate::args::{BindArgs, Global, Output};
use crate::failure::CommandError;
use crate::output;

/// Checks the project's files, its graph, its fixtures and the values of its parameters.
pub(crate) fn run(global: &Global, args: &BindArgs) -> Result<(), CommandError> {
    let files = load_project_with_fixtures(&project_dir(global)?).map_err(ClientError::from)?;
    let (_, fixtures) = check_with_fixtures(&files)?;
    let project = open_project(global, args)?;
    let params = project.graph.bind_params(&args.params)?;
    let (sources, stages) = (project.graph.sources.len(), project.graph.stages.len());
    if global.output == Output::Json {
        output::json(&json!({
            "pipeline": project.graph.name, "sources": sources, "stages": stages, "fixtures": fixtures.len(),
            "params": params, "problems": [],
        }))?;
    } else {
        output::text(&format!("{}: {sources} sources, {stages} stages, no problems\n", project.graph.name))?;
    }
    Ok(())
}
