//! The queue of runs: which start at once, which wait and in what order, and which are refused. It starts nothing itself, and
//! knows no time.
//!
//! ```text
//! admit ─→ active                       if a slot is free and no run of its pipeline is active
//!       ├→ waiting ─start_next→ active  highest priority first, then the order of arrival
//!       └→ Overload                     if as many wait as may
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use windlass_base::coded;
use windlass_base::count::counted;
use windlass_base::ids::{PipelineName, RunId};

/// How much a scheduler takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// How many runs may be active at a time.
    pub max_runs: usize,
    /// How many runs may wait.
    pub max_queued: usize,
    /// How many runs of one pipeline may wait.
    pub max_queued_per_pipeline: usize,
}

/// How urgent a run is; greater ones start first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// As its submitter says.
    Asked(i32),
    /// Of a run that had begun when the scheduler before ended: it goes on before another run changes its tables.
    Begun,
}

/// A run that is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedRun {
    /// The run.
    pub run: RunId,
    /// Its pipeline, of which only one run is active at a time.
    pub pipeline: PipelineName,
    /// How urgent it is.
    pub priority: Priority,
}

/// What becomes of a run that is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is active from now on.
    Started,
    /// It waits.
    Queued,
}

/// A run is refused because there are too many others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Overload {
    /// No slot is free, and the run does not want to wait.
    #[error("this scheduler runs at most {} at a time, and is busy with as many", counted(*.active, "run"))]
    Busy {
        /// How many runs are active.
        active: usize,
    },
    /// As many runs wait as may.
    #[error("the queue of this scheduler is full: {} in it", counted(*.queued, "run"))]
    Full {
        /// How many wait.
        queued: usize,
    },
    /// As many runs of the pipeline wait as may.
    #[error("the queue of pipeline {pipeline} is full: {} in it", counted(*.queued, "run"))]
    PipelineFull {
        /// The pipeline.
        pipeline: PipelineName,
        /// How many of its runs wait.
        queued: usize,
    },
}

coded! {
    Overload {
        Busy => "WL0807" retry, "submit it so that it waits, without `--no-wait`, or raise `max-runs` of the scheduler";
        Full => "WL0810" retry, "try again later, or raise `max-queued` of the scheduler";
        PipelineFull => "WL0811" retry,
            "try again later, cancel queued runs that are not needed, or raise `max-queued-per-pipeline` of the scheduler";
    }
}

/// The order of starting: priority, then arrival.
type Place = (Reverse<Priority>, u64);

/// The runs that are active and those that wait.
#[derive(Debug)]
pub struct RunQueue {
    limits: QueueLimits,
    arrivals: u64,
    waiting: BTreeMap<Place, QueuedRun>,
    active: HashMap<RunId, PipelineName>,
}

impl RunQueue {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, arrivals: 0, waiting: BTreeMap::new(), active: HashMap::new() }
    }

    /// Takes in a run, which starts at once if nothing keeps it from that.
    ///
    /// # Errors
    /// [`Overload::Full`] and [`Overload::PipelineFull`] if it would have to wait and must not.
    pub fn admit(&mut self, run: QueuedRun) -> Result<Admission, Overload> {
        if self.can_start(&run.pipeline) {
            self.active.insert(run.run, run.pipeline);
            return Ok(Admission::Started);
        }
        if self.queued() >= self.limits.max_queued {
            return Err(Overload::Full { queued: self.queued() });
        }
        let queued = self.waiting.values().filter(|waiting| waiting.pipeline == run.pipeline).count();
        if queued >= self.limits.max_queued_per_pipeline {
            return Err(Overload::PipelineFull { pipeline: run.pipeline, queued });
        }
        self.enqueue(run);
        Ok(Admission::Queued)
    }

    /// Takes in a run that does not wait: it starts now if a slot is free. It is not compared with other runs of its
    /// pipeline, whose lease tells who is in its way.
    ///
    /// # Errors
    /// [`Overload::Busy`] if no slot is free.
    pub fn admit_now(&mut self, run: RunId, pipeline: PipelineName) -> Result<(), Overload> {
        if self.active.len() >= self.limits.max_runs {
            return Err(Overload::Busy { active: self.active.len() });
        }
        self.active.insert(run, pipeline);
        Ok(())
    }

    /// Takes in a run that was accepted before, by a scheduler that is gone: it waits, however many do.
    pub fn enqueue(&mut self, run: QueuedRun) {
        self.arrivals += 1;
        self.waiting.insert((Reverse(run.priority), self.arrivals), run);
    }

    /// The next run that can start, if there is one; it is active from now on.
    pub fn start_next(&mut self) -> Option<QueuedRun> {
        if self.active.len() >= self.limits.max_runs {
            return None;
        }
        let place = self.waiting.iter().find(|(_, run)| self.can_start(&run.pipeline)).map(|(place, _)| *place)?;
        let run = self.waiting.remove(&place)?;
        self.active.insert(run.run.clone(), run.pipeline.clone());
        Some(run)
    }

    /// An active run has ended.
    pub fn end(&mut self, run: &RunId) {
        self.active.remove(run);
    }

    /// Takes a run out that waits; `false` if it does not wait.
    pub fn remove(&mut self, run: &RunId) -> bool {
        let place = self.waiting.iter().find(|(_, waiting)| waiting.run == *run).map(|(place, _)| *place);
        place.and_then(|place| self.waiting.remove(&place)).is_some()
    }

    /// The runs that wait, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = &QueuedRun> {
        self.waiting.values()
    }

    /// How many runs wait.
    pub fn queued(&self) -> usize {
        self.waiting.len()
    }

    /// The active runs with their pipelines.
    pub fn active(&self) -> impl Iterator<Item = (&RunId, &PipelineName)> {
        self.active.iter()
    }

    /// Whether every run is refused now, whatever its pipeline is.
    pub fn is_exhausted(&self) -> bool {
        self.active.len() >= self.limits.max_runs && self.queued() >= self.limits.max_queued
    }

    fn can_start(&self, pipeline: &PipelineName) -> bool {
        self.active.len() < self.limits.max_runs && !self.active.values().any(|active| active == pipeline)
    }
}
