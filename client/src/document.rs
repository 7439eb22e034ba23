//! The JSON documents that the command prints with `--output json`, one for each command, and their JSON Schemas.
//!
//! docs/schema/command holds the schemas, docs/json-output.md describes them. A new field or a new value may appear at any
//! time; [`DOCUMENT_VERSION`] grows when a reader of the old version could misread a document.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, PipelineName, RunId, TableVersion};
use windlass_evidence::artifact::{
    CleanRecord, CursorStatus, LogEvent, MaintenanceRecord, Moved, PinStatus, PlanText, PlannedRun, RunRecord,
    TableStatus, VersionMark,
};
use windlass_evidence::diff::RunDiff;
use windlass_evidence::lineage::Lineage;
use windlass_project::contract::{Contract, ContractChange};
use windlass_project::fixture_tests::FixtureReport;
use windlass_project::graph::draw::GraphDocument;
use windlass_project::spec::ProblemReport;
use windlass_project::tag::{SemanticRegistry, Tags};

/// The version of all documents.
pub const DOCUMENT_VERSION: u32 = 1;

/// `windlass init`: a new project.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InitDocument {
    /// The project's folder.
    pub project: PathBuf,
    /// The pipeline's name.
    pub name: String,
    /// The files that were written, below that folder.
    pub files: Vec<String>,
}

/// `windlass runs resume --dry-run` and `windlass runs retry --dry-run`: what would be executed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgainDocument {
    /// The run that is taken up, or tried again.
    pub run_id: RunId,
    /// The stages that it was to execute.
    pub stages: Vec<AgainStage>,
}

/// A stage of an [`AgainDocument`].
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgainStage {
    /// The stage.
    pub stage: NodeName,
    /// The version that the run has committed, if it has.
    pub committed: Option<TableVersion>,
    /// Whether it would be executed.
    pub execute: bool,
}

/// `windlass check`: a project without problems. Problems are reported in an [`ErrorDocument`].
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckDocument {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// How many sources it has.
    pub sources: usize,
    /// How many stages it has.
    pub stages: usize,
    /// How many fixtures it has.
    pub fixtures: usize,
    /// The value of every parameter.
    pub params: BTreeMap<String, Value>,
    /// Always empty.
    pub problems: Vec<ProblemReport>,
}

/// An item of `windlass ls`: a source, a stage, or the quarantine of a stage.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListedNode {
    /// The name, also in SQL.
    pub name: NodeName,
    /// `source: KIND`, `table`, `view`, `cache` or `quarantine`.
    pub kind: String,
    /// What it reads.
    pub reads: Vec<NodeName>,
    /// Its tags.
    pub tags: Tags,
    /// What the project says of it.
    pub description: Option<String>,
    /// The instance of a sub-DAG that it belongs to.
    pub instance: Option<InstanceDocument>,
    /// The stage whose rows go there if they violate an expectation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_of: Option<NodeName>,
}

/// An instance of a sub-DAG.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InstanceDocument {
    /// The instance's name.
    pub name: String,
    /// The sub-DAG.
    pub subdag: String,
}

/// An item of `windlass schema`: the columns of a stage's table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TableColumns {
    /// The stage.
    pub table: NodeName,
    /// Its contract, as `NAME@VERSION`.
    pub contract: Option<String>,
    /// The columns, in order.
    pub columns: Vec<ColumnDocument>,
}

/// A column.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ColumnDocument {
    /// The name.
    pub name: String,
    /// The type, by Delta's name if it has one.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether it may hold null.
    pub nullable: bool,
    /// What it contains, by its contract.
    pub description: Option<String>,
    /// What its values mean beyond their type, by its contract.
    pub semantic_type: Option<String>,
}

/// `windlass contract diff`: what has changed between two contracts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContractDiff {
    /// Whether any change is breaking.
    pub breaking: bool,
    /// The changes.
    pub changes: Vec<ContractChange>,
}

/// `windlass test`: the results of fixtures.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TestDocument {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// How many fixtures passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How long all of them took, in milliseconds.
    pub duration_ms: u64,
    /// The fixtures, in the order in which they ran.
    pub fixtures: Vec<FixtureReport>,
}

/// `windlass run` and `windlass apply`: a run that has ended, well or not.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunDocument {
    /// The run.
    pub run: RunRecord,
    /// Where its bundle is, as a URL.
    pub bundle: String,
}

/// An item of `windlass runs list`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ListedRunDocument {
    /// A run.
    Run(Box<RunRecord>),
    /// A run that waits in the queue of a cluster.
    Queued {
        /// The run.
        run_id: RunId,
        /// `queued`.
        status: String,
        /// Its place in the queue, counted from 1.
        position: u32,
        /// The target of the project.
        target: Option<String>,
    },
    /// A run whose record cannot be read.
    Unreadable {
        /// The run.
        run_id: RunId,
        /// Why not.
        error: String,
    },
}

/// `windlass runs cancel`: a run that was stopped.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CancelledRun {
    /// The run.
    pub run_id: RunId,
    /// Its final status; another than `cancelled` if it ended first.
    pub status: String,
}

/// An item of `windlass pins ls`: a version that is kept. `name`, `location` and `version` mean the same in all of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum KeptDocument {
    /// What an active run has pinned.
    Run(PinStatus),
    /// A pin or a tag that somebody has set.
    Mark {
        /// The stage or quarantine whose table it is.
        name: NodeName,
        /// Where the table is.
        location: String,
        /// The version.
        version: TableVersion,
        /// The pin or tag, as the commands that set and release it print it.
        mark: VersionMark,
    },
}

impl From<VersionMark> for KeptDocument {
    fn from(mark: VersionMark) -> Self {
        Self::Mark { name: mark.table.clone(), location: mark.location.clone(), version: mark.version, mark }
    }
}

/// `windlass explain`: a plan of a stage.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplainDocument {
    /// The run whose plan it is.
    pub run_id: RunId,
    /// The run that was asked about: a later one, if it used the stage's table as it was.
    pub requested_run_id: RunId,
    /// The target of the project that the plan was made for.
    pub target: Option<String>,
    /// What was selected (`--select`), if not everything.
    pub select: Option<String>,
    /// What was left out (`--exclude`).
    pub exclude: Option<String>,
    /// The stage.
    pub stage: NodeName,
    /// Which plan.
    pub plan: PlanText,
    /// The plan.
    pub text: String,
}

/// A check of `windlass doctor`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoctorCheck {
    /// What was checked.
    pub what: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The finding; without credentials.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'static str>,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is wrong.
    Ok,
    /// A run would not be stopped by it.
    Warning,
    /// A run would be stopped by it.
    Failed,
}

/// A command that has written its result to a file: `query`, `graph`, `lineage` and `man` with `--to`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WrittenDocument {
    /// The file, or the folder of several.
    pub file: PathBuf,
    /// The format of its content.
    pub format: String,
    /// How many rows were written, if it has rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The size of the file, unless it is a folder, a pipe or a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// `windlass completions` and `windlass man`: text for other programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TextDocument {
    /// What it is: the shell, or `man`.
    pub format: String,
    /// The text.
    pub text: String,
}

/// Any command that fails, unless it has printed its own document before, as `run` does.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorDocument {
    /// Why, with its code.
    pub error: Failure,
    /// The problems of the project, if they are the reason.
    pub problems: Option<Vec<ProblemReport>>,
    /// What has changed since a plan was saved, if that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Vec<MovedDocument>>,
}

/// A change since a plan was saved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MovedDocument {
    /// The change.
    #[serde(flatten)]
    pub moved: Moved,
    /// The same as text.
    pub message: String,
}

/// The JSON Schemas of all documents, by the name of the command that prints them; `error` for any command that fails.
pub fn schemas() -> BTreeMap<&'static str, Schema> {
    BTreeMap::from([
        ("apply", of::<RunDocument>("apply")),
        ("check", of::<CheckDocument>("check")),
        ("clean", of::<CleanRecord>("clean")),
        ("completions", of::<TextDocument>("completions")),
        ("contract-diff", of::<ContractDiff>("contract-diff")),
        ("contract-infer", of::<Contract>("contract-infer")),
        ("cursors-ls", of::<Vec<CursorStatus>>("cursors-ls")),
        ("cursors-reset", of::<CursorStatus>("cursors-reset")),
        ("cursors-show", of::<CursorStatus>("cursors-show")),
        ("doctor", of::<Vec<DoctorCheck>>("doctor")),
        ("error", of::<ErrorDocument>("error")),
        ("explain", of::<ExplainDocument>("explain")),
        ("graph", of::<GraphDocument<'static>>("graph")),
        ("init", of::<InitDocument>("init")),
        ("lineage", of::<Lineage>("lineage")),
        ("ls", of::<Vec<ListedNode>>("ls")),
        ("maintain", of::<MaintenanceRecord>("maintain")),
        ("man", of::<TextDocument>("man")),
        ("pins-add", of::<VersionMark>("pins-add")),
        ("pins-ls", of::<Vec<KeptDocument>>("pins-ls")),
        ("pins-release", of::<VersionMark>("pins-release")),
        ("plan", of::<PlannedRun>("plan")),
        ("query", of::<Vec<Map<String, Value>>>("query")),
        ("registry", of::<SemanticRegistry>("registry")),
        ("run", of::<RunDocument>("run")),
        ("runs-again", of::<AgainDocument>("runs-again")),
        ("runs-cancel", of::<CancelledRun>("runs-cancel")),
        ("runs-diff", of::<RunDiff>("runs-diff")),
        ("runs-list", of::<Vec<ListedRunDocument>>("runs-list")),
        ("runs-log", of::<Vec<LogEvent>>("runs-log")),
        ("runs-resume", of::<RunDocument>("runs-resume")),
        ("runs-retry", of::<RunDocument>("runs-retry")),
        ("runs-show", of::<RunRecord>("runs-show")),
        ("schema", of::<Vec<TableColumns>>("schema")),
        ("tables", of::<Vec<TableStatus>>("tables")),
        ("tag", of::<VersionMark>("tag")),
        ("tag-ls", of::<Vec<VersionMark>>("tag-ls")),
        ("tag-rm", of::<VersionMark>("tag-rm")),
        ("test", of::<TestDocument>("test")),
        ("written", of::<WrittenDocument>("written")),
    ])
}

/// The schema of `T` as it is written, with the command and the version as its id.
fn of<T: JsonSchema>(command: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("urn:windlass:command:v{DOCUMENT_VERSION}:{command}").into());
    schema.insert("title".to_owned(), format!("windlass {}", command.replace('-', " ")).into());
    schema
}
