//! A submitted project: from the digests of its files to what can be planned and run.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use windlass_api::{assemble, refresh_from_wire, v1};
use windlass_base::ids::{NodeName, PipelineName, RunId};
use windlass_project::graph::{PipelineGraph, check};
use windlass_project::spec::{Problem, Problems};
use windlass_storage::Location;

use super::error::{ServiceError, bad_request};
use super::server::{ApiConfig, Shared};
use crate::Scheduler;
use crate::home::Home;
use crate::plan::PlanRequest;
use crate::planning::on_planning_threads;

/// A project as it was submitted, settled: its target applied, its sources where they shall be.
pub(super) struct Submitted {
    pub(super) graph: Arc<PipelineGraph>,
    params: Vec<(String, String)>,
    pub(super) home: Home,
    base: Location,
}

impl Submitted {
    /// Puts a project together from the files that are here and checks it whole.
    pub(super) async fn open(shared: &Arc<Shared>, project: Option<v1::Project>) -> Result<Self, ServiceError> {
        let listed = project.as_ref().map(|project| project.files.as_slice()).unwrap_or_default();
        let contents = shared.files.contents(listed);
        Self::open_from(shared, project, contents).await
    }

    /// As [`Submitted::open`], from the contents of its files by their digests.
    pub(super) async fn open_from(
        shared: &Arc<Shared>,
        project: Option<v1::Project>,
        contents: HashMap<String, Bytes>,
    ) -> Result<Self, ServiceError> {
        let shared = Arc::clone(shared);
        on_planning_threads(async move { Self::check(&shared.config, &contents, project) }).await
    }

    fn check(
        config: &ApiConfig,
        contents: &HashMap<String, Bytes>,
        project: Option<v1::Project>,
    ) -> Result<Self, ServiceError> {
        let project = project.ok_or_else(|| bad_request("it names no project"))?;
        let texts = assemble(&project.files, contents, config.project_limit)?;
        let mut graph = check(&texts)?;
        if !project.target.is_empty() {
            graph = graph.apply_target(&project.target)?;
        }
        for (name, location) in &project.sources {
            graph = graph.with_source_at(name, location)?;
        }
        let home = home_of(config, &graph.name, graph.home.as_deref().unwrap_or_default())?;
        let params = project.params.into_iter().collect();
        Ok(Self { graph: Arc::new(graph), params, home, base: config.data.clone() })
    }

    /// The project as the planner takes it.
    pub(super) fn plan_request(
        &self,
        run: RunId,
        selection: Option<v1::Selection>,
    ) -> Result<PlanRequest, ServiceError> {
        let selection = selection.unwrap_or_default();
        Ok(PlanRequest {
            graph: Arc::clone(&self.graph),
            base: self.base.clone(),
            home: self.home.clone(),
            params: self.graph.bind_params(&self.params)?,
            select: selection.select,
            exclude: selection.exclude,
            refresh: refresh_from_wire(selection.refresh),
            run,
            fixed: None,
        })
    }

    /// The scheduler with this project's sessions.
    pub(super) async fn scheduler(&self, process: &Scheduler) -> Result<Scheduler, ServiceError> {
        let tasks = process.engine.capacity().await.vcores;
        let sessions = process.sessions.for_project(&self.graph.session, tasks);
        let sessions = sessions.map_err(crate::plan::PlanError::from)?;
        Ok(Scheduler {
            sessions: Arc::new(sessions),
            engine: process.engine.clone(),
            state: Arc::clone(&process.state),
            turns: process.turns.clone(),
            leadership: process.leadership.clone(),
        })
    }

    /// A stage of the project that a request names.
    pub(super) fn node(&self, name: &str) -> Result<NodeName, ServiceError> {
        let node = NodeName::new(name);
        match self.graph.node(&node) {
            Some(_) => Ok(node),
            None => {
                let code = windlass_project::spec::codes::UNKNOWN_SOURCE;
                let problem = Problem::new(code, format!("the project has no source or stage `{name}`"));
                Err(Problems::one(problem, &self.graph.files).into())
            }
        }
    }
}

/// Where the runs of a pipeline are kept: below the scheduler's home, unless the project's target gives a URL.
///
/// A path on a client's machine means nothing here and is passed over.
pub(super) fn home_of(config: &ApiConfig, pipeline: &PipelineName, given: &str) -> Result<Home, ServiceError> {
    if given.contains("://") {
        let home = config.home.resolve(given).map_err(|error| bad_request(error.to_string()))?;
        // However it is written: what lies on a disk here is not for clients to choose.
        if home.local_path().is_none() {
            return Ok(Home::new(home));
        }
    }
    let name = PipelineName::parse(pipeline.as_str()).map_err(|error| bad_request(error.to_string()))?;
    Ok(Home::new(config.home.join(name.as_str())))
}

/// The home that a request's scope means.
pub(super) fn home_of_scope(config: &ApiConfig, scope: Option<v1::Scope>) -> Result<Home, ServiceError> {
    let scope = scope.unwrap_or_default();
    home_of(config, &PipelineName::new(scope.pipeline), &scope.home)
}
