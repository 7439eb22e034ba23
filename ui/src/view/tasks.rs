//! How evenly the work of a stage was spread over its tasks.

use std::collections::{BTreeMap, BTreeSet};

use windlass_evidence::artifact::TaskTiming;

use super::text::{bytes, count, duration};

/// The tasks of one engine stage in one attempt.
#[derive(Debug)]
pub(crate) struct TaskGroup {
    /// The stage's attempt.
    pub(crate) attempt: u32,
    /// The engine's stage.
    pub(crate) engine_stage: u32,
    /// How many tasks.
    pub(crate) tasks: String,
    /// Of these, those that failed.
    pub(crate) failed: usize,
    /// On how many executors.
    pub(crate) executors: usize,
    /// The shortest, the middle and the longest duration.
    pub(crate) durations: [String; 3],
    /// Rows that they put out.
    pub(crate) rows: String,
    /// Bytes that they put out.
    pub(crate) bytes: String,
    /// The longest duration as a multiple of the middle one.
    pub(crate) skew: String,
    /// Whether that is so much that it is worth a look.
    pub(crate) is_skewed: bool,
}

/// From this on, in tenths, the longest duration is worth a look, if it is not short in any case.
const NOTABLE_SKEW: u64 = 20;
const NOTABLE_MS: u64 = 1_000;

/// The tasks by attempt and engine stage.
pub(crate) fn task_groups(tasks: &[TaskTiming]) -> Vec<TaskGroup> {
    let mut groups: BTreeMap<(u32, u32), Vec<&TaskTiming>> = BTreeMap::new();
    for task in tasks {
        groups.entry((task.attempt, task.engine_stage)).or_default().push(task);
    }
    groups.into_iter().map(|((attempt, engine_stage), tasks)| group_of(attempt, engine_stage, &tasks)).collect()
}

fn group_of(attempt: u32, engine_stage: u32, tasks: &[&TaskTiming]) -> TaskGroup {
    let took = |task: &&TaskTiming| u64::try_from(task.end_ms - task.start_ms).unwrap_or_default();
    let mut durations: Vec<u64> = tasks.iter().map(took).collect();
    durations.sort_unstable();
    let at = |index: usize| durations.get(index).copied().unwrap_or_default();
    let (least, middle, most) = (at(0), at(durations.len() / 2), at(durations.len().saturating_sub(1)));
    let tenths = most.saturating_mul(10) / middle.max(1);
    let executors: BTreeSet<&str> = tasks.iter().map(|task| task.executor.as_str()).collect();
    TaskGroup {
        attempt,
        engine_stage,
        tasks: count(tasks.len() as u64),
        failed: tasks.iter().filter(|task| task.failure.is_some()).count(),
        executors: executors.len(),
        durations: [least, middle, most].map(duration),
        rows: count(tasks.iter().map(|task| task.rows).sum()),
        bytes: bytes(tasks.iter().map(|task| task.bytes).sum()),
        skew: format!("{}.{} ×", tenths / 10, tenths % 10),
        is_skewed: tenths >= NOTABLE_SKEW && most >= NOTABLE_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(engine_stage: u32, partition: u32, end_ms: i64) -> TaskTiming {
        TaskTiming {
            attempt: 1,
            engine_stage,
            partition,
            task_attempt: 0,
            executor: format!("executor {}", partition % 2),
            start_ms: 0,
            end_ms,
            rows: 10,
            bytes: 1_024,
            plan_bytes: 0,
            failure: None,
        }
    }

    #[test]
    fn one_slow_task_is_noticed() {
        let even: Vec<_> = (0..4).map(|partition| task(1, partition, 1_000)).collect();
        let skewed: Vec<_> =
            (0..4).map(|partition| task(2, partition, if partition == 3 { 5_000 } else { 1_000 })).collect();
        let groups = task_groups(&[even, skewed].concat());
        let shown: Vec<_> =
            groups.iter().map(|group| (group.engine_stage, group.skew.as_str(), group.is_skewed)).collect();
        assert_eq!(shown, [(1, "1.0 ×", false), (2, "5.0 ×", true)]);
        assert_eq!((groups[0].rows.as_str(), groups[0].bytes.as_str(), groups[0].executors), ("40", "4.0 KiB", 2));
    }
}
