//! The project as written, checked file by file; references are not resolved yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_base::config::SessionSettings;
use windlass_base::ids::{NodeName, PipelineName};

use super::param::{ParamSpec, ParamValue};
use super::source::SourceKind;
use super::span::{Span, Spanned};
use super::table::{Export, Materialize, TableSettings};
use crate::contract::{Contract, Contracts};
use crate::expect::Expectation;
use crate::maintenance::{KeyPlaces, MaintenancePlaces, MaintenanceSettings, ProjectMaintenance};
use crate::tag::{TagPolicy, Tags};

/// A project as written in its files.
#[derive(Debug, Clone)]
pub struct PipelineSpec {
    /// The pipeline's name.
    pub name: PipelineName,
    /// What the pipeline is for.
    pub description: Option<String>,
    /// The sources in the order of the file.
    pub sources: Vec<SourceSpec>,
    /// The parameters in the order of the file.
    pub params: Vec<ParamSpec>,
    /// The session's settings: those of the project over the defaults.
    pub session: SessionSettings,
    /// How runs behave.
    pub run: RunSettings,
    /// The targets by name.
    pub targets: BTreeMap<String, TargetSpec>,
    /// Where each target is declared.
    pub target_spans: BTreeMap<String, Span>,
    /// The datasets that the project configures, each the name of a stage.
    pub datasets: Vec<Spanned<String>>,
    /// How tables are maintained.
    pub maintenance: ProjectMaintenance,
    /// Where it is written.
    pub maintenance_places: MaintenancePlaces,
    /// The schema contracts of the project.
    pub contracts: Contracts,
    /// The tag policy, if the project has one.
    pub tag_policy: Option<TagPolicy>,
    /// The stages in the order of their files' paths.
    pub stages: Vec<StageSpec>,
}

/// A source of a project.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSpec {
    /// The name, which is also the table's name in SQL.
    pub name: Spanned<NodeName>,
    /// What it is and where.
    pub kind: SourceKind,
    /// Its tags.
    pub tags: Tags,
    /// Where the value of each tag is written.
    pub tag_places: BTreeMap<String, Span>,
    /// What it contains.
    pub description: Option<String>,
    /// Its contract, and where it is named.
    pub contract: Option<Spanned<Arc<Contract>>>,
}

/// How runs behave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSettings {
    /// How many stages may run in parallel; at least 1.
    pub max_parallel_stages: usize,
    /// How often a stage is retried after a transient error, unless the stage specifies it.
    pub retries: u32,
    /// Whether the first failure ends the run; if not, stages that do not depend on the failed one still run.
    pub fail_fast: bool,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self { max_parallel_stages: 4, retries: 2, fail_fast: false }
    }
}

/// What a target changes: the same pipeline with other locations and settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetSpec {
    /// Defaults of parameters.
    pub params: BTreeMap<String, ParamValue>,
    /// Settings of the session.
    pub session: SessionPatch,
    /// New locations of sources, or replacement sources.
    pub sources: BTreeMap<NodeName, SourceOverride>,
    /// Overrides of datasets.
    pub datasets: BTreeMap<NodeName, DatasetOverride>,
    /// Where state, bundles and tables go.
    pub home: Option<String>,
}

/// A target's override of a source.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceOverride {
    /// The same source at another location.
    Location(String),
    /// Another source.
    Kind(SourceKind),
}

/// A target's override of the dataset that a stage writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetOverride {
    /// Where it is written.
    pub span: Span,
    /// Another location, with its span.
    pub location: Option<Spanned<String>>,
    /// Table properties, over those that the dataset has.
    pub properties: BTreeMap<String, String>,
    /// Another target size of data files in bytes.
    pub target_file_bytes: Option<u64>,
    /// Other exports, in place of all that the dataset has.
    pub exports: Option<Vec<Export>>,
    /// Where each of them is written.
    pub export_spans: Vec<Span>,
}

/// The session settings that a project or a target sets; `None` leaves a setting unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionPatch {
    /// [`SessionSettings::target_partitions`].
    pub target_partitions: Option<usize>,
    /// [`SessionSettings::batch_size`].
    pub batch_size: Option<usize>,
    /// [`SessionSettings::parquet_pushdown`].
    pub parquet_pushdown: Option<bool>,
    /// [`SessionSettings::normalize_identifiers`].
    pub normalize_identifiers: Option<bool>,
    /// [`SessionSettings::metadata_cache_bytes`].
    pub metadata_cache_bytes: Option<usize>,
    /// [`SessionSettings::memory_limit_bytes`].
    pub memory_limit_bytes: Option<usize>,
    /// [`SessionSettings::spill_dir`].
    pub spill_dir: Option<String>,
}

impl SessionPatch {
    /// Applies the patch to `settings`.
    pub fn apply(&self, settings: &mut SessionSettings) {
        fn set<T: Clone>(to: &mut T, from: &Option<T>) {
            if let Some(value) = from {
                *to = value.clone();
            }
        }
        set(&mut settings.target_partitions, &self.target_partitions);
        set(&mut settings.batch_size, &self.batch_size);
        set(&mut settings.parquet_pushdown, &self.parquet_pushdown);
        set(&mut settings.normalize_identifiers, &self.normalize_identifiers);
        set(&mut settings.metadata_cache_bytes, &self.metadata_cache_bytes);
        settings.memory_limit_bytes = self.memory_limit_bytes.or(settings.memory_limit_bytes);
        if let Some(dir) = &self.spill_dir {
            settings.spill_dir = Some(dir.into());
        }
    }
}

/// A stage of a project: one `.sql` or `.plan` file.
#[derive(Debug, Clone)]
pub struct StageSpec {
    /// The name, which is also the table's name in SQL.
    pub name: Spanned<NodeName>,
    /// What it computes.
    pub description: Option<String>,
    /// Its tags: its own over those of the project's defaults.
    pub tags: Tags,
    /// Where the value of each tag is written.
    pub tag_places: BTreeMap<String, Span>,
    /// How its rows are materialized.
    pub materialize: Materialize,
    /// Its Delta table, if it is materialized as one.
    pub table: TableSettings,
    /// Where `io.location` is written, if it is.
    pub location_span: Option<Span>,
    /// How its table is maintained, as far as it says so itself.
    pub maintenance: MaintenanceSettings,
    /// Where that is written, and the table properties that mean the same.
    pub maintenance_places: KeyPlaces,
    /// Where each export of its table is written.
    pub export_spans: Vec<Span>,
    /// How often it is retried after a transient error.
    pub retries: u32,
    /// Its contract, and where it is named.
    pub contract: Option<Spanned<Arc<Contract>>>,
    /// Its expectations.
    pub expectations: Vec<Expectation>,
    /// The sub-DAG instance that it belongs to.
    pub instance: Option<Arc<SubdagInstance>>,
    /// What it computes.
    pub query: StageQuery,
    /// Every table name that its query reads and that is not a CTE of it, in the order of the text.
    pub relations: Vec<RelationRef>,
    /// Every `$name` in its query, in the order of the text.
    pub params: Vec<Spanned<String>>,
}

/// An instance of a sub-DAG in a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubdagInstance {
    /// The instance's name, which is the prefix of the names of its stages, except for outputs.
    pub name: String,
    /// The sub-DAG that it is an instance of.
    pub subdag: String,
    /// The surrounding instance, if it is nested.
    pub parent: Option<Arc<SubdagInstance>>,
}

impl SubdagInstance {
    /// The outermost surrounding instance, or this one.
    pub fn outermost(&self) -> &Self {
        self.parent.as_ref().map_or(self, |parent| parent.outermost())
    }

    /// The instance and its surrounding instances, innermost first.
    pub fn with_parents(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |instance| instance.parent.as_deref())
    }
}

/// What a stage computes, with its position in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageQuery {
    /// A query in SQL.
    Sql(SqlText),
    /// A plan of the engine.
    Plan(EncodedPlan),
}

impl StageQuery {
    /// The path of the stage's file below the project folder.
    pub fn file(&self) -> &Arc<str> {
        match self {
            Self::Sql(sql) => &sql.file,
            Self::Plan(plan) => &plan.file,
        }
    }

    /// The SQL, if it is a query.
    pub fn sql(&self) -> Option<&SqlText> {
        match self {
            Self::Sql(sql) => Some(sql),
            Self::Plan(_) => None,
        }
    }
}

/// The plan of a stage, encoded by the engine. Only the engine can interpret it; that it reads no more than its header
/// names is checked when it is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPlan {
    /// The file's path below the project folder.
    pub file: Arc<str>,
    /// The bytes of the plan.
    pub bytes: Arc<[u8]>,
    /// The first line of the plan's text.
    pub span: Span,
    /// The span of `reads` in the header.
    pub reads: Span,
}

/// The query of a stage, with its position in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlText {
    /// The file's path below the project folder.
    pub file: Arc<str>,
    /// The query without the header and without a closing `;`.
    pub text: Arc<str>,
    /// The byte of the file at which `text` starts.
    pub offset: usize,
}

impl SqlText {
    /// The position in the file of a line and column of the query, both counted from 1.
    pub fn span_at(&self, line: usize, column: usize) -> Span {
        let start = super::span::offset_of(&self.text, line, column);
        let length = self.text[start..].chars().next().map_or(0, char::len_utf8);
        Span::new(&self.file, self.offset + start, self.offset + start + length)
    }
}

/// A table name that a query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationRef {
    /// The parts as the engine resolves them: unquoted ones folded to lower case if the session does so.
    pub parts: Vec<String>,
    /// The name as written.
    pub written: String,
    /// Whether the query gives it an alias.
    pub has_alias: bool,
    /// Where it is.
    pub span: Span,
}
