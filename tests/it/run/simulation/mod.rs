//! The run state machine against random graphs, failures, cancels and crashes, over a store that fails.
//!
//! Every seed makes one run: a graph, the fates of its executions and commits, and the faults around it. A driver much
//! like the real one performs the machine's actions in a world that remembers what really happened; [`rules`] compares
//! the two after every step. A failure prints its seed; `WINDLASS_SEED=<n>` runs that seed alone, with its trace.

mod driver;
mod faulty_store;
mod rules;
mod world;

use driver::Simulation;

/// The seeds of an ordinary test run; `WINDLASS_SIM_SEEDS` gives another number.
const SEEDS: u64 = 4_000;

fn seeds() -> u64 {
    std::env::var("WINDLASS_SIM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

fn run_seed(seed: u64) -> Simulation {
    let simulated = std::panic::catch_unwind(|| {
        let mut simulation = Simulation::new(seed);
        futures::executor::block_on(simulation.run());
        simulation
    });
    simulated.unwrap_or_else(|_| panic!("seed {seed} fails: WINDLASS_SEED={seed} replays it alone"))
}

#[test]
fn no_seed_breaks_a_rule() {
    if let Ok(seed) = std::env::var("WINDLASS_SEED") {
        let simulation = run_seed(seed.parse().unwrap());
        println!("{}", simulation.trace());
        return;
    }
    let mut seen = driver::Seen::default();
    for seed in 0..seeds() {
        seen.add(run_seed(seed).seen());
    }
    // A simulation without faults proves nothing.
    assert!(seen.is_everything(SEEDS / 100), "{seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..100 {
        let (one, two) = (run_seed(seed), run_seed(seed));
        assert_eq!(one.trace(), two.trace(), "seed {seed}");
        assert!(one.trace().len() > 100);
    }
}
