//! The task that sends events, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use windlass_base::secrets::without_secrets;
use windlass_evidence::openlineage::RunEvent;

use super::target::{Channel, Refusal, Target};

/// How many events may wait.
const QUEUE: usize = 1_024;
/// How often an event is offered, and the pause after the first refusal; it doubles.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Sends the events of one run. Dropping it lets what waits be sent, as long as the process lives.
pub(super) struct Sender {
    queue: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    offered: AtomicU64,
    outcome: Arc<Outcome>,
    target: String,
}

/// What has become of the events.
#[derive(Default)]
struct Outcome {
    sent: AtomicU64,
    /// Why one of them was not sent; the last reason.
    trouble: Mutex<Option<String>>,
}

impl Sender {
    /// Starts the task.
    pub(super) fn start(target: Target) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let outcome = Arc::new(Outcome::default());
        let shown = target.shown();
        let task = tokio::spawn(deliver(target, waiting, Arc::clone(&outcome)));
        Self {
            queue: Mutex::new(Some(queue)),
            task: Mutex::new(Some(task)),
            offered: AtomicU64::new(0),
            outcome,
            target: shown,
        }
    }

    /// Puts an event into the queue, or drops it if the queue is full.
    pub(super) fn send(&self, event: &RunEvent) {
        self.offered.fetch_add(1, Ordering::Relaxed);
        let line = match serde_json::to_vec(event) {
            Ok(line) => line,
            Err(error) => return self.outcome.failed(error.to_string()),
        };
        let queue = self.queue.lock().clone();
        if queue.is_none_or(|queue| queue.try_send(line).is_err()) {
            self.outcome.failed("too many events wait".to_owned());
        }
    }

    /// Takes no more events, and waits for those that are under way, at most for `limit`. Gives a warning if not all were sent.
    pub(super) async fn finish(&self, limit: Duration) -> Option<String> {
        drop(self.queue.lock().take());
        let task = self.task.lock().take();
        if let Some(mut task) = task
            && tokio::time::timeout(limit, &mut task).await.is_err()
        {
            task.abort();
            let slow = || format!("it takes longer than {} s", limit.as_secs());
            self.outcome.trouble.lock().get_or_insert_with(slow);
        }
        let (offered, sent) = (self.offered.load(Ordering::Relaxed), self.outcome.sent.load(Ordering::Relaxed));
        let reason = self.outcome.trouble.lock().take().unwrap_or_else(|| "the task has ended".to_owned());
        (sent < offered).then(|| {
            let missing = offered - sent;
            let reason = without_secrets(&reason);
            format!("{missing} of {offered} lineage events were not sent to {}: {reason}", self.target)
        })
    }
}

impl Outcome {
    fn failed(&self, reason: String) {
        *self.trouble.lock() = Some(reason);
    }
}

/// Sends what comes out of the queue until it is closed.
async fn deliver(target: Target, mut waiting: mpsc::Receiver<Vec<u8>>, outcome: Arc<Outcome>) {
    let channel = match target.open() {
        Ok(channel) => channel,
        Err(reason) => return outcome.failed(reason),
    };
    // Once an event was offered in vain, the others are offered once each until one is taken.
    let mut tries = TRIES;
    while let Some(event) = waiting.recv().await {
        match offer(&channel, &event, tries).await {
            Ok(()) => {
                outcome.sent.fetch_add(1, Ordering::Relaxed);
                tries = TRIES;
            }
            Err(refusal) => {
                if refusal.is_passing {
                    tries = 1;
                }
                outcome.failed(refusal.message);
            }
        }
    }
}

/// Offers an event until it is taken, or refused for good, or was offered often enough.
async fn offer(channel: &Channel, event: &[u8], tries: u32) -> Result<(), Refusal> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..tries {
        match channel.send(event).await {
            Err(refusal) if refusal.is_passing => tokio::time::sleep(pause).await,
            outcome => return outcome,
        }
        pause *= 2;
    }
    channel.send(event).await
}
