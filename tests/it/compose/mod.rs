//! A cluster of containers from docker/compose.yaml: it gives the same results as one process, also after losing parts.
//!
//! On only with `WINDLASS_COMPOSE=1`, as `make compose-test` sets it, because the images must have been built.

mod answers;
mod cluster;
mod losses;
mod pipeline;
mod returns;

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
const TIMEOUT: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(100);

/// Retries until there is an answer.
#[track_caller]
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < TIMEOUT, "gave up waiting: {what}");
        std::thread::sleep(POLL);
    }
}
