//! The baseline: a project run by plain single-process DataFusion and the `deltalake` crate, stage by stage.
//!
//! ```text
//! project files ─graph::check→ PipelineGraph ─session::register→ sources
//!     ─per stage, in order→ plan ─┬ view:  registered as it is
//!                                 ├ cache: Parquet files below <out>/cache, dropped at the end
//!                                 └ table: deltalake's own write operation into <out>/tables/<stage>
//! ```
//!
//! It does what a sensible person does who has the same SQL and no Windlass, so it is an oracle for results and the
//! base line for times. Caches go to Parquet rather than to memory because nobody knows beforehand how large they
//! are, and a run that dies of one big stage is not sensible.

mod error;
mod report;
mod session;
mod source;
mod write;

use std::path::{Path, PathBuf};
use std::time::Instant;

use datafusion::common::{ParamValues, TableReference};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use windlass_base::ids::NodeName;
use windlass_client::Project;
use windlass_engine::codec::logical::decode_plan;
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, TableInput, register};
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::StageQuery;
use windlass_project::spec::table::Materialize;
use windlass_scheduler::plan::engine_params;
use windlass_storage::Location;

pub use error::PlainError;
pub use report::{PlainReport, PlainStage};
pub use session::PlainEngine;

/// How to run a project.
#[derive(Debug, Clone)]
pub struct PlainOptions {
    /// Where tables and caches go. A stage's own `io.location` is not used, so that the baseline never writes into the
    /// tables that it is compared with.
    pub out_dir: PathBuf,
    /// Names of sources, and locations that replace those of the project: URLs or paths, relative ones from the current
    /// folder.
    pub sources: Vec<(String, String)>,
    /// Names and values of parameters.
    pub params: Vec<(String, String)>,
    /// The number of partitions, if different from the project's.
    pub target_partitions: Option<usize>,
    /// The engine's settings.
    pub engine: PlainEngine,
}

impl PlainOptions {
    /// Tables below `out_dir`, everything else as in the project and DataFusion's defaults.
    pub fn new(out_dir: impl Into<PathBuf>) -> Self {
        Self {
            out_dir: out_dir.into(),
            sources: Vec::new(),
            params: Vec::new(),
            target_partitions: None,
            engine: PlainEngine::default(),
        }
    }
}

/// Runs every stage of the project in the folder `project`, one after the other, and reports the result of each.
///
/// # Errors
/// [`PlainError`] at the first problem of the project, of a source or of a stage.
pub async fn run_project(project: &Path, options: &PlainOptions) -> Result<PlainReport, PlainError> {
    let started = Instant::now();
    let project = Project::open(project, None, &options.sources)?;
    let graph = project.graph.as_ref();
    let runner = Runner::new(&project, options)?;
    runner.open_sources(graph).await?;
    let sources_seconds = started.elapsed().as_secs_f64();
    let mut stages = Vec::with_capacity(graph.stages.len());
    for stage in &graph.stages {
        stages.push(runner.run(stage).await?);
    }
    runner.drop_caches()?;
    Ok(PlainReport { stages, sources_seconds, seconds: started.elapsed().as_secs_f64() })
}

/// A session with all locations.
struct Runner {
    sessions: Sessions,
    ctx: SessionContext,
    params: ParamValues,
    project: PathBuf,
    out: PathBuf,
}

impl Runner {
    fn new(project: &Project, options: &PlainOptions) -> Result<Self, PlainError> {
        let mut settings = project.graph.session.clone();
        settings.target_partitions = options.target_partitions.unwrap_or(settings.target_partitions);
        let sessions = Sessions::new(settings, Functions::standard())?.in_process()?;
        let ctx = session::context(&sessions, options.engine)?;
        let params = engine_params(&project.graph.bind_params(&options.params)?);
        let out = std::path::absolute(&options.out_dir)
            .map_err(|source| PlainError::Folder { path: options.out_dir.clone(), source })?;
        Ok(Self { sessions, ctx, params, project: project.dir.clone(), out })
    }

    async fn open_sources(&self, graph: &PipelineGraph) -> Result<(), PlainError> {
        for (name, source) in &graph.sources {
            if !graph.readers(name).is_empty() {
                source::open(&self.ctx, self.sessions.stores(), name, &source.kind, &self.project).await?;
            }
        }
        Ok(())
    }

    async fn run(&self, stage: &Stage) -> Result<PlainStage, PlainError> {
        let started = Instant::now();
        let plan = self.plan(stage).await.map_err(|source| PlainError::stage(stage, source))?;
        let mut done = match stage.materialize {
            Materialize::View => {
                register(&self.ctx, self.sessions.stores(), &stage.name, TableInput::Plan(plan)).await?;
                PlainStage::view(stage)
            }
            Materialize::Cache => self.write_cache(stage, plan).await?,
            Materialize::Table => self.write_table(stage, plan).await?,
        };
        done.seconds = started.elapsed().as_secs_f64();
        Ok(done)
    }

    async fn plan(&self, stage: &Stage) -> EngineResult<LogicalPlan> {
        let plan = match &stage.query {
            StageQuery::Sql(sql) => self.ctx.state().create_logical_plan(&sql.text).await?,
            StageQuery::Plan(plan) => {
                let reads = stage.reads.iter().map(NodeName::as_str).collect();
                let params = stage.params.iter().map(String::as_str).collect();
                let decoded = decode_plan(&plan.bytes, &self.ctx, &reads, &params).await;
                decoded.map_err(|error| DataFusionError::External(Box::new(error)))?
            }
        };
        plan.with_param_values(self.params.clone())
    }

    async fn write_cache(&self, stage: &Stage, plan: LogicalPlan) -> Result<PlainStage, PlainError> {
        let folder = self.out.join("cache").join(stage.name.as_str());
        let files =
            write::write_parquet(&self.ctx, plan, &folder).await.map_err(|source| PlainError::stage(stage, source))?;
        let location = Location::from_path(&folder)?;
        let input = source::parquet_folder(location);
        register(&self.ctx, self.sessions.stores(), &stage.name, input).await?;
        Ok(PlainStage::written(stage, files))
    }

    async fn write_table(&self, stage: &Stage, plan: LogicalPlan) -> Result<PlainStage, PlainError> {
        let folder = self.out.join("tables").join(stage.name.as_str());
        std::fs::create_dir_all(&folder).map_err(|source| PlainError::Folder { path: folder.clone(), source })?;
        let location = Location::from_path(&folder)?;
        let failed = |source| PlainError::write(stage, source);
        let table = write::write_delta(&self.ctx, stage, plan, &location).await.map_err(failed)?;
        let files = write::files_of(&table).await.map_err(failed)?;
        self.register_table(&stage.name, &table).await.map_err(|source| PlainError::stage(stage, source))?;
        Ok(PlainStage::written(stage, files))
    }

    async fn register_table(&self, name: &NodeName, table: &DeltaTable) -> EngineResult<()> {
        let provider = source::delta_provider(&self.ctx, table).await?;
        self.ctx.register_table(TableReference::bare(name.as_str()), provider)?;
        Ok(())
    }

    fn drop_caches(&self) -> Result<(), PlainError> {
        let path = self.out.join("cache");
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(PlainError::Folder { path, source }),
            _ => Ok(()),
        }
    }
}
