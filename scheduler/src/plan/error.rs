//! Why a run cannot be planned.

use datafusion::error::DataFusionError;
use windlass_base::coded;
use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;
use windlass_delta::DeltaError;
use windlass_engine::connectors::ConnectorError;
use windlass_engine::session::SessionError;
use windlass_engine::session::limits::PlanLimit;
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::{Problems, SourceSpec};
use windlass_storage::StorageError;

use crate::export::ExportError;

/// Why a run cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The SQL of stages does not fit what it reads; every problem with its place.
    #[error(transparent)]
    Sql(#[from] Problems),
    /// A source or a table cannot be pinned.
    #[error("`{node}` cannot be pinned")]
    Pin {
        /// The source or stage.
        node: NodeName,
        /// Why.
        #[source]
        source: DeltaError,
    },
    /// A source cannot be read.
    #[error("the source `{name}` ({place}) cannot be read")]
    Source {
        /// The source.
        name: NodeName,
        /// Where the project declares it, and the target if one was chosen.
        place: String,
        /// What to know about its location as it is written.
        hint: Option<&'static str>,
        /// Why.
        #[source]
        source: SourceFault,
    },
    /// A location cannot be used.
    #[error("the location of `{node}` cannot be used")]
    Location {
        /// The source or stage.
        node: NodeName,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// A table cannot be registered, or a session cannot be built.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A selected stage reads one that is not selected and has never been built.
    #[error("`{stage}` reads `{upstream}`, which is not selected and has no table yet")]
    NotBuilt {
        /// The selected stage.
        stage: NodeName,
        /// The stage it reads.
        upstream: NodeName,
    },
    /// A stage is asked for that has never been built.
    #[error("`{stage}` is not built yet: no run has committed to its table")]
    Unbuilt {
        /// The stage.
        stage: NodeName,
    },
    /// A source cannot be opened.
    #[error(transparent)]
    Io(ConnectorError),
    /// An export may not go where the project says.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A name that is no node of the pipeline.
    #[error("the pipeline has no source or stage `{node}`")]
    Unknown {
        /// The name.
        node: NodeName,
        /// The nearest that there is.
        help: Option<String>,
    },
    /// A range of versions was asked for that no stage can apply.
    #[error("the range of versions is not possible: {reason}")]
    Range {
        /// Why.
        reason: String,
        /// What to ask for instead.
        help: String,
    },
    /// The stage may not compute all its rows, and it cannot do otherwise.
    #[error("`{stage}` cannot be brought up to date from changes: {reason}")]
    Refused {
        /// The stage.
        stage: NodeName,
        /// Why.
        reason: String,
    },
    /// What changed in an input since the stage's cursor cannot be read, or not be told any more.
    #[error("`{stage}` cannot apply the changes of `{input}`")]
    Changes {
        /// The stage.
        stage: NodeName,
        /// The input.
        input: NodeName,
        /// Why.
        #[source]
        source: DeltaError,
    },
    /// What a run has read that is gone on with, or tried again, is not there any more.
    #[error("what the run has read of `{node}` is not there any more")]
    Moved {
        /// The source.
        node: NodeName,
    },
    /// The engine cannot plan the stage's query.
    #[error("the query of `{stage}` cannot be planned")]
    Engine {
        /// The stage.
        stage: NodeName,
        /// The engine's own words.
        #[source]
        source: DataFusionError,
    },
    /// The stage's writer cannot be planned.
    #[error("the table of `{stage}` cannot be written")]
    Write {
        /// The stage.
        stage: NodeName,
        /// Why.
        #[source]
        source: DeltaError,
    },
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// A Delta table.
    #[error(transparent)]
    Delta(DeltaError),
    /// Files.
    #[error(transparent)]
    Files(SessionError),
    /// Its location.
    #[error(transparent)]
    Location(StorageError),
}

impl PlanError {
    /// The error of a name that `graph` does not have.
    pub fn unknown(node: &NodeName, graph: &PipelineGraph) -> Self {
        let names = graph.nodes().map(|node| node.name().as_str());
        Self::Unknown { node: node.clone(), help: did_you_mean(node.as_str(), "there are", names) }
    }

    /// The error with the place where `graph` declares the source that could not be read.
    pub(super) fn of_source(self, source: &SourceSpec, graph: &PipelineGraph) -> Self {
        let fault = match self {
            Self::Pin { source, .. } => SourceFault::Delta(source),
            Self::Location { source, .. } => SourceFault::Location(source),
            Self::Session(error) => SourceFault::Files(error),
            other => return other,
        };
        let at = graph.files.position(&source.name.span);
        let mut place = format!("{}:{}", at.file, at.line);
        if let Some(target) = &graph.target {
            place.push_str(&format!(", target `{target}`"));
        }
        let location = source.kind.location().unwrap_or_default();
        let hint = ["${", "{{", "~/"].iter().any(|variable| location.contains(variable)).then_some(
            "variables and `~` are not replaced in project files: write the location out, in a target if it differs \
             between environments, or give it with `--source NAME=LOCATION`",
        );
        Self::Source { name: source.name.value.clone(), place, hint, source: fault }
    }

    /// Whether it stands against one stage alone, whose project is right: other stages can be run.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            // A store that does not answer now may do so later.
            Self::Changes { source, .. } => source.is_change_gap(),
            _ => false,
        }
    }
}

/// What planning itself has a name for keeps that name.
impl From<ConnectorError> for PlanError {
    fn from(error: ConnectorError) -> Self {
        match error {
            ConnectorError::Pin { name, source } => Self::Pin { node: name, source },
            ConnectorError::Location { name, source } => Self::Location { node: name, source },
            ConnectorError::Session(error) => Self::Session(error),
            other => Self::Io(other),
        }
    }
}

coded! {
    SourceFault {
        Delta => inner;
        Files => inner;
        Location => inner;
    }
}

coded! {
    PlanError {
        Sql => inner;
        Pin { source } => inner;
        Source { source, hint } => inner, hint.map(str::to_owned).or_else(|| source.help());
        Write { source } => inner;
        Changes { source, stage } => inner,
            if source.is_change_gap() { Some(computed_whole(stage)) } else { source.help() };
        Location { source } => inner;
        Session => inner;
        Io => inner;
        Export => inner;
        NotBuilt { stage } => "WL0351",
            format!("select what it reads as well: `--select '+{stage}'`, or run everything once");
        Unbuilt { stage } => "WL0351",
            format!(
                "run it: `windlass run --select '+{stage}'`; if its last run failed, see why with `windlass runs show`"
            );
        Engine { source } => "WL0352" unless (PlanLimit::find_in(source)),
            "correct the part of the query that the message names";
        Unknown { help } => "WL0353", help.as_deref().unwrap_or("`windlass ls` lists the sources and stages");
        Range { help } => "WL0367", help;
        Moved => "WL0634",
            "it has no versions and has changed, lies elsewhere, or was made anew: start a new run with `windlass run`";
        Refused { stage } => "WL0368", computed_whole(stage);
    }
}

/// What helps a stage that cannot be brought up to date otherwise.
fn computed_whole(stage: &NodeName) -> String {
    format!(
        "compute all its rows once with `windlass run --full-refresh {stage}`, or allow that: `incremental: auto`, and `on_definition_change: rebuild`"
    )
}
