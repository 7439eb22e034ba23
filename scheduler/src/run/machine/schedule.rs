//! What a run is to do: its stages, their order, and the limits it keeps to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use windlass_base::coded;
use windlass_base::ids::NodeName;

/// One stage of a run: a query whose result is committed to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlanNode {
    /// The stage.
    pub name: NodeName,
    /// The stages of this run that must have committed before this one starts.
    pub depends_on: Vec<NodeName>,
    /// The cost of the longest path from here to the end of the run; of the stages that may start, the one with the
    /// greatest weight starts first.
    pub weight: u64,
    /// How often the stage is tried again after a retryable failure.
    pub max_retries: u32,
}

/// How long to wait before a stage is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The wait after the first failure, in milliseconds; it doubles with every further one.
    pub base_ms: u64,
    /// The longest wait, in milliseconds.
    pub cap_ms: u64,
    /// How much of a wait may be taken off at random, in percent.
    pub jitter_percent: u8,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { base_ms: 500, cap_ms: 30_000, jitter_percent: 25 }
    }
}

impl RetryPolicy {
    /// The wait in milliseconds before the try that follows the `failures`-th failure; `random` is any number, and the
    /// same number gives the same wait.
    pub fn delay_ms(&self, failures: u32, random: u64) -> u64 {
        let doublings = failures.saturating_sub(1).min(63);
        let full = self.base_ms.saturating_mul(1u64 << doublings).min(self.cap_ms);
        let most_off = u128::from(full) * u128::from(self.jitter_percent.min(100)) / 100;
        let off = most_off * u128::from(random) / u128::from(u64::MAX);
        full.saturating_sub(u64::try_from(off).unwrap_or(full))
    }
}

/// The stages of a run and the limits it keeps to: the machine's only input besides events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSchedule {
    /// The stages, in the order in which they are listed to a user.
    pub stages: Vec<StagePlanNode>,
    /// How many stages may run at the same time; at least 1.
    pub max_parallel: usize,
    /// After a failure, cancel what runs and skip the rest, instead of running whatever does not depend on the stage
    /// that failed.
    pub fail_fast: bool,
    /// The waits between tries.
    pub retry: RetryPolicy,
    /// Seeds the jitter of the waits, so that a replay waits alike.
    pub seed: u64,
}

impl RunSchedule {
    /// Refuses a schedule that could never finish: no slot, a name given twice, an unknown dependency, a cycle.
    pub fn validate(&self) -> Result<(), ScheduleError> {
        if self.max_parallel == 0 {
            return Err(ScheduleError::NoSlot);
        }
        let mut names = BTreeSet::new();
        for stage in &self.stages {
            if !names.insert(&stage.name) {
                return Err(ScheduleError::DuplicateStage { stage: stage.name.clone() });
            }
        }
        for stage in &self.stages {
            if let Some(missing) = stage.depends_on.iter().find(|d| !names.contains(d)) {
                return Err(ScheduleError::UnknownDependency {
                    stage: stage.name.clone(),
                    dependency: missing.clone(),
                });
            }
        }
        self.topological_order().map(|_| ())
    }

    /// Sets every weight to the cost of the longest path that begins at the stage, its own cost included.
    ///
    /// `cost` is in any unit, the same for all stages; where nothing is known, 1 a stage makes it the number of stages.
    pub fn with_longest_path_weights(mut self, cost: impl Fn(&NodeName) -> u64) -> Result<Self, ScheduleError> {
        let order = self.topological_order()?;
        let mut beyond: BTreeMap<NodeName, u64> = BTreeMap::new();
        for index in order.into_iter().rev() {
            let stage = &mut self.stages[index];
            stage.weight = cost(&stage.name).saturating_add(beyond.get(&stage.name).copied().unwrap_or(0));
            for dependency in &stage.depends_on {
                let longest = beyond.entry(dependency.clone()).or_default();
                *longest = (*longest).max(stage.weight);
            }
        }
        Ok(self)
    }

    /// The indexes of the stages, each after those it depends on.
    fn topological_order(&self) -> Result<Vec<usize>, ScheduleError> {
        let mut placed: BTreeSet<&NodeName> = BTreeSet::new();
        let mut order = Vec::with_capacity(self.stages.len());
        let mut rest: Vec<usize> = (0..self.stages.len()).collect();
        while !rest.is_empty() {
            let (free, waiting): (Vec<usize>, Vec<usize>) =
                rest.iter().partition(|&&i| self.stages[i].depends_on.iter().all(|d| placed.contains(d)));
            if free.is_empty() {
                let stages = waiting.iter().map(|&i| self.stages[i].name.clone()).collect();
                return Err(ScheduleError::Cycle { stages });
            }
            placed.extend(free.iter().map(|&i| &self.stages[i].name));
            order.extend(free);
            rest = waiting;
        }
        Ok(order)
    }
}

/// A schedule that could never finish. The graph is checked long before, so this points at a fault of Windlass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// `max_parallel` is 0.
    #[error("a run needs at least one stage at a time, but its limit is 0")]
    NoSlot,
    /// A stage is listed twice.
    #[error("stage `{stage}` is scheduled twice")]
    DuplicateStage {
        /// The stage.
        stage: NodeName,
    },
    /// A stage waits for one that is not part of the run.
    #[error("stage `{stage}` waits for `{dependency}`, which is not part of the run")]
    UnknownDependency {
        /// The stage that waits.
        stage: NodeName,
        /// What it waits for.
        dependency: NodeName,
    },
    /// Stages wait for one another.
    #[error("the stages {} wait for one another", list(.stages))]
    Cycle {
        /// The stages of the cycle and those behind it.
        stages: Vec<NodeName>,
    },
}

fn list(stages: &[NodeName]) -> String {
    stages.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ")
}

coded! {
    ScheduleError {
        NoSlot => "WL0610", "allow at least one stage at a time";
        DuplicateStage | UnknownDependency | Cycle => "WL0610",
            "the run's schedule does not agree with the project's graph; report it with the project";
    }
}
