//! Jobs that wait because the cluster has no executor.

use std::time::{Duration, Instant};

/// Counts how long there has been no executor.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    since: Option<Instant>,
}

impl Shortage {
    /// Takes in whether there is an executor `now`; for how long there has been none.
    pub(crate) fn observe(&mut self, has_executor: bool, now: Instant) -> Duration {
        if has_executor {
            self.since = None;
            return Duration::ZERO;
        }
        now.saturating_duration_since(*self.since.get_or_insert(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_lasts_until_an_executor_joins() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut shortage = Shortage::default();
        let observed = [(true, 0), (false, 1), (false, 3), (true, 4), (false, 9), (false, 10)]
            .map(|(has_executor, at)| shortage.observe(has_executor, start + at * second).as_secs());
        assert_eq!(observed, [0, 0, 2, 0, 0, 1]);
    }
}
