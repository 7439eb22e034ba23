//! A clock that passes only when nothing else can happen: then it moves on to the next moment somebody waits for.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use windlass_scheduler::clock::Clock;

#[derive(Debug, Clone, Default)]
pub(super) struct VirtualClock {
    timers: Arc<Mutex<Timers>>,
    stuck: CancellationToken,
}

#[derive(Debug, Default)]
struct Timers {
    now: Duration,
    /// How many sleeps there have been; numbers them.
    begun: u64,
    /// Who waits until when, in the order in which they will be woken.
    waiting: BTreeMap<(Duration, u64), Waker>,
}

impl VirtualClock {
    /// Runs the simulation in this clock's time, on this thread alone, so that it repeats exactly.
    pub(super) fn run<T>(&self, simulation: impl Future<Output = T>) -> T {
        let clock = self.clone();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.on_thread_park(move || clock.advance()).build().unwrap().block_on(simulation)
    }

    /// The time since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.timers.lock().now
    }

    /// Returns when nothing can happen any more: every task waits, and none of them for the time.
    pub(super) async fn stuck(&self) {
        self.stuck.cancelled().await;
    }

    /// Moves on to the next moment somebody waits for.
    fn advance(&self) {
        let mut timers = self.timers.lock();
        let next = timers.waiting.keys().next().map(|(until, _)| *until);
        let Some(next) = next else { return self.stuck.cancel() };
        timers.now = next;
        let later = timers.waiting.split_off(&(next, u64::MAX));
        let due = std::mem::replace(&mut timers.waiting, later);
        drop(timers);
        due.into_values().for_each(Waker::wake);
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::from_std(self.elapsed()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        let place = {
            let mut timers = self.timers.lock();
            timers.begun += 1;
            (timers.now + duration, timers.begun)
        };
        Sleep { timers: Arc::clone(&self.timers), place }.await;
    }
}

struct Sleep {
    timers: Arc<Mutex<Timers>>,
    place: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.timers.lock();
        if timers.now >= self.place.0 {
            return Poll::Ready(());
        }
        timers.waiting.insert(self.place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.timers.lock().waiting.remove(&self.place);
    }
}
