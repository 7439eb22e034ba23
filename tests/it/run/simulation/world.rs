//! The simulated reality, independent of the machine's state: a random graph, the outcomes of attempts, and the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use windlass_base::error::Failure;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::{ReceiptOutcome, StageReceipt};
use windlass_scheduler::run::machine::{RetryPolicy, RunSchedule, StagePlanNode};
use windlass_scheduler::run::staged::{Staged, StagedWrite};

/// How likely faults are, all as shares of 1.
#[derive(Debug, Clone)]
pub(super) struct Troubles {
    pub(super) execution_fails: f64,
    pub(super) commit_fails: f64,
    pub(super) retryable: f64,
    pub(super) crash: f64,
    pub(super) cancel: f64,
    pub(super) lease_lost: f64,
    pub(super) store_fails: f64,
}

impl Troubles {
    pub(super) fn random(random: &mut StdRng) -> Self {
        let mut some = |most: f64| if random.random_bool(0.5) { random.random_range(0.0..most) } else { 0.0 };
        Self {
            execution_fails: some(0.5),
            commit_fails: some(0.4),
            retryable: 1.0 - some(0.5),
            crash: some(0.15),
            cancel: some(0.08),
            lease_lost: some(0.02),
            store_fails: some(0.3),
        }
    }
}

/// A random graph of up to 12 stages with random limits.
pub(super) fn random_schedule(random: &mut StdRng) -> RunSchedule {
    let count = random.random_range(0..=12usize);
    let density = random.random_range(0.0..0.6);
    let name = |i: usize| NodeName::from(format!("s{i:02}"));
    let mut stages: Vec<StagePlanNode> = (0..count)
        .map(|i| StagePlanNode {
            name: name(i),
            depends_on: (0..i).filter(|_| random.random_bool(density)).map(name).collect(),
            weight: 0,
            max_retries: random.random_range(0..=3),
        })
        .collect();
    // The order of the list must not matter.
    for i in (1..stages.len()).rev() {
        stages.swap(i, random.random_range(0..=i));
    }
    let costs: BTreeMap<NodeName, u64> = (0..count).map(|i| (name(i), random.random_range(1..6))).collect();
    let schedule = RunSchedule {
        stages,
        max_parallel: random.random_range(1..=4),
        fail_fast: random.random_bool(0.4),
        retry: RetryPolicy { base_ms: random.random_range(1..500), cap_ms: 2_000, jitter_percent: 50 },
        seed: random.random(),
    };
    schedule.with_longest_path_weights(|stage| costs[stage]).unwrap()
}

/// The tables, as Delta keeps them: a commit of the same stage in the same run is made once.
#[derive(Debug, Default)]
pub(super) struct Tables {
    commits: BTreeMap<NodeName, Staged>,
    /// What executions have left, by the versions that stand for it.
    staged: Vec<String>,
}

impl Tables {
    /// An execution leaves files that are named after it.
    pub(super) fn stage(&mut self, stage: &NodeName, attempt: u32, incarnation: u32) -> Staged {
        let files = format!("{stage}-{attempt}-{incarnation}");
        let version = TableVersion(self.staged.len() as u64);
        self.staged.push(files);
        Staged(Arc::new(StagedWrite::Nothing { version }))
    }

    /// Commits the files unless the stage has committed already.
    pub(super) fn commit(&mut self, stage: &NodeName, staged: &Staged) -> StageReceipt {
        let StagedWrite::Nothing { version } = &*staged.0 else { panic!("{staged:?} is not of this world") };
        let files = self.staged.get(version.0 as usize).expect("they were staged");
        assert!(files.starts_with(stage.as_str()), "{files} are not of {stage}");
        let outcome = match self.commits.contains_key(stage) {
            true => ReceiptOutcome::AlreadyCommitted,
            false => ReceiptOutcome::Committed,
        };
        self.commits.entry(stage.clone()).or_insert_with(|| staged.clone());
        receipt(outcome)
    }

    pub(super) fn has(&self, stage: &NodeName) -> bool {
        self.commits.contains_key(stage)
    }
}

pub(super) fn failure(retryable: bool) -> Failure {
    Failure { code: "WL0599".into(), message: "simulated".into(), help: None, retryable }
}

pub(super) fn receipt(outcome: ReceiptOutcome) -> StageReceipt {
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
