//! The numbers of a stage in one run, and which of them differ between two.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use windlass_base::ids::NodeName;

use super::document::MeasureChange;
use super::evidence::RunEvidence;
use super::measure::{Measure, MeasureGroup};
use crate::artifact::{
    AttemptRecord, OperatorMetrics, PlanText, ReceiptOutcome, StageDecision, StageReceipt, StageSummary, TaskTiming,
};

/// What was measured; a measure that is not in it is not known.
pub(super) type Measures = BTreeMap<Measure, u64>;

/// The numbers of a stage in a run.
pub(super) fn of_stage(run: &RunEvidence, stage: &NodeName) -> Measures {
    let mut measures = Measures::new();
    of_inputs(&mut measures, run, stage);
    if let Some(decision) = run.decision(stage) {
        of_changes(&mut measures, decision);
    }
    if let Some(files) = run.plan_text(stage, PlanText::Physical).and_then(files_planned) {
        measures.insert(Measure::FilesPlanned, files);
    }
    if let Some(summary) = run.summary(stage) {
        of_summary(&mut measures, summary);
    }
    let Some(record) = run.record(stage) else { return measures };
    if let Some(attempt) = record.attempts.last() {
        of_attempt(&mut measures, attempt);
    }
    for (measure, value) in record.operators.iter().flat_map(of_operator) {
        add(&mut measures, measure, value);
    }
    of_tasks(&mut measures, &record.tasks);
    measures
}

/// The numbers of an operator.
pub(super) fn of_operator(operator: &OperatorMetrics) -> Measures {
    let value = |name: &str| operator.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value);
    let mut measures = Measures::new();
    let mut put = |measure, value: Option<u64>| {
        if let Some(value) = value {
            add(&mut measures, measure, value);
        }
    };
    // Writers of shuffles repeat the rows of the operator below them.
    let is_shuffle = operator.operator.contains("ShuffleWriter");
    let is_scan = value("bytes_scanned").is_some();
    put(Measure::RowsRead, value("output_rows").filter(|_| is_scan));
    put(Measure::OperatorRows, value("output_rows").filter(|_| !is_shuffle));
    put(Measure::BytesRead, value("bytes_scanned"));
    put(Measure::FilesRead, value("files_opened"));
    put(Measure::FilesPruned, value("files_ranges_pruned_statistics_pruned"));
    put(Measure::RowGroupsRead, value("row_groups_pruned_statistics_matched"));
    for pruned in ["statistics_pruned", "bloom_filter_pruned", "dynamic_filter"] {
        put(Measure::RowGroupsPruned, value(&format!("row_groups_pruned_{pruned}")));
    }
    put(Measure::Compute, value("elapsed_compute"));
    for waited in ["time_elapsed_opening", "time_elapsed_scanning_total"] {
        put(Measure::ScanTime, value(waited));
    }
    put(Measure::Spills, value("spill_count"));
    for spilled in ["spilled_bytes", "spill_bytes"] {
        put(Measure::SpilledBytes, value(spilled));
    }
    measures
}

/// The measures that differ, in their order. Nothing and zero are the same.
pub(super) fn changes(before: &Measures, after: &Measures) -> Vec<MeasureChange> {
    let all: BTreeSet<Measure> = before.keys().chain(after.keys()).copied().collect();
    let change = |measure: Measure| {
        let (before, after) = (before.get(&measure).copied(), after.get(&measure).copied());
        let differs = before.unwrap_or_default() != after.unwrap_or_default();
        differs.then(|| MeasureChange { measure, unit: measure.unit(), before, after })
    };
    all.into_iter().filter_map(change).collect()
}

/// Those of a group.
pub(super) fn of_group(changes: &[MeasureChange], group: MeasureGroup) -> Vec<MeasureChange> {
    changes.iter().filter(|change| change.measure.group() == group).cloned().collect()
}

fn add(measures: &mut Measures, measure: Measure, value: u64) {
    let sum = measures.entry(measure).or_default();
    *sum = sum.saturating_add(value);
}

fn of_inputs(measures: &mut Measures, run: &RunEvidence, stage: &NodeName) {
    for input in run.inputs(stage) {
        let registered = run.registration(&input.name).and_then(|table| Some((table.files?, table.bytes?)));
        let pinned = || run.pin(&input.name).map(|pin| (pin.files, pin.bytes));
        if let Some((files, bytes)) = registered.or_else(pinned) {
            add(measures, Measure::InputFiles, files);
            add(measures, Measure::InputBytes, bytes);
        }
    }
}

fn of_changes(measures: &mut Measures, decision: &StageDecision) {
    for change in &decision.changes {
        if let Some(rows) = change.rows {
            add(measures, Measure::ChangeRows, rows);
        }
        add(measures, Measure::ChangeBytes, change.bytes);
    }
}

fn of_summary(measures: &mut Measures, summary: &StageSummary) {
    measures.insert(Measure::Duration, summary.duration_ms);
    measures.insert(Measure::Attempts, u64::from(summary.attempts));
    let is_written = |receipt: &&StageReceipt| receipt.outcome != ReceiptOutcome::Reused;
    if let Some(receipt) = summary.receipt.as_ref().filter(is_written) {
        measures.insert(Measure::RowsWritten, receipt.rows);
        measures.insert(Measure::BytesWritten, receipt.bytes);
        measures.insert(Measure::FilesWritten, receipt.files);
    }
}

fn of_attempt(measures: &mut Measures, attempt: &AttemptRecord) {
    let between = |from: DateTime<Utc>, to: DateTime<Utc>| u64::try_from((to - from).num_milliseconds()).ok();
    let Some(staged) = attempt.staged_at else { return };
    if let Some(ms) = between(attempt.started_at, staged) {
        measures.insert(Measure::Execution, ms);
    }
    if let Some(ms) = attempt.ended_at.and_then(|ended| between(staged, ended)) {
        measures.insert(Measure::Commit, ms);
    }
}

/// Those of the tasks of the last attempt that ended well.
fn of_tasks(measures: &mut Measures, tasks: &[TaskTiming]) {
    let last = tasks.iter().map(|task| task.attempt).max();
    let tasks: Vec<&TaskTiming> =
        tasks.iter().filter(|task| Some(task.attempt) == last && task.failure.is_none()).collect();
    if tasks.is_empty() {
        return;
    }
    let executors: BTreeSet<&str> = tasks.iter().map(|task| task.executor.as_str()).collect();
    measures.insert(Measure::Executors, executors.len() as u64);
    measures.insert(Measure::ParallelTasks, most_at_once(&tasks));
    measures.insert(Measure::TaskTime, tasks.iter().map(|task| took(task)).fold(0, u64::saturating_add));
    let mut stages: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for task in &tasks {
        stages.entry(task.engine_stage).or_default().push(took(task));
    }
    let spread = stages.into_values().filter_map(longest_and_median).max_by_key(|(longest, median)| longest - median);
    if let Some((longest, median)) = spread {
        measures.insert(Measure::LongestTask, longest);
        measures.insert(Measure::MedianTask, median);
        measures.insert(Measure::TaskSkew, longest.saturating_mul(100) / median.max(1));
    }
}

fn took(task: &TaskTiming) -> u64 {
    u64::try_from(task.end_ms.saturating_sub(task.start_ms)).unwrap_or_default()
}

/// The longest and the median of some times, if there are at least two.
fn longest_and_median(mut times: Vec<u64>) -> Option<(u64, u64)> {
    times.sort_unstable();
    let longest = *times.last()?;
    (times.len() > 1).then(|| (longest, times[(times.len() - 1) / 2]))
}

/// The most tasks that ran at the same time.
fn most_at_once(tasks: &[&TaskTiming]) -> u64 {
    let begins = tasks.iter().map(|task| (task.start_ms, 1_i64));
    let ends = tasks.iter().map(|task| (task.end_ms.max(task.start_ms.saturating_add(1)), -1));
    let mut events: Vec<(i64, i64)> = begins.chain(ends).collect();
    // What ends when another one begins did not run with it.
    events.sort_unstable();
    let (mut running, mut most) = (0, 0);
    for (_, step) in events {
        running += step;
        most = most.max(running);
    }
    u64::try_from(most).unwrap_or_default()
}

/// The files that a physical plan reads, by the counts that stand for its lists of files.
fn files_planned(text: &str) -> Option<u64> {
    let lists = text.split("file_groups={").skip(1);
    let files = lists.filter_map(|list| {
        let (list, _) = list.split_once('}')?;
        let files = list.split(", ").find(|part| part.ends_with(" file") || part.ends_with(" files"))?;
        files.split([' ', '+']).next()?.parse::<u64>().ok()
    });
    let files: Vec<u64> = files.collect();
    (!files.is_empty()).then(|| files.into_iter().fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(start_ms: i64, end_ms: i64) -> TaskTiming {
        TaskTiming {
            attempt: 1,
            engine_stage: 1,
            partition: 0,
            task_attempt: 0,
            executor: "e1".to_owned(),
            start_ms,
            end_ms,
            rows: 0,
            bytes: 0,
            plan_bytes: 0,
            failure: None,
        }
    }

    #[test]
    fn files_are_counted_by_the_plan() {
        let plan = "A: file_groups={2 groups, 3 files}, x=1\n  B: file_groups={1 group, 4+ files}\n";
        assert_eq!(files_planned(plan), Some(7));
        assert_eq!(files_planned("A: file_groups={1 group, 1 file}"), Some(1));
        assert_eq!(files_planned("EmptyExec"), None);
    }

    #[test]
    fn tasks_at_the_same_time_are_counted() {
        let tasks = [task(0, 10), task(10, 20), task(5, 12), task(30, 30)];
        assert_eq!(most_at_once(&tasks.iter().collect::<Vec<_>>()), 2);
        assert_eq!(most_at_once(&[]), 0);
    }

    #[test]
    fn the_longest_task_is_compared_with_the_median() {
        let mut measures = Measures::new();
        of_tasks(&mut measures, &[task(0, 10), task(0, 12), task(0, 60)]);
        assert_eq!(measures[&Measure::LongestTask], 60);
        assert_eq!(measures[&Measure::MedianTask], 12);
        assert_eq!(measures[&Measure::TaskSkew], 500);
        assert_eq!(measures[&Measure::TaskTime], 82);
        let mut alone = Measures::new();
        of_tasks(&mut alone, &[task(0, 10)]);
        assert!(!alone.contains_key(&Measure::TaskSkew));
    }
}
