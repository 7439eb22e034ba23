//! What is random in a simulation: the graph, how likely faults are, and the fate of each process.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use windlass_base::ids::NodeName;
use windlass_scheduler::run::machine::{RetryPolicy, RunSchedule, StagePlanNode};

/// From this one on processes neither crash nor are taken for dead, so that every run ends.
const FIRST_SAFE_PROCESS: u32 = 20;

/// How likely faults are, all as shares of 1.
#[derive(Debug, Clone)]
pub(super) struct Troubles {
    pub(super) execution_fails: f64,
    pub(super) commit_fails: f64,
    pub(super) retryable: f64,
    pub(super) store_fails: f64,
    pub(super) store_slow: f64,
    /// Those of a process.
    crash: f64,
    taken_for_dead: f64,
    cancel: f64,
    lease_lost: f64,
}

impl Troubles {
    pub(super) fn random(random: &mut StdRng) -> Self {
        let mut some = |most: f64| if random.random_bool(0.5) { random.random_range(0.0..most) } else { 0.0 };
        Self {
            execution_fails: some(0.5),
            commit_fails: some(0.4),
            retryable: 1.0 - some(0.5),
            store_fails: some(0.4),
            store_slow: some(0.1),
            crash: some(1.0),
            taken_for_dead: some(1.0),
            cancel: some(0.4),
            lease_lost: some(0.3),
        }
    }
}

/// What ends a process before the run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// The time since its start.
    After(Duration),
    /// The poll of its driver at which it is gone.
    AtPoll(u32),
    /// The moment of its operations on the store.
    AtStoreMoment(u32),
}

/// What happens to a process from outside.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) death: Option<Death>,
    /// When another process begins because this one seems dead.
    pub(super) taken_for_dead: Option<Duration>,
    pub(super) cancel: Option<Duration>,
    pub(super) lease_lost: Option<Duration>,
}

impl Fate {
    pub(super) fn random(process: u32, troubles: &Troubles, random: &mut StdRng) -> Self {
        let may_die = process < FIRST_SAFE_PROCESS;
        let death = (may_die && random.random_bool(troubles.crash)).then(|| match random.random_range(0..3) {
            0 => Death::After(duration(random, 1_000)),
            1 => Death::AtPoll(random.random_range(1..60)),
            _ => Death::AtStoreMoment(random.random_range(1..50)),
        });
        let taken_for_dead = may_die && random.random_bool(troubles.taken_for_dead);
        Self {
            death,
            taken_for_dead: taken_for_dead.then(|| duration(random, 800)),
            cancel: random.random_bool(troubles.cancel).then(|| duration(random, 2_000)),
            lease_lost: random.random_bool(troubles.lease_lost).then(|| duration(random, 2_000)),
        }
    }
}

/// A random time of up to so many milliseconds.
pub(super) fn duration(random: &mut StdRng, most_ms: u64) -> Duration {
    Duration::from_micros(random.random_range(0..most_ms * 1_000))
}

/// A random graph of up to 12 stages with random limits.
pub(in crate::run) fn random_schedule(random: &mut StdRng) -> RunSchedule {
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
