//! When stages and tasks ran, as bars over a common axis.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;
use windlass_evidence::artifact::TaskTiming;

use super::text::{count, duration, shortened};

/// The width of the chart, and of the names at its left.
const WIDTH: i64 = 1_100;
const NAMES: i64 = 230;
/// As many characters fit there.
const NAME_CHARS: usize = 30;
const PLOT: i64 = WIDTH - NAMES - 10;
/// The height of a stage's row, of a lane of tasks and of the axis, and the space between executors.
const ROW: i64 = 22;
const LANE: i64 = 9;
const AXIS: i64 = 24;
const GAP: i64 = 10;
/// The least width of a bar: what is short is still seen.
const LEAST_BAR: i64 = 2;
/// As many tasks are drawn.
const MAX_TASKS: usize = 2_000;
/// As many colours tell the tasks of stages apart.
const COLOURS: usize = 6;
/// There are at most so many lines of the axis.
const MAX_TICKS: i64 = 8;
/// The distances between the lines of the axis, in milliseconds.
const STEPS: [i64; 27] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 43_200_000, 86_400_000,
];

/// A stage of the chart.
#[derive(Debug, Clone)]
pub(crate) struct StageTimes {
    /// The stage.
    pub(crate) name: NodeName,
    /// The address of its page.
    pub(crate) href: String,
    /// Its attempts.
    pub(crate) attempts: Vec<AttemptTimes>,
    /// Its tasks.
    pub(crate) tasks: Vec<TaskTiming>,
}

/// An attempt, in milliseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct AttemptTimes {
    /// When it began.
    pub(crate) start: i64,
    /// When its commit began, if it came so far.
    pub(crate) staged: Option<i64>,
    /// When it ended, or now.
    pub(crate) end: i64,
    /// The class of its colour.
    pub(crate) class: &'static str,
    /// Which attempt it was, and how it ended.
    pub(crate) title: String,
}

/// The chart.
#[derive(Debug, Default)]
pub(crate) struct Gantt {
    /// Its width.
    pub(crate) width: i64,
    /// Its height.
    pub(crate) height: i64,
    /// The lines of the axis.
    pub(crate) ticks: Vec<Tick>,
    /// A row for each stage.
    pub(crate) rows: Vec<Row>,
    /// The tasks, by executor.
    pub(crate) executors: Vec<Executor>,
    /// What is left out, if anything is.
    pub(crate) note: Option<String>,
}

/// A line of the axis.
#[derive(Debug)]
pub(crate) struct Tick {
    /// Where it is.
    pub(crate) x: i64,
    /// How long after the beginning.
    pub(crate) label: String,
}

/// The bars of a stage.
#[derive(Debug)]
pub(crate) struct Row {
    /// The stage.
    pub(crate) label: String,
    /// The address of its page.
    pub(crate) href: String,
    /// The baseline of its name.
    pub(crate) text_y: i64,
    /// Its attempts.
    pub(crate) bars: Vec<Bar>,
}

/// The tasks of an executor.
#[derive(Debug)]
pub(crate) struct Executor {
    /// Its name.
    pub(crate) label: String,
    /// The baseline of its name.
    pub(crate) text_y: i64,
    /// Its tasks, in lanes so that none covers another.
    pub(crate) bars: Vec<Bar>,
}

/// A bar.
#[derive(Debug)]
pub(crate) struct Bar {
    /// The left side.
    pub(crate) x: i64,
    /// The upper side.
    pub(crate) y: i64,
    /// From left to right.
    pub(crate) width: i64,
    /// From top to bottom.
    pub(crate) height: i64,
    /// The class of its colour.
    pub(crate) class: String,
    /// What it stands for.
    pub(crate) title: String,
}

/// The time that the chart spans.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: i64,
    length: i64,
}

impl Span {
    fn x(self, at: i64) -> i64 {
        NAMES + (at - self.start).clamp(0, self.length) * PLOT / self.length
    }

    /// The left side and the width of a bar.
    fn bar(self, start: i64, end: i64) -> (i64, i64) {
        let x = self.x(start).min(NAMES + PLOT - LEAST_BAR);
        (x, (self.x(end) - x).max(LEAST_BAR))
    }
}

/// The chart of stages, those that began first at the top; none if none has begun.
pub(crate) fn gantt(mut stages: Vec<StageTimes>) -> Option<Gantt> {
    stages.retain(|stage| !stage.attempts.is_empty());
    stages.sort_by_key(|stage| stage.attempts.first().map(|attempt| attempt.start));
    let attempts = || stages.iter().flat_map(|stage| &stage.attempts);
    let start = attempts().map(|attempt| attempt.start).min()?;
    let end = attempts().map(|attempt| attempt.end).max()?;
    let span = Span { start, length: (end - start).max(1) };
    let mut gantt = Gantt { width: WIDTH, height: AXIS, ticks: ticks(span), ..Gantt::default() };
    for stage in &stages {
        gantt.rows.push(row(stage, span, gantt.height));
        gantt.height += ROW;
    }
    add_tasks(&mut gantt, &stages, span);
    Some(gantt)
}

fn ticks(span: Span) -> Vec<Tick> {
    let fits = |step: &&i64| span.length / **step < MAX_TICKS;
    let step = STEPS.iter().find(fits).copied().unwrap_or(span.length / MAX_TICKS);
    let at = (0..=span.length / step).map(|index| index * step);
    at.map(|at| Tick { x: span.x(span.start + at), label: duration(u64::try_from(at).unwrap_or_default()) }).collect()
}

fn row(stage: &StageTimes, span: Span, top: i64) -> Row {
    let mut bars = Vec::new();
    for attempt in &stage.attempts {
        let mut bar = |start, end, class: String, title: String| {
            let (x, width) = span.bar(start, end);
            bars.push(Bar { x, y: top + 4, width, height: ROW - 8, class, title });
        };
        let took = u64::try_from(attempt.end - attempt.start).unwrap_or_default();
        let title = format!("{}: {}, {}", stage.name, attempt.title, duration(took));
        bar(attempt.start, attempt.end, attempt.class.to_owned(), title);
        if let Some(staged) = attempt.staged {
            let took = u64::try_from(attempt.end - staged).unwrap_or_default();
            let title = format!("{}: commit, {}", stage.name, duration(took));
            bar(staged, attempt.end, "commit".to_owned(), title);
        }
    }
    let label = shortened(stage.name.as_str(), NAME_CHARS);
    Row { label, href: stage.href.clone(), text_y: top + ROW - 7, bars }
}

fn add_tasks(gantt: &mut Gantt, stages: &[StageTimes], span: Span) {
    let mut executors: BTreeMap<&str, Vec<(usize, &NodeName, &TaskTiming)>> = BTreeMap::new();
    let all = stages
        .iter()
        .enumerate()
        .flat_map(|(index, stage)| stage.tasks.iter().map(move |task| (index % COLOURS, &stage.name, task)));
    for task in all.clone().take(MAX_TASKS) {
        executors.entry(&task.2.executor).or_default().push(task);
    }
    let left_out = all.count().saturating_sub(MAX_TASKS);
    gantt.note = (left_out > 0).then(|| format!("{} more tasks are not drawn.", count(left_out as u64)));
    for (name, mut tasks) in executors {
        tasks.sort_by_key(|(_, _, task)| (task.start_ms, task.end_ms));
        let top = gantt.height + GAP;
        // When the last task of each lane ended.
        let mut lanes: Vec<i64> = Vec::new();
        let mut bars = Vec::with_capacity(tasks.len());
        for (colour, stage, task) in tasks {
            let lane = lanes.iter().position(|end| *end <= task.start_ms).unwrap_or(lanes.len());
            match lanes.get_mut(lane) {
                Some(end) => *end = task.end_ms,
                None => lanes.push(task.end_ms),
            }
            let (x, width) = span.bar(task.start_ms, task.end_ms);
            let class = match task.failure {
                Some(_) => "failed".to_owned(),
                None => format!("task-{colour}"),
            };
            let y = top + i64::try_from(lane).unwrap_or_default() * LANE;
            bars.push(Bar { x, y, width, height: LANE - 1, class, title: title_of(stage, task) });
        }
        let height = (i64::try_from(lanes.len()).unwrap_or_default() * LANE).max(ROW - 6);
        gantt.executors.push(Executor { label: shortened(name, NAME_CHARS), text_y: top + 11, bars });
        gantt.height = top + height;
    }
}

fn title_of(stage: &NodeName, task: &TaskTiming) -> String {
    let took = u64::try_from(task.end_ms - task.start_ms).unwrap_or_default();
    let failed = if task.failure.is_some() { ", failed" } else { "" };
    format!(
        "{stage}: engine stage {}, partition {}, {}, {} rows{failed}",
        task.engine_stage,
        task.partition,
        duration(took),
        count(task.rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, start: i64, end: i64, tasks: Vec<TaskTiming>) -> StageTimes {
        let attempt = AttemptTimes { start, staged: None, end, class: "full", title: "attempt 1".to_owned() };
        StageTimes { name: name.into(), href: format!("/{name}"), attempts: vec![attempt], tasks }
    }

    fn task(executor: &str, start_ms: i64, end_ms: i64) -> TaskTiming {
        TaskTiming {
            attempt: 1,
            engine_stage: 1,
            partition: 0,
            task_attempt: 0,
            executor: executor.to_owned(),
            start_ms,
            end_ms,
            rows: 1_000,
            bytes: 0,
            plan_bytes: 0,
            failure: None,
        }
    }

    #[test]
    fn bars_are_in_proportion_and_in_the_order_of_time() {
        let chart = gantt(vec![stage("late", 6_000, 11_000, Vec::new()), stage("early", 1_000, 6_000, Vec::new())]);
        let chart = chart.unwrap();
        let labels: Vec<&str> = chart.rows.iter().map(|row| row.label.as_str()).collect();
        assert_eq!(labels, ["early", "late"]);
        let (early, late) = (&chart.rows[0].bars[0], &chart.rows[1].bars[0]);
        assert_eq!((early.x, early.width), (NAMES, PLOT / 2));
        assert_eq!((late.x, late.width), (NAMES + PLOT / 2, PLOT / 2));
        assert!(early.y + early.height <= late.y, "rows overlap");
        let ticks: Vec<&str> = chart.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(ticks, ["0 ms", "2.0 s", "4.0 s", "6.0 s", "8.0 s", "10.0 s"]);
    }

    #[test]
    fn everything_is_inside_however_short_or_long() {
        for (start, end) in [(0, 0), (0, 1), (5, 9), (0, 86_400_000_000), (1_700_000_000_000, 1_700_000_000_003)] {
            let chart = gantt(vec![stage("a", start, end, vec![task("x", start - 10, end + 10)])]).unwrap();
            let bars = chart.rows.iter().flat_map(|row| &row.bars);
            for bar in bars.chain(chart.executors.iter().flat_map(|executor| &executor.bars)) {
                assert!(bar.x >= NAMES && bar.width >= LEAST_BAR && bar.x + bar.width <= WIDTH, "{bar:?}");
                assert!(bar.y + bar.height <= chart.height, "{bar:?}");
            }
            assert!(chart.ticks.len() <= 10, "{}", chart.ticks.len());
        }
        assert!(gantt(Vec::new()).is_none());
    }

    #[test]
    fn tasks_at_the_same_time_are_in_different_lanes() {
        let tasks = vec![task("a", 0, 50), task("a", 10, 60), task("a", 50, 100), task("b", 0, 100)];
        let chart = gantt(vec![stage("one", 0, 100, tasks)]).unwrap();
        let names: Vec<&str> = chart.executors.iter().map(|executor| executor.label.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let lanes: Vec<i64> = chart.executors[0].bars.iter().map(|bar| bar.y).collect();
        assert_eq!(lanes[0], lanes[2], "the third begins when the first has ended");
        assert_eq!(lanes[1], lanes[0] + LANE);
        assert!(chart.executors[1].bars[0].y > lanes[1]);
    }
}
