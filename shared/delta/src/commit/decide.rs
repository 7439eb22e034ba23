//! What to do about a commit, given what the log says: the pure part.

use windlass_base::ids::{RunSequence, TableVersion};

use super::{CommitMode, CommitRequest};

/// What one snapshot of the log says that matters to a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SnapshotFacts {
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
    /// Nothing: the run has committed, or another that took its number.
    AlreadyCommitted,
    /// Nothing: this later run has committed.
    Superseded(RunSequence),
    /// Nothing: the table is not what the files were written for, as the text says.
    Conflict(String),
    /// Nothing: no row of the table can be replaced.
    AppendOnly,
    /// Commit on the snapshot.
    Attempt,
}

/// Decides. The run's own transaction comes first: once it is in the log, nothing that happened to the table
/// afterwards matters.
pub(super) fn decide(facts: &SnapshotFacts, request: &CommitRequest) -> Decision {
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
    if request.mode.needs_version() && request.base.version.is_none() {
        return Decision::Conflict("the version that the rows were computed from is not known".to_owned());
    }
    if request.change.is_some() && request.mode != CommitMode::Overwrite {
        return Decision::Conflict("only an overwrite can change a table's columns".to_owned());
    }
    if request.mode == CommitMode::Touch && request.staged.files() > 0 {
        return Decision::Conflict("there are files to add, but the commit is to add none".to_owned());
    }
    if facts.append_only && request.mode.replaces() {
        return Decision::AppendOnly;
    }
    Decision::Attempt
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use windlass_base::ids::{AppId, RunId};
    use windlass_storage::Location;

    use super::*;
    use crate::commit::BaseExpectation;
    use crate::merge::Replacement;
    use crate::write::StagedFiles;

    fn request(sequence: i64, mode: CommitMode, version: Option<u64>) -> CommitRequest {
        CommitRequest {
            location: Location::from_path(Path::new("/t")).unwrap(),
            staged: StagedFiles::default(),
            mode,
            app_id: AppId::new("p/s"),
            run_id: RunId::new("run"),
            sequence: RunSequence(sequence),
            cursor_transactions: BTreeMap::new(),
            base: BaseExpectation { fingerprint: "f".to_owned(), version: version.map(TableVersion) },
            change: None,
            info: BTreeMap::new(),
        }
    }

    fn facts(last: Option<i64>, fingerprint: &str, append_only: bool) -> SnapshotFacts {
        SnapshotFacts {
            version: TableVersion(7),
            last_sequence: last.map(RunSequence),
            fingerprint: fingerprint.to_owned(),
            append_only,
        }
    }

    #[test]
    fn the_runs_own_transaction_comes_first() {
        let request = request(3, CommitMode::Overwrite, Some(1));
        assert_eq!(decide(&facts(Some(3), "other", true), &request), Decision::AlreadyCommitted);
        assert_eq!(decide(&facts(Some(4), "other", true), &request), Decision::Superseded(RunSequence(4)));
    }

    #[test]
    fn a_changed_table_is_a_conflict() {
        let planned = request(3, CommitMode::Append, None);
        assert!(matches!(decide(&facts(Some(2), "other", false), &planned), Decision::Conflict(_)));
        let computed = request(3, CommitMode::Append, Some(6));
        assert!(matches!(decide(&facts(Some(2), "f", false), &computed), Decision::Conflict(_)));
        let computed = request(3, CommitMode::Append, Some(7));
        assert_eq!(decide(&facts(None, "f", false), &computed), Decision::Attempt);
    }

    #[test]
    fn an_append_only_table_takes_appends_alone() {
        let decided = |mode| decide(&facts(None, "f", true), &request(1, mode, Some(7)));
        assert_eq!(decided(CommitMode::Append), Decision::Attempt);
        assert_eq!(decided(CommitMode::Touch), Decision::Attempt);
        assert_eq!(decided(CommitMode::Overwrite), Decision::AppendOnly);
        assert_eq!(decided(CommitMode::Merge(Replacement::default())), Decision::AppendOnly);
        let partitions = CommitMode::ReplacePartitions { by: Vec::new(), values: Vec::new() };
        assert_eq!(decided(partitions), Decision::AppendOnly);
    }

    #[test]
    fn what_is_about_files_of_a_version_says_which() {
        let partitions = CommitMode::ReplacePartitions { by: Vec::new(), values: Vec::new() };
        for mode in [CommitMode::Merge(Replacement::default()), partitions, CommitMode::Touch] {
            let decided = |version| decide(&facts(None, "f", false), &request(1, mode.clone(), version));
            assert!(matches!(decided(None), Decision::Conflict(_)));
            assert!(matches!(decided(Some(6)), Decision::Conflict(_)));
            assert_eq!(decided(Some(7)), Decision::Attempt);
        }
    }
}
