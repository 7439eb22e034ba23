//! The runs that this scheduler drives, and those that wait for it to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use windlass_base::ids::RunId;

use super::error::ServiceError;
use super::live_run::LiveRun;
use super::queue::{Admission, Overload, QueueLimits, QueuedRun, RunQueue};

/// How long a run that has ended can still be watched from memory; its bundle serves those who come later.
const KEPT_AFTER_END: Duration = Duration::from_secs(60);

/// The runs under way, those in the queue, and those that ended a moment ago.
#[derive(Debug)]
pub(super) struct LiveRuns {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    draining: bool,
    runs: HashMap<RunId, Arc<LiveRun>>,
    queue: RunQueue,
}

/// A run that was admitted.
pub(super) struct Admitted {
    /// The run: the one that was here already if the same was submitted before.
    pub(super) run: Arc<LiveRun>,
    /// Whether it is to be driven now.
    pub(super) starts: bool,
}

impl LiveRuns {
    /// No run yet.
    pub(super) fn new(limits: QueueLimits) -> Self {
        let inner = Inner { draining: false, runs: HashMap::new(), queue: RunQueue::new(limits) };
        Self { inner: Mutex::new(inner) }
    }

    /// The run of that id, if it is here. If it is not, and no run would be accepted now, that is an error: then there is no
    /// need to read what was submitted.
    pub(super) fn known(&self, run_id: &RunId, waits: bool) -> Result<Option<Arc<LiveRun>>, ServiceError> {
        let inner = self.inner.lock();
        if let Some(run) = inner.runs.get(run_id) {
            return Ok(Some(Arc::clone(run)));
        }
        if inner.draining {
            return Err(ServiceError::Draining);
        }
        match waits && inner.queue.is_exhausted() {
            true => Err(Overload::Full { queued: inner.queue.queued() }.into()),
            false => Ok(None),
        }
    }

    /// Starts a run, or lets it wait if it `waits`. The same submission sent twice is one run.
    pub(super) fn admit(&self, run: Arc<LiveRun>, waits: bool) -> Result<Admitted, ServiceError> {
        let mut inner = self.inner.lock();
        inner.runs.retain(|_, run| run.ended().is_none_or(|(_, at)| at.elapsed() < KEPT_AFTER_END));
        if let Some(known) = inner.runs.get(&run.run_id) {
            return Ok(Admitted { run: Arc::clone(known), starts: false });
        }
        if inner.draining {
            return Err(ServiceError::Draining);
        }
        let admission = if waits {
            inner.queue.admit(queued(&run))?
        } else {
            inner.queue.admit_now(run.run_id.clone(), run.pipeline.clone())?;
            Admission::Started
        };
        inner.runs.insert(run.run_id.clone(), Arc::clone(&run));
        inner.tell_positions();
        Ok(Admitted { run, starts: admission == Admission::Started })
    }

    /// Takes in the runs that the scheduler before has accepted, in their order, and gives those that are to be driven now.
    pub(super) fn take_up(&self, runs: Vec<Arc<LiveRun>>) -> Vec<Arc<LiveRun>> {
        let mut inner = self.inner.lock();
        for run in runs {
            inner.queue.enqueue(queued(&run));
            inner.runs.insert(run.run_id.clone(), run);
        }
        inner.start_waiting()
    }

    /// A run does not need its slot any more; gives those that are to be driven now.
    pub(super) fn free(&self, run_id: &RunId) -> Vec<Arc<LiveRun>> {
        let mut inner = self.inner.lock();
        inner.queue.end(run_id);
        inner.start_waiting()
    }

    /// Takes a run out of the queue; `None` if it does not wait there.
    pub(super) fn leave_queue(&self, run_id: &RunId) -> Option<Arc<LiveRun>> {
        let mut inner = self.inner.lock();
        if !inner.queue.remove(run_id) {
            return None;
        }
        let run = inner.runs.get(run_id).cloned();
        inner.tell_positions();
        run
    }

    /// A run, if it is under way, waits, or ended a moment ago.
    pub(super) fn get(&self, run_id: &RunId) -> Option<Arc<LiveRun>> {
        self.inner.lock().runs.get(run_id).cloned()
    }

    /// The runs under way.
    pub(super) fn active(&self) -> Vec<Arc<LiveRun>> {
        let is_active = |run: &&Arc<LiveRun>| run.ended().is_none() && run.position().is_none();
        self.inner.lock().runs.values().filter(is_active).cloned().collect()
    }

    /// The runs in the queue, in their order.
    pub(super) fn queued(&self) -> Vec<Arc<LiveRun>> {
        let inner = self.inner.lock();
        inner.queue.waiting().filter_map(|waiting| inner.runs.get(&waiting.run).cloned()).collect()
    }

    /// How many runs are in the queue.
    pub(super) fn queued_count(&self) -> usize {
        self.inner.lock().queue.queued()
    }

    /// Forgets a run that has ended, so that it can be taken up or, if it never began, be submitted again.
    pub(super) fn forget_ended(&self, run_id: &RunId) {
        let mut inner = self.inner.lock();
        if inner.runs.get(run_id).is_some_and(|run| run.ended().is_some()) {
            inner.runs.remove(run_id);
        }
    }

    /// From now on no run starts: those in the queue stay there for the next scheduler.
    pub(super) fn stop_accepting(&self) {
        self.inner.lock().draining = true;
    }

    /// Whether no run starts any more.
    pub(super) fn is_draining(&self) -> bool {
        self.inner.lock().draining
    }
}

impl Inner {
    fn start_waiting(&mut self) -> Vec<Arc<LiveRun>> {
        let mut started = Vec::new();
        while !self.draining
            && let Some(next) = self.queue.start_next()
        {
            if let Some(run) = self.runs.get(&next.run) {
                run.set_position(None);
                started.push(Arc::clone(run));
            }
        }
        self.tell_positions();
        started
    }

    /// Tells each run in the queue how many are before it.
    fn tell_positions(&self) {
        for (position, waiting) in (1..).zip(self.queue.waiting()) {
            if let Some(run) = self.runs.get(&waiting.run) {
                run.set_position(Some(position));
            }
        }
    }
}

fn queued(run: &LiveRun) -> QueuedRun {
    QueuedRun { run: run.run_id.clone(), pipeline: run.pipeline.clone(), priority: run.priority }
}
