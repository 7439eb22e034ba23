//! Why a home cannot be written to.

use chrono::{DateTime, Utc};
use windlass_base::error::{Coded, ErrorCode};

use crate::state::LeaseHolder;

/// Why a home cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// Another process writes to it.
    #[error("the home `{home}` is in use by {} since {}{}: {}", .holder.who, .since.format("%F %T UTC"), for_run(.holder), .holder.note)]
    Busy {
        /// The home.
        home: String,
        /// Who writes.
        holder: Box<LeaseHolder>,
        /// Since when.
        since: DateTime<Utc>,
        /// When its right ends unless it is renewed; none if it ends with the process.
        expires_at: Option<DateTime<Utc>>,
    },
    /// It cannot be said who writes.
    #[error("it cannot be told who writes to the home `{home}`")]
    Unusable {
        /// The home.
        home: String,
        /// What its store said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn for_run(holder: &LeaseHolder) -> String {
    holder.run_id.as_ref().map(|run| format!(", for run {run}")).unwrap_or_default()
}

impl Coded for WriterError {
    fn code(&self) -> ErrorCode {
        ErrorCode(match self {
            Self::Busy { .. } => "WL0615",
            Self::Unusable { .. } => "WL0616",
        })
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Busy { expires_at: None, .. } => {
                "one process at a time writes to a home: wait until that one has finished, or stop it".to_owned()
            }
            Self::Busy { expires_at: Some(at), .. } => format!(
                "one process at a time writes to a home: wait until that one has finished, or stop it; if it is gone \
                 already, its lease ends by itself at {}",
                at.format("%F %T UTC")
            ),
            Self::Unusable { .. } => {
                "check that the home exists, can be reached and is writable, and has free space".to_owned()
            }
        })
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Unusable { .. })
    }
}
