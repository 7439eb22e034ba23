//! Why a run cannot be planned.

use datafusion::error::DataFusionError;
use windlass_base::coded;
use windlass_base::ids::NodeName;
use windlass_delta::DeltaError;
use windlass_engine::connectors::ConnectorError;
use windlass_engine::session::SessionError;
use windlass_engine::session::limits::PlanLimit;
use windlass_project::spec::Problems;
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

impl PlanError {
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
    PlanError {
        Sql => inner;
        Pin { source } => inner;
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
        Unknown => "WL0353", "`windlass ls` lists the sources and stages";
        Range { help } => "WL0367", help;
        Refused { stage } => "WL0368", computed_whole(stage);
    }
}

/// What helps a stage that cannot be brought up to date otherwise.
fn computed_whole(stage: &NodeName) -> String {
    format!("compute all its rows once with `windlass run --full-refresh {stage}`, or set `incremental: auto`")
}
