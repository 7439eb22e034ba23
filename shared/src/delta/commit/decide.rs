//! What to do about a commit, given what the log says: the pure part.

use super::CommitRequest;
use crate::ids::{RunSequence, TableVersion};
use crate::spec::table::WriteMode;

/// What one snapshot of the log says that matters to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFacts {
    /// The snapshot's version.
    pub(super) version: TableVersion,
    /// The last run that the application committed.
    pub(super) last_sequence: Option<RunSequence>,
    /// The table's fingerprint.
    pub(super) fingerprint: String,
    /// Whether files may only be added.
    pub(super) append_only: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: the run has committed.
    AlreadyCommitted,
    /// Nothing: this later run has committed.
    Superseded(RunSequence),
    /// Nothing: the table is not what the files were written for, as the text says.
    Conflict(String),
    /// Nothing: the table cannot be overwritten.
    AppendOnly,
    /// Commit on the snapshot.
    Attempt,
}

/// Decides. The run's own transaction comes first: once it is in the log, nothing that happened to the table
/// afterwards matters.
pub(super) fn decide(facts: &LogFacts, request: &CommitRequest) -> Decision {
    match facts.last_sequence {
        Some(last) if last == request.sequence => return Decision::AlreadyCommitted,
        Some(last) if last > request.sequence => return Decision::Superseded(last),
        _ => {}
    }
    if facts.fingerprint != request.base.fingerprint {
        let reason = "the table's columns, partitioning or properties have changed since the write was planned";
        return Decision::Conflict(reason.to_owned());
    }
    if let Some(version) = request.base.version.filter(|version| *version != facts.version) {
        let found = facts.version;
        return Decision::Conflict(format!("the table is at version {found}, the rows were computed from {version}"));
    }
    if request.change.is_some() && request.mode == WriteMode::Append {
        return Decision::Conflict("only an overwrite can change a table's columns".to_owned());
    }
    if facts.append_only && request.mode == WriteMode::Overwrite {
        return Decision::AppendOnly;
    }
    Decision::Attempt
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::delta::commit::BaseExpectation;
    use crate::delta::write::StagedFiles;
    use crate::ids::AppId;
    use crate::storage::Location;

    fn request(sequence: i64, mode: WriteMode, version: Option<u64>) -> CommitRequest {
        CommitRequest {
            location: Location::from_path(Path::new("/t")).unwrap(),
            staged: StagedFiles::default(),
            mode,
            app_id: AppId::new("p/s"),
            sequence: RunSequence(sequence),
            base: BaseExpectation { fingerprint: "f".to_owned(), version: version.map(TableVersion) },
            change: None,
            info: BTreeMap::new(),
        }
    }

    fn facts(last: Option<i64>, fingerprint: &str, append_only: bool) -> LogFacts {
        LogFacts {
            version: TableVersion(7),
            last_sequence: last.map(RunSequence),
            fingerprint: fingerprint.to_owned(),
            append_only,
        }
    }

    #[test]
    fn the_runs_own_transaction_comes_first() {
        let request = request(3, WriteMode::Overwrite, Some(1));
        assert_eq!(decide(&facts(Some(3), "other", true), &request), Decision::AlreadyCommitted);
        assert_eq!(decide(&facts(Some(4), "other", true), &request), Decision::Superseded(RunSequence(4)));
    }

    #[test]
    fn a_changed_table_is_a_conflict() {
        let planned = request(3, WriteMode::Append, None);
        assert!(matches!(decide(&facts(Some(2), "other", false), &planned), Decision::Conflict(_)));
        let computed = request(3, WriteMode::Append, Some(6));
        assert!(matches!(decide(&facts(Some(2), "f", false), &computed), Decision::Conflict(_)));
        let computed = request(3, WriteMode::Append, Some(7));
        assert_eq!(decide(&facts(None, "f", false), &computed), Decision::Attempt);
    }

    #[test]
    fn an_append_only_table_takes_appends_alone() {
        assert_eq!(decide(&facts(None, "f", true), &request(1, WriteMode::Append, None)), Decision::Attempt);
        assert_eq!(decide(&facts(None, "f", true), &request(1, WriteMode::Overwrite, None)), Decision::AppendOnly);
    }
}
