//! Why a home cannot be written to.

use chrono::{DateTime, Utc};
use windlass_base::coded;
use windlass_storage::{StorageError, advice};

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
    /// The home's store cannot be opened.
    #[error("the home `{home}` cannot be opened")]
    Closed {
        /// The home.
        home: String,
        /// Why not.
        source: StorageError,
    },
    /// It cannot be said who writes.
    #[error("it is not known which process writes to the home `{home}`")]
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

coded! {
    WriterError {
        Busy { expires_at } => "WL0615", wait(*expires_at);
        Closed { source } => inner;
        Unusable { source } => "WL0616" retry, advice(source.as_ref())
            .unwrap_or("check that the home exists, can be reached and is writable, and has free space");
    }
}

/// What to do about another process that writes, whose lease ends at that time if it has one.
fn wait(expires_at: Option<DateTime<Utc>>) -> String {
    let mut help = "one process at a time writes to a home: wait until that one has finished, or stop it".to_owned();
    if let Some(at) = expires_at {
        help += &format!("; if it is gone already, its lease ends by itself at {}", at.format("%F %T UTC"));
    }
    help
}
