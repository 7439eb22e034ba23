//! The driver of runs with random graphs, failures, cancels and crashes, over a store that is slow and fails.
//!
//! Every seed makes one run: a graph, the outcomes of its executions and commits, and the faults around it. Processes
//! drive it with the real driver, one after the other and sometimes two at a time, because one is taken for dead that is
//! not. Time is virtual, and everything is on one thread, so that a seed gives the same run each time.
//!
//! What really happened is known apart from the processes: the tables, and the event log as it is in the store. The
//! [`history`] checks the [`rules`] with every event of the log; the [`ledger`] of each process checks that its driver
//! reports what is in the log, and does what the machine asks for, after that and once. A failure prints its seed;
//! `WINDLASS_SEED=<n>` runs that seed alone, with its trace.

mod faulty_store;
mod history;
mod ledger;
mod process;
mod rules;
mod seen;
mod simulated_run;
mod tables;
mod troubles;
mod virtual_clock;
mod work;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use seen::Sight;
use simulated_run::SimulatedRun;
pub(super) use troubles::random_schedule;

/// The seeds of an ordinary test run; `WINDLASS_SIM_SEEDS` gives another number.
const SEEDS: u64 = 4_000;

fn seeds() -> u64 {
    std::env::var("WINDLASS_SIM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

fn run_seed(seed: u64, is_traced: bool) -> SimulatedRun {
    let run = SimulatedRun::new(seed, is_traced);
    if catch_unwind(AssertUnwindSafe(|| run.simulate())).is_err() {
        println!("{}", run.trace());
        panic!("seed {seed} fails: WINDLASS_SEED={seed} replays it alone");
    }
    run
}

#[test]
fn no_seed_breaks_a_rule() {
    if let Ok(seed) = std::env::var("WINDLASS_SEED") {
        println!("{}", run_seed(seed.parse().unwrap(), true).trace());
        return;
    }
    let mut seen: BTreeMap<Sight, u64> = Sight::ALL.map(|sight| (sight, 0)).into();
    for seed in 0..seeds() {
        for sight in run_seed(seed, false).seen() {
            *seen.entry(sight).or_default() += 1;
        }
    }
    // A simulation without faults proves nothing.
    assert!(seen.values().all(|count| *count >= SEEDS / 100), "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..100 {
        let (one, two) = (run_seed(seed, true), run_seed(seed, true));
        assert_eq!(one.trace(), two.trace(), "seed {seed}");
        assert!(one.trace().len() > 100);
    }
}
