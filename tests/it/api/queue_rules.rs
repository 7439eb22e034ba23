//! The queue of runs by itself, against a plain model of its rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use windlass_base::error::Coded;
use windlass_base::ids::{PipelineName, RunId};
use windlass_scheduler::service::queue::{Admission, Overload, Priority, QueueLimits, QueuedRun, RunQueue};

fn run(name: &str, pipeline: &str, priority: i32) -> QueuedRun {
    QueuedRun { run: RunId::new(name), pipeline: PipelineName::new(pipeline), priority: Priority::Asked(priority) }
}

fn queue(max_runs: usize, max_queued: usize, max_queued_per_pipeline: usize) -> RunQueue {
    RunQueue::new(QueueLimits { max_runs, max_queued, max_queued_per_pipeline })
}

fn next(queue: &mut RunQueue) -> Option<String> {
    queue.start_next().map(|run| run.run.to_string())
}

#[test]
fn runs_start_by_priority_and_then_as_they_arrived() {
    let mut queue = queue(1, 10, 10);
    assert_eq!(queue.admit(run("first", "p", 0)), Ok(Admission::Started));
    for (name, pipeline, priority) in [("a", "a", 0), ("b", "b", 0), ("late", "c", 7), ("never", "d", -1)] {
        assert_eq!(queue.admit(run(name, pipeline, priority)), Ok(Admission::Queued));
    }
    queue.enqueue(QueuedRun { priority: Priority::Begun, ..run("begun", "e", 0) });
    assert_eq!(next(&mut queue), None, "no slot is free");
    for (ended, started) in [("first", "begun"), ("begun", "late"), ("late", "a"), ("a", "b"), ("b", "never")] {
        queue.end(&ended.into());
        assert_eq!(next(&mut queue).as_deref(), Some(started));
    }
}

#[test]
fn a_busy_pipeline_holds_up_its_own_runs_only() {
    let mut queue = queue(3, 10, 10);
    assert_eq!(queue.admit(run("one", "p", 0)), Ok(Admission::Started));
    assert_eq!(queue.admit(run("two", "p", 9)), Ok(Admission::Queued));
    assert_eq!(queue.admit(run("other", "q", 0)), Ok(Admission::Started));
    assert_eq!(next(&mut queue), None);
    queue.end(&"one".into());
    assert_eq!(next(&mut queue).as_deref(), Some("two"));
}

#[test]
fn a_full_queue_refuses_what_would_wait() {
    let mut queue = queue(1, 3, 2);
    let code = |refused: Result<Admission, Overload>| refused.unwrap_err().code().0;
    queue.admit(run("active", "p", 0)).unwrap();
    queue.admit(run("p1", "p", 0)).unwrap();
    queue.admit(run("p2", "p", 0)).unwrap();
    assert_eq!(code(queue.admit(run("p3", "p", 0))), "WL0811");
    assert!(!queue.is_exhausted());
    queue.admit(run("q1", "q", 0)).unwrap();
    assert!(queue.is_exhausted());
    assert_eq!(code(queue.admit(run("q2", "q", 0))), "WL0810");
    let busy = queue.admit_now("now".into(), "r".into()).unwrap_err();
    assert_eq!((busy.code().0, busy.is_retryable()), ("WL0807", true));
    assert!(queue.remove(&"p1".into()) && !queue.remove(&"p1".into()));
    queue.admit(run("p3", "p", 0)).unwrap();
    // What was accepted before is taken in, whatever the limits are now.
    queue.enqueue(run("kept", "p", 0));
    assert_eq!(queue.queued(), 4);
    queue.end(&"active".into());
    queue.admit_now("now".into(), "p".into()).unwrap();
}

/// What happens to a queue.
#[derive(Debug, Clone)]
enum Happens {
    Arrives { pipeline: u8, priority: i32 },
    Ends(prop::sample::Index),
    IsCancelled(prop::sample::Index),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0..4_u8, 0..3_i32).prop_map(|(pipeline, priority)| Happens::Arrives { pipeline, priority }),
        2 => any::<prop::sample::Index>().prop_map(Happens::Ends),
        1 => any::<prop::sample::Index>().prop_map(Happens::IsCancelled),
    ]
}

/// A queue, and what is known of its runs from outside.
struct Watched {
    limits: QueueLimits,
    queue: RunQueue,
    /// Each run that was accepted, with its arrival.
    accepted: BTreeMap<RunId, (QueuedRun, usize)>,
    started: BTreeSet<RunId>,
    cancelled: BTreeSet<RunId>,
}

impl Watched {
    fn arrive(&mut self, arrival: usize, pipeline: u8, priority: i32) {
        let new = run(&format!("r{arrival:04}"), &format!("p{pipeline}"), priority);
        let (busy, full) = (self.is_busy(&new.pipeline), self.is_full(&new.pipeline));
        let admission = self.queue.admit(new.clone());
        assert_eq!(admission.is_err(), busy && full, "{new:?}: {admission:?}");
        if let Ok(admission) = admission {
            assert_eq!(admission == Admission::Queued, busy, "{new:?}");
            if admission == Admission::Started {
                self.started.insert(new.run.clone());
            }
            self.accepted.insert(new.run.clone(), (new, arrival));
        }
    }

    fn is_busy(&self, pipeline: &PipelineName) -> bool {
        let active: Vec<&PipelineName> = self.queue.active().map(|(_, pipeline)| pipeline).collect();
        active.len() >= self.limits.max_runs || active.contains(&pipeline)
    }

    fn is_full(&self, pipeline: &PipelineName) -> bool {
        let own = self.queue.waiting().filter(|run| run.pipeline == *pipeline).count();
        self.queue.queued() >= self.limits.max_queued || own >= self.limits.max_queued_per_pipeline
    }

    /// Starts what can start: nothing that is before it in the order could.
    fn start(&mut self) {
        loop {
            let waiting: Vec<QueuedRun> = self.queue.waiting().cloned().collect();
            let startable = waiting.iter().find(|run| !self.is_busy(&run.pipeline)).cloned();
            let started = self.queue.start_next();
            assert_eq!(started, startable);
            let Some(started) = started else { break };
            assert!(self.started.insert(started.run.clone()), "{started:?} has started twice");
        }
    }

    fn check(&self) {
        let pipelines: Vec<&PipelineName> = self.queue.active().map(|(_, pipeline)| pipeline).collect();
        assert!(pipelines.len() <= self.limits.max_runs, "{pipelines:?}");
        assert_eq!(
            pipelines.iter().collect::<BTreeSet<_>>().len(),
            pipelines.len(),
            "two of a pipeline: {pipelines:?}"
        );
        assert!(self.queue.queued() <= self.limits.max_queued);
        let places: Vec<_> =
            self.queue.waiting().map(|run| (std::cmp::Reverse(run.priority), self.accepted[&run.run].1)).collect();
        assert!(places.is_sorted(), "out of order: {places:?}");
        let mut own: BTreeMap<&PipelineName, usize> = BTreeMap::new();
        for run in self.queue.waiting() {
            *own.entry(&run.pipeline).or_default() += 1;
        }
        assert!(own.values().all(|count| *count <= self.limits.max_queued_per_pipeline), "{own:?}");
    }

    fn active(&self) -> Vec<RunId> {
        let mut active: Vec<RunId> = self.queue.active().map(|(run, _)| run.clone()).collect();
        active.sort_unstable();
        active
    }
}

proptest! {
    #[test]
    fn limits_hold_the_order_is_kept_and_everything_starts_in_the_end(
        (max_runs, max_queued, max_queued_per_pipeline) in (1..4_usize, 0..8_usize, 0..4_usize),
        history in prop::collection::vec(happens(), 0..80),
    ) {
        let limits = QueueLimits { max_runs, max_queued, max_queued_per_pipeline };
        let mut watched = Watched {
            limits,
            queue: RunQueue::new(limits),
            accepted: BTreeMap::new(),
            started: BTreeSet::new(),
            cancelled: BTreeSet::new(),
        };
        for (arrival, event) in history.into_iter().enumerate() {
            match event {
                Happens::Arrives { pipeline, priority } => watched.arrive(arrival, pipeline, priority),
                Happens::Ends(index) => {
                    let active = watched.active();
                    if !active.is_empty() {
                        watched.queue.end(index.get(&active));
                    }
                }
                Happens::IsCancelled(index) => {
                    let waiting: Vec<RunId> = watched.queue.waiting().map(|run| run.run.clone()).collect();
                    if !waiting.is_empty() {
                        let run = index.get(&waiting);
                        assert!(watched.queue.remove(run));
                        watched.cancelled.insert(run.clone());
                    }
                }
            }
            watched.start();
            watched.check();
        }
        while let Some(run) = watched.active().first() {
            watched.queue.end(run);
            watched.start();
            watched.check();
        }
        let mut ended = watched.started.clone();
        ended.extend(watched.cancelled.iter().cloned());
        prop_assert_eq!(ended.into_iter().collect::<Vec<_>>(), watched.accepted.keys().cloned().collect::<Vec<_>>());
        prop_assert!(watched.started.is_disjoint(&watched.cancelled));
    }
}
