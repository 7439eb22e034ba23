//! `windlass check`: every problem with a project, without reading data.

use windlass_client::document::CheckDocument;
use windlass_client::error::ClientError;
use windlass_client::project::load_project_with_fixtures;
use windlass_project::fixture_tests::check_with_fixtures;

use super::{open_project, project_dir};
use crate::args::{BindArgs, Global, Output};
use crate::failure::CommandError;
use crate::output::{self, counted};

/// Checks the project's files, its graph, its fixtures and the values of its parameters.
pub(crate) fn run(global: &Global, args: &BindArgs) -> Result<(), CommandError> {
    let files = load_project_with_fixtures(&project_dir(global)?).map_err(ClientError::from)?;
    let (_, fixtures) = check_with_fixtures(&files)?;
    let project = open_project(global, args)?;
    let params = project.graph.bind_params(&args.params)?;
    let (sources, stages) = (project.graph.sources.len(), project.graph.stages.len());
    if global.output == Output::Json {
        // Values of parameters are plain: there is nothing in them that JSON refuses.
        let value = |value| serde_json::to_value(value).unwrap_or_default();
        let pipeline = project.graph.name.clone();
        return Ok(output::json(&CheckDocument {
            pipeline,
            sources,
            stages,
            fixtures: fixtures.len(),
            params: params.iter().map(|(name, of)| (name.clone(), value(of))).collect(),
            problems: Vec::new(),
        })?);
    }
    let (sources, stages) = (counted(sources, "source"), counted(stages, "stage"));
    Ok(output::text(&format!("{}: {sources}, {stages}, no problems\n", project.graph.name))?)
}
