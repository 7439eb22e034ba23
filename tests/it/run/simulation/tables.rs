//! The simulated tables, independent of the machine's state.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::{ReceiptOutcome, StageReceipt};
use windlass_scheduler::run::staged::{Staged, StagedWrite};

/// The tables, as Delta keeps them: a commit of the same stage in the same run is made once.
#[derive(Debug, Default)]
pub(super) struct Tables {
    commits: BTreeMap<NodeName, Staged>,
    /// What executions have left, by the versions that stand for it.
    staged: Vec<String>,
}

impl Tables {
    /// An execution leaves files that are named after it.
    pub(super) fn stage(&mut self, stage: &NodeName, attempt: u32, process: u32) -> Staged {
        let files = format!("{stage}-{attempt}-{process}");
        let version = TableVersion(self.staged.len() as u64);
        self.staged.push(files);
        Staged(Arc::new(StagedWrite::Nothing { version }))
    }

    /// Commits the files unless the stage has committed already.
    pub(super) fn commit(&mut self, stage: &NodeName, staged: &Staged) -> StageReceipt {
        let StagedWrite::Nothing { version } = &*staged.0 else { panic!("{staged:?} is not of this world") };
        let files = self.staged.get(version.0 as usize).expect("they were staged");
        assert!(files.starts_with(stage.as_str()), "{files} are not of {stage}");
        let outcome = match self.commits.get(stage) {
            Some(before) => {
                assert_eq!(before, staged, "{stage} commits what another attempt staged");
                ReceiptOutcome::AlreadyCommitted
            }
            None => ReceiptOutcome::Committed,
        };
        self.commits.insert(stage.clone(), staged.clone());
        StageReceipt {
            version: TableVersion(1),
            rows: 1,
            changed_rows: None,
            table_rows: None,
            bytes: 1,
            files: 1,
            outcome,
        }
    }

    pub(super) fn has(&self, stage: &NodeName) -> bool {
        self.commits.contains_key(stage)
    }
}

pub(super) fn failure(retryable: bool) -> Failure {
    Failure { code: "WL0599".into(), message: "simulated".into(), help: None, retryable }
}
