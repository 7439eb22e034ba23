//! The progress of a run on stderr: what has ended, line by line, and how far the whole run is.
//!
//! ```text
//! LogEvent ─take→ RunState ─line→ a terminal: one line about the run, below the stages that run
//!     └ line ─→ what has happened └─→ anywhere else: a sign of life when nothing has happened for a while
//! ```

mod history;
mod state;
mod turn;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{LogEvent, LogKind, ReceiptOutcome, RunStatus};
use windlass_project::graph::PipelineGraph;

pub(crate) use self::history::History;
use self::state::{RunState, Running, seconds};
pub(crate) use self::turn::TurnProgress;
use crate::output::{Layout, Tone, bytes, counted, duration, note};

/// How often the line of a terminal is brought up to date.
const REDRAW_PERIOD: Duration = Duration::from_millis(250);
/// After how much silence a run that is not shown on a terminal gives a sign of life.
const SIGN_OF_LIFE_PERIOD: Duration = Duration::from_secs(10);

/// Shows the events of a run as they happen.
pub(crate) struct Progress {
    screen: Screen,
    layout: Layout,
    began: Instant,
    state: RunState,
    history: History,
    /// The run's place in the cluster's queue, while it waits there.
    queued: Option<u32>,
    /// The pipeline's own tables are no sources.
    own: Vec<NodeName>,
}

enum Screen {
    Terminal { all: MultiProgress, run: ProgressBar, stages: BTreeMap<NodeName, ProgressBar> },
    Lines { last: Instant },
    Silent,
}

impl Progress {
    /// Shows a run of `graph` on stderr. Earlier runs tell how long stages take.
    pub(crate) fn new(graph: &PipelineGraph, history: History) -> Self {
        let screen = if std::io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let run = all.add(ProgressBar::new_spinner());
            run.set_style(style("{wide_msg}"));
            Screen::Terminal { all, run, stages: BTreeMap::new() }
        } else {
            Screen::Lines { last: Instant::now() }
        };
        let own = graph.stages.iter().map(|stage| stage.name.clone()).collect();
        Self { own, ..Self::of(screen, history) }
    }

    /// Shows nothing.
    pub(crate) fn silent() -> Self {
        Self::of(Screen::Silent, History::default())
    }

    fn of(screen: Screen, history: History) -> Self {
        let (layout, began) = (Layout::stderr(), Instant::now());
        Self { screen, layout, began, state: RunState::default(), history, queued: None, own: Vec::new() }
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &LogEvent) {
        self.state.take(&event.kind, self.began.elapsed());
        let happened = self.line(&event.kind);
        match &mut self.screen {
            Screen::Silent => {}
            Screen::Lines { last } => {
                if let Some(line) = happened {
                    *last = Instant::now();
                    note(format_args!("{} {line}", event.ts.format("%TZ")));
                }
            }
            Screen::Terminal { all, .. } => {
                // Above the lines that change, so that it remains visible. One of those is about the stage that starts.
                if let Some(line) = happened.filter(|_| !matches!(event.kind, LogKind::StageStarted { .. })) {
                    let _ = all.println(line);
                }
                self.redraw();
            }
        }
    }

    /// Shows that the run waits at a place of the cluster's queue, or does not wait any more.
    pub(crate) fn queued(&mut self, position: Option<u32>) {
        let before = std::mem::replace(&mut self.queued, position);
        if before.is_some() && position.is_none() {
            self.began = Instant::now();
        }
        // How it moves up is told by signs of life.
        if let (None, Some(position), Screen::Lines { last }) = (before, position, &mut self.screen) {
            *last = Instant::now();
            note(format_args!("{} {}", chrono::Utc::now().format("%TZ"), waiting(position)));
        }
        self.redraw();
    }

    /// How often [`Progress::tick`] is to be called.
    pub(crate) fn period(&self) -> Duration {
        match self.screen {
            Screen::Terminal { .. } => REDRAW_PERIOD,
            Screen::Lines { .. } | Screen::Silent => Duration::from_secs(1),
        }
    }

    /// Shows that time goes by.
    pub(crate) fn tick(&mut self) {
        if let Some(line) = self.sign_of_life(Instant::now()) {
            let word = if self.queued.is_some() { "" } else { "  running   " };
            note(format_args!("{} {word}{line}", chrono::Utc::now().format("%TZ")));
        }
        self.redraw();
    }

    /// How far the run is, if nothing was shown for a while and nothing is redrawn.
    fn sign_of_life(&mut self, now: Instant) -> Option<String> {
        let Screen::Lines { last } = &mut self.screen else { return None };
        if now.saturating_duration_since(*last) < SIGN_OF_LIFE_PERIOD {
            return None;
        }
        *last = now;
        if let Some(position) = self.queued {
            return Some(waiting(position));
        }
        Some(self.state.line(now.saturating_duration_since(self.began), &self.history, None))
    }

    /// Removes what is only of interest during the run.
    pub(crate) fn end(&mut self) {
        if let Screen::Terminal { run, stages, .. } = &mut self.screen {
            stages.values().for_each(ProgressBar::finish_and_clear);
            run.finish_and_clear();
        }
    }

    /// Brings the lines of a terminal up to date: one for each stage that runs, and one for the run.
    fn redraw(&mut self) {
        let now = self.began.elapsed();
        let Screen::Terminal { all, run, stages } = &mut self.screen else { return };
        stages.retain(|stage, bar| {
            let runs = self.state.running().any(|(running, _)| running == stage);
            if !runs {
                bar.finish_and_clear();
            }
            runs
        });
        for (stage, running) in self.state.running() {
            let bar = stages.entry(stage.clone()).or_insert_with(|| {
                let bar = all.insert_before(&*run, ProgressBar::new_spinner());
                bar.set_style(style("  {spinner} {wide_msg}"));
                bar
            });
            bar.set_message(stage_line(stage, running, now));
            bar.tick();
        }
        run.set_message(match self.queued {
            Some(position) => waiting(position),
            None => self.state.line(now, &self.history, self.layout.width),
        });
    }

    /// What an event says in one line; `None` for minor events.
    fn line(&self, kind: &LogKind) -> Option<String> {
        let mark = |tone, word: &str| self.layout.paint(tone, &format!("{word:<9}"));
        Some(match kind {
            LogKind::RunStarted { pipeline, stages, reused, .. } => match reused {
                0 => format!("run of {pipeline}: {}", counted(*stages, "stage")),
                _ => format!("run of {pipeline}: {} to run, {reused} reused", counted(*stages, "stage")),
            },
            // Tables of this pipeline that are read as they are.
            LogKind::SourcePinned { source, .. } if self.own.contains(source) => return None,
            LogKind::SourcePinned { source, location, version, files, bytes: size } => {
                let version = version.map(|version| format!(" at version {version}")).unwrap_or_default();
                let (files, size) = (counted(*files, "file"), bytes(*size));
                format!("  {} {source}{version}: {files}, {size} in {location}", mark(Tone::Faint, "pinned"))
            }
            LogKind::StageStarted { stage, attempt } if *attempt > 1 => {
                format!("  {} {stage}, attempt {attempt}", mark(Tone::Faint, "started"))
            }
            LogKind::StageStarted { stage, .. } => format!("  {} {stage}", mark(Tone::Faint, "started")),
            LogKind::StageCommitted { stage, receipt, duration_ms, .. } => {
                let time = duration(*duration_ms);
                if receipt.outcome == ReceiptOutcome::Reused {
                    format!("  {} {stage}: nothing to do, {time}", mark(Tone::Good, "reused"))
                } else {
                    let (rows, size) = (counted(receipt.rows, "row"), bytes(receipt.bytes));
                    let version = receipt.version;
                    format!("  {} {stage}: {rows}, {size}, version {version}, {time}", mark(Tone::Good, "committed"))
                }
            }
            LogKind::StageFailed { stage, failure, .. } => {
                format!("  {} {stage}: {failure}", mark(Tone::Bad, "failed"))
            }
            LogKind::StageRetry { stage, attempt, delay_ms } => {
                let delay = duration(*delay_ms);
                format!("  {} {stage}: attempt {attempt} in {delay}", mark(Tone::Notable, "retry"))
            }
            LogKind::StageSkipped { stage, cause } => {
                format!("  {} {stage}: it needs {cause}", mark(Tone::Notable, "skipped"))
            }
            LogKind::StageCancelled { stage } => format!("  {} {stage}", mark(Tone::Notable, "cancelled")),
            LogKind::CancelRequested { reason } => format!("  stopping: {reason}"),
            LogKind::LeaseLost => "  the run's lease is lost: stopping".to_owned(),
            LogKind::Warning { message, .. } => format!("  {} {message}", mark(Tone::Notable, "warning")),
            LogKind::RunFinished { status, duration_ms, .. } => {
                let word = match status {
                    RunStatus::Succeeded => "done",
                    other => other.as_str(),
                };
                format!("{word} in {}", duration(*duration_ms))
            }
            _ => return None,
        })
    }
}

/// A run that waits in the queue, in one line.
fn waiting(position: u32) -> String {
    match position.saturating_sub(1) {
        0 => "queued: it starts next".to_owned(),
        before => format!("queued, {} before it", counted(before, "run")),
    }
}

/// A stage that runs, in one line.
fn stage_line(stage: &NodeName, running: &Running, now: Duration) -> String {
    let mut line = format!("{stage}  {}", seconds(now.saturating_sub(running.since)));
    if let Some((done, total)) = running.tasks {
        line.push_str(&format!("  {done}/{}", counted(total, "task")));
    }
    if running.attempt > 1 {
        line.push_str(&format!("  attempt {}", running.attempt));
    }
    if running.committing {
        line.push_str("  committing");
    }
    line
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests;
