//! Builds a project in code: with the same files, the same checks and the same result as one from a folder.
//!
//! ```
//! use std::sync::Arc;
//!
//! use datafusion::arrow::datatypes::{DataType, Field, Schema};
//! use datafusion::functions_aggregate::expr_fn::sum;
//! use datafusion::prelude::{col, placeholder};
//! use windlass_client::builder::{ProjectBuilder, Source, StageBuilder, planning_context};
//! use windlass_project::spec::{ParamValue, StageQuery};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let columns = Schema::new(vec![
//!     Field::new("customer", DataType::Utf8, true),
//!     Field::new("amount", DataType::Int64, true),
//! ]);
//! // A table without rows, for building plans.
//! let session = planning_context(&[("orders", Arc::new(columns))])?;
//! let totals = session
//!     .table("orders")
//!     .await?
//!     .filter(col("amount").gt_eq(placeholder("$least")))?
//!     .aggregate(vec![col("customer")], vec![sum(col("amount")).alias("total")])?;
//!
//! let project = ProjectBuilder::new("shop")
//!     .source("orders", Source::delta("../lake/orders"))
//!     .param("least", ParamValue::Long(10))
//!     .stage(StageBuilder::data_frame("totals", totals).tag("layer", "summary"))
//!     .stage(StageBuilder::sql("best", "SELECT customer FROM totals ORDER BY total DESC LIMIT 10"))
//!     .build()?;
//!
//! let totals = project.graph.stage(&"totals".into()).expect("a stage");
//! assert!(matches!(totals.query, StageQuery::Plan(_)));
//! assert_eq!(totals.reads, ["orders".into()]);
//! assert_eq!(totals.params, ["least"]);
//! # Ok(())
//! # }
//! ```

mod error;
mod maintenance;
mod source;
mod stage;
mod yaml;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[cfg(feature = "plans")]
use datafusion::arrow::datatypes::SchemaRef;
#[cfg(feature = "plans")]
use datafusion::prelude::SessionContext;
#[cfg(feature = "plans")]
use windlass_engine::function::Functions;
use windlass_project::graph::check;
use windlass_project::maintenance::ProjectMaintenance;
use windlass_project::spec::files::{MANIFEST, STAGES_DIR};
use windlass_project::spec::pipeline::{SessionPatch, SourceOverride};
use windlass_project::spec::table::{Incremental, Materialize, MergeWrite, OnDefinitionChange};
use windlass_project::spec::{ProjectFiles, RunSettings, TargetSpec};

pub use error::BuildError;
pub use source::{Param, Source};
pub use stage::StageBuilder;
use yaml::{Map, Yaml};

use crate::error::ClientError;
use crate::project::Project;

/// A session for building plans for [`StageBuilder::plan`]. It has the tables by name and columns, without rows, and
/// Windlass's functions.
///
/// # Errors
/// [`ClientError::Session`] if a table is given twice.
#[cfg(feature = "plans")]
pub fn planning_context(tables: &[(&str, SchemaRef)]) -> Result<SessionContext, ClientError> {
    Ok(windlass_engine::session::planning_context(tables, Functions::standard())?)
}

/// A project that is built in code.
#[derive(Debug, Clone)]
#[must_use]
pub struct ProjectBuilder {
    manifest: Map,
    stages: Vec<StageBuilder>,
    dir: PathBuf,
}

impl ProjectBuilder {
    /// A project with only a name.
    pub fn new(name: impl Into<String>) -> Self {
        let mut manifest = Map::default();
        manifest.set("name", Yaml::text(name));
        Self { manifest, stages: Vec::new(), dir: PathBuf::from(".") }
    }

    /// The base of relative locations, unless the project is written to a folder; by default the current folder.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    /// What the pipeline is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.manifest.set("description", Yaml::text(text));
        self
    }

    /// Adds a source.
    pub fn source(mut self, name: &str, source: Source) -> Self {
        self.manifest.enter("sources", name, source.into_yaml());
        self
    }

    /// Adds a parameter: a [`Param`], or a default.
    pub fn param(mut self, name: &str, param: impl Into<Param>) -> Self {
        self.manifest.enter("params", name, param.into().into_yaml());
        self
    }

    /// Adds a stage.
    pub fn stage(mut self, stage: StageBuilder) -> Self {
        self.stages.push(stage);
        self
    }

    /// A tag of every stage that does not set it itself.
    pub fn default_tag(mut self, key: &str, value: impl Into<String>) -> Self {
        let mut defaults = self.defaults();
        defaults.enter("tags", key, Yaml::text(value));
        self.set_defaults(defaults)
    }

    /// The default materialization of stages.
    pub fn default_materialize(mut self, materialize: Materialize) -> Self {
        let mut defaults = self.defaults();
        defaults.set("materialize", stage::word(materialize));
        self.set_defaults(defaults)
    }

    /// A property of every Delta table that does not set it itself.
    pub fn default_property(mut self, key: &str, value: impl Into<String>) -> Self {
        let mut defaults = self.defaults();
        defaults.enter("properties", key, Yaml::text(value));
        self.set_defaults(defaults)
    }

    /// The default target size of data files in bytes.
    pub fn default_target_file_bytes(mut self, bytes: u64) -> Self {
        let mut defaults = self.defaults();
        defaults.set("target_file_size", Yaml::plain(bytes));
        self.set_defaults(defaults)
    }

    /// Whether tables are by default updated from the changes of their inputs.
    pub fn default_incremental(mut self, incremental: Incremental) -> Self {
        let mut defaults = self.defaults();
        defaults.set("incremental", Yaml::text(incremental.as_str()));
        self.set_defaults(defaults)
    }

    /// How changed rows are replaced by default.
    pub fn default_merge(mut self, merge: MergeWrite) -> Self {
        let mut defaults = self.defaults();
        defaults.set("merge", Yaml::text(merge.as_str()));
        self.set_defaults(defaults)
    }

    /// What happens by default to the rows of a former definition.
    pub fn default_on_definition_change(mut self, policy: OnDefinitionChange) -> Self {
        let mut defaults = self.defaults();
        defaults.set("on_definition_change", Yaml::text(policy.as_str()));
        self.set_defaults(defaults)
    }

    /// How the tables of all stages are maintained, and those of layers.
    pub fn maintenance(mut self, maintenance: &ProjectMaintenance) -> Self {
        self.manifest.set_map("maintenance", maintenance::of_project(maintenance));
        self
    }

    /// Settings of the engine.
    pub fn session(mut self, session: &SessionPatch) -> Self {
        self.manifest.set_map("session", session_yaml(session));
        self
    }

    /// Settings of runs.
    pub fn run(mut self, run: &RunSettings) -> Self {
        let mut map = Map::default();
        map.set("max_parallel_stages", Yaml::plain(run.max_parallel_stages));
        map.set("retries", Yaml::plain(run.retries));
        map.set("fail_fast", Yaml::plain(run.fail_fast));
        self.manifest.set_map("run", map);
        self
    }

    /// Adds a target: the same pipeline with other locations and settings.
    pub fn target(mut self, name: &str, target: &TargetSpec) -> Self {
        let mut map = Map::default();
        for (param, value) in &target.params {
            map.enter("params", param, source::value(value));
        }
        map.set_map("session", session_yaml(&target.session));
        for (source, change) in &target.sources {
            let change = match change {
                SourceOverride::Kind(kind) => Source::from(kind).into_yaml(),
                SourceOverride::Location(location) => {
                    let mut place = Map::default();
                    place.set("location", Yaml::text(location));
                    Yaml::Map(place)
                }
            };
            map.enter("sources", source.as_str(), change);
        }
        for (dataset, change) in &target.datasets {
            map.enter("datasets", dataset.as_str(), Yaml::Map(stage::dataset(change)));
        }
        map.set_some("home", &target.home, |text| Yaml::text(text));
        self.manifest.enter("targets", name, Yaml::Map(map));
        self
    }

    fn defaults(&mut self) -> Map {
        self.manifest.take_map("defaults")
    }

    fn set_defaults(mut self, defaults: Map) -> Self {
        self.manifest.set_map("defaults", defaults);
        self
    }

    /// The files of the project, without checking them.
    ///
    /// # Errors
    /// [`BuildError::Plan`] if the plan of a stage cannot be sent to another process.
    pub fn files(&self) -> Result<ProjectFiles, BuildError> {
        let mut files = ProjectFiles::new();
        files.insert(MANIFEST, &self.manifest.to_text());
        let mut taken = BTreeSet::new();
        for (index, stage) in self.stages.iter().enumerate() {
            // A name that is not valid for a file, or a duplicate, is written in the header, where the check finds it.
            let own = stage.file_stem().filter(|stem| taken.insert(stem.to_ascii_lowercase()));
            let stem = own.map_or_else(|| format!("stage-{index}"), str::to_owned);
            let (extension, text) = stage.clone().into_file(&stem)?;
            files.insert(format!("{STAGES_DIR}/{stem}.{extension}"), &text);
        }
        Ok(files)
    }

    /// Builds the project, with the same checks as one from a folder.
    ///
    /// # Errors
    /// [`ClientError::Project`] with all of its problems, [`ClientError::Build`] if a plan cannot be sent.
    pub fn build(&self) -> Result<Project, ClientError> {
        Project::from_files(&self.files()?, &self.dir, None, &[])
    }

    /// Checks the project and writes it as a folder that the command can use: `windlass.yaml` and the stages.
    ///
    /// # Errors
    /// As [`ProjectBuilder::build`], and [`ClientError::Build`] if the folder already contains a project or cannot be
    /// written.
    pub fn write_to(&self, dir: &Path) -> Result<Project, ClientError> {
        let files = self.files()?;
        check(&files)?;
        for existing in [MANIFEST, STAGES_DIR].map(|name| dir.join(name)) {
            if existing.exists() {
                return Err(BuildError::Exists { path: existing }.into());
            }
        }
        for (path, text) in files.iter() {
            let path = dir.join(&**path);
            let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, &**text));
            written.map_err(|source| BuildError::Write { path, source })?;
        }
        Project::open(dir, None, &[])
    }
}

fn session_yaml(session: &SessionPatch) -> Map {
    let mut map = Map::default();
    map.set_some("target_partitions", &session.target_partitions, |value| Yaml::plain(value));
    map.set_some("batch_size", &session.batch_size, |value| Yaml::plain(value));
    map.set_some("parquet_pushdown", &session.parquet_pushdown, |value| Yaml::plain(value));
    map.set_some("normalize_identifiers", &session.normalize_identifiers, |value| Yaml::plain(value));
    map.set_some("metadata_cache_bytes", &session.metadata_cache_bytes, |value| Yaml::plain(value));
    map.set_some("memory_limit_bytes", &session.memory_limit_bytes, |value| Yaml::plain(value));
    map.set_some("spill_dir", &session.spill_dir, |text| Yaml::text(text));
    map
}
