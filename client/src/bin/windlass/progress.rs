//! The progress of a run on stderr: one bar per stage on a terminal, plain lines otherwise.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{LogEvent, LogKind, RunStatus};

use crate::output::{bytes, count, duration};

/// Shows the events of a run as they happen.
pub(crate) struct Progress {
    screen: Screen,
}

enum Screen {
    Bars { all: MultiProgress, stages: HashMap<NodeName, ProgressBar> },
    Lines,
    Silent,
}

impl Progress {
    /// Bars if stderr is a terminal, else lines.
    pub(crate) fn new() -> Self {
        let screen = if std::io::stderr().is_terminal() {
            Screen::Bars { all: MultiProgress::new(), stages: HashMap::new() }
        } else {
            Screen::Lines
        };
        Self { screen }
    }

    /// Shows nothing.
    pub(crate) fn silent() -> Self {
        Self { screen: Screen::Silent }
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &LogEvent) {
        match &mut self.screen {
            Screen::Silent => {}
            Screen::Lines => {
                if let Some(line) = line(&event.kind) {
                    eprintln!("{} {line}", event.ts.format("%H:%M:%S"));
                }
            }
            Screen::Bars { all, stages } => bars(all, stages, &event.kind),
        }
    }
}

fn bars(all: &MultiProgress, stages: &mut HashMap<NodeName, ProgressBar>, kind: &LogKind) {
    match kind {
        LogKind::StageStarted { stage, attempt } => {
            let bar = all.add(ProgressBar::new(1));
            bar.set_style(running());
            bar.set_prefix(stage.to_string());
            if *attempt > 1 {
                bar.set_message(format!("attempt {attempt}"));
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            stages.insert(stage.clone(), bar);
        }
        LogKind::StageProgress { stage, tasks_done, tasks_total, .. } => {
            if let Some(bar) = stages.get(stage) {
                bar.set_length(*tasks_total);
                bar.set_position(*tasks_done);
            }
        }
        LogKind::StageStaged { stage, .. } => {
            if let Some(bar) = stages.get(stage) {
                bar.set_position(bar.length().unwrap_or(1));
                bar.set_message("committing");
            }
        }
        LogKind::StageCommitted { stage, .. }
        | LogKind::StageFailed { stage, .. }
        | LogKind::StageCancelled { stage }
        | LogKind::StageSkipped { stage, .. } => {
            if let Some(bar) = stages.remove(stage) {
                bar.finish_and_clear();
            }
            // Above the bars, so that it remains visible.
            if let Some(line) = line(kind) {
                let _ = all.println(line);
            }
        }
        _ => {
            if let Some(line) = line(kind) {
                let _ = all.println(line);
            }
        }
    }
}

fn running() -> ProgressStyle {
    ProgressStyle::with_template("  {spinner} {prefix:<24} {bar:28} {pos:>4}/{len} tasks  {elapsed:>4}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

/// What an event says in one line; `None` for minor events.
fn line(kind: &LogKind) -> Option<String> {
    Some(match kind {
        LogKind::RunStarted { pipeline, stages, .. } => format!("run of {pipeline}: {stages} stages"),
        LogKind::SourcePinned { source, location, version, files, bytes: size } => {
            let version = version.map(|version| format!(" at version {version}")).unwrap_or_default();
            format!("  pinned    {source}{version}: {} files, {} in {location}", count(*files), bytes(*size))
        }
        LogKind::StageStarted { stage, attempt } if *attempt > 1 => format!("  started   {stage}, attempt {attempt}"),
        LogKind::StageStarted { stage, .. } => format!("  started   {stage}"),
        LogKind::StageCommitted { stage, receipt, duration_ms, .. } => format!(
            "  committed {stage}: {} rows, {}, version {}, {}",
            count(receipt.rows),
            bytes(receipt.bytes),
            receipt.version,
            duration(*duration_ms)
        ),
        LogKind::StageFailed { stage, failure, .. } => format!("  failed    {stage}: {failure}"),
        LogKind::StageRetry { stage, attempt, delay_ms } => {
            format!("  retry     {stage}: attempt {attempt} in {}", duration(*delay_ms))
        }
        LogKind::StageSkipped { stage, cause } => format!("  skipped   {stage}: it needs {cause}"),
        LogKind::StageCancelled { stage } => format!("  cancelled {stage}"),
        LogKind::CancelRequested { reason } => format!("  stopping: {reason}"),
        LogKind::LeaseLost => "  the run's lease is lost: stopping".to_owned(),
        LogKind::Warning { message, .. } => format!("  warning   {message}"),
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
