//! Why a page is not shown, or none at all.

use std::io;
use std::net::SocketAddr;

use axum::http::StatusCode;
use windlass_base::coded;
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::bundle::RecordError;

/// Why a page is not shown, or none at all.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// No page has that address.
    #[error("there is no page `{path}`")]
    NoSuchPage {
        /// The path of the address.
        path: String,
    },
    /// The run has no such stage.
    #[error("run {run_id} has no stage `{stage}`")]
    NoSuchStage {
        /// The run.
        run_id: RunId,
        /// The stage.
        stage: NodeName,
    },
    /// No run has written such a table.
    #[error("no run of this home has a table `{table}`")]
    NoSuchTable {
        /// The table.
        table: NodeName,
    },
    /// A request wants to change something.
    #[error("pages can only be read, not written with {method}")]
    ReadOnly {
        /// The method of the request.
        method: String,
    },
    /// A request came under a name that is not this machine's own.
    #[error("the pages are not served under the name `{host}`")]
    OtherHost {
        /// The name.
        host: String,
    },
    /// A bundle cannot be read.
    #[error(transparent)]
    Bundle(#[from] RecordError),
    /// The home cannot be read.
    #[error(transparent)]
    Home(#[from] Failure),
    /// The address cannot be listened on.
    #[error("the pages cannot be served at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's message.
        #[source]
        source: io::Error,
    },
}

impl UiError {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchPage { .. } | Self::NoSuchStage { .. } | Self::NoSuchTable { .. } => StatusCode::NOT_FOUND,
            Self::Bundle(error) if error.is_no_such_run() => StatusCode::NOT_FOUND,
            Self::ReadOnly { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::OtherHost { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::Bundle(_) | Self::Home(_) | Self::Listen { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

coded! {
    UiError {
        Bundle => inner;
        Home => inner;
        NoSuchPage | NoSuchStage | NoSuchTable => "WL0751", "begin with the list of runs";
        ReadOnly => "WL0752", "use the command to change something: `windlass --help` lists what there is";
        OtherHost => "WL0753", "open the address that `windlass ui` has printed";
        Listen => "WL0754", "choose another with `--port` or `--bind`; `--port 0` takes a free port";
    }
}
