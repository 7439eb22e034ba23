//! The runs that this scheduler drives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use windlass_base::ids::RunId;

use super::error::ServiceError;
use super::live_run::LiveRun;

/// How long a run that has ended can still be watched from memory; its bundle serves those who come later.
const KEPT_AFTER_END: Duration = Duration::from_secs(60);

/// The runs under way, and those that ended a moment ago.
#[derive(Debug)]
pub(super) struct LiveRuns {
    most: usize,
    draining: AtomicBool,
    runs: Mutex<HashMap<RunId, Arc<LiveRun>>>,
}

impl LiveRuns {
    /// At most `most` at a time.
    pub(super) fn new(most: usize) -> Self {
        Self { most, draining: AtomicBool::new(false), runs: Mutex::default() }
    }

    /// The run of that id; `start` makes it if there is none. The same submission sent twice is one run.
    pub(super) fn start(
        &self,
        run_id: &RunId,
        start: impl FnOnce() -> Arc<LiveRun>,
    ) -> Result<Arc<LiveRun>, ServiceError> {
        let mut runs = self.runs.lock();
        runs.retain(|_, run| run.ended().is_none_or(|(_, at)| at.elapsed() < KEPT_AFTER_END));
        if let Some(run) = runs.get(run_id) {
            return Ok(Arc::clone(run));
        }
        if self.draining.load(Ordering::SeqCst) {
            return Err(ServiceError::Draining);
        }
        let active = runs.values().filter(|run| run.ended().is_none()).count();
        if active >= self.most {
            return Err(ServiceError::TooManyRuns { active });
        }
        let run = start();
        runs.insert(run_id.clone(), Arc::clone(&run));
        Ok(run)
    }

    /// A run, if it is under way or ended a moment ago.
    pub(super) fn get(&self, run_id: &RunId) -> Option<Arc<LiveRun>> {
        self.runs.lock().get(run_id).cloned()
    }

    /// The runs under way.
    pub(super) fn active(&self) -> Vec<Arc<LiveRun>> {
        self.runs.lock().values().filter(|run| run.ended().is_none()).cloned().collect()
    }

    /// Forgets a run that never began, so that it can be submitted again.
    pub(super) fn forget(&self, run_id: &RunId) {
        self.runs.lock().remove(run_id);
    }

    /// Forgets a run that has ended, so that it can be taken up.
    pub(super) fn forget_ended(&self, run_id: &RunId) {
        let mut runs = self.runs.lock();
        if runs.get(run_id).is_some_and(|run| run.ended().is_some()) {
            runs.remove(run_id);
        }
    }

    /// From now on no run starts.
    pub(super) fn stop_accepting(&self) {
        // Under the lock, so that no run slips in between.
        let _runs = self.runs.lock();
        self.draining.store(true, Ordering::SeqCst);
    }
}
