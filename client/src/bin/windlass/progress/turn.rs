//! The progress of a turn of maintenance on stderr: what has happened line by line, and how far the turn is.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{MaintenanceEvent, MaintenanceKind};

use super::state::seconds;
use super::{REDRAW_PERIOD, SIGN_OF_LIFE_PERIOD, style};
use crate::output::{Layout, Tone, bytes, counted, duration, note};
use crate::summary::maintenance::{achievement, action_name};

/// Shows the events of a turn as they happen.
pub(crate) struct TurnProgress {
    screen: Screen,
    layout: Layout,
    began: Instant,
    state: TurnState,
}

enum Screen {
    Terminal(ProgressBar),
    Lines { last: Instant },
    Silent,
}

/// How far a turn has come, as far as its events tell.
#[derive(Debug, Default)]
struct TurnState {
    /// The actions that are due, of the tables that were looked at so far.
    due: u64,
    /// The actions that have ended.
    ended: u64,
    /// The actions that are under way, with their parts that are done, and all parts; if they are counted.
    under_way: BTreeMap<(NodeName, MaintenanceKind), Option<(u64, u64)>>,
}

impl TurnProgress {
    /// Shows a turn on stderr.
    pub(crate) fn new() -> Self {
        Self::of(match std::io::stderr().is_terminal() {
            true => {
                let bar = ProgressBar::new_spinner();
                bar.set_style(style("{wide_msg}"));
                Screen::Terminal(bar)
            }
            false => Screen::Lines { last: Instant::now() },
        })
    }

    /// Shows nothing.
    pub(crate) fn silent() -> Self {
        Self::of(Screen::Silent)
    }

    fn of(screen: Screen) -> Self {
        Self { screen, layout: Layout::stderr(), began: Instant::now(), state: TurnState::default() }
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &MaintenanceEvent) {
        self.state.take(event);
        let happened = self.line(event);
        match &mut self.screen {
            Screen::Silent => {}
            Screen::Lines { last } => {
                if let Some(line) = happened {
                    *last = Instant::now();
                    note(format_args!("{} {line}", chrono::Utc::now().format("%TZ")));
                }
            }
            Screen::Terminal(bar) => {
                // Above the line that changes, which shows what is under way.
                if let Some(line) = happened.filter(|_| matches!(event, MaintenanceEvent::Ended { .. })) {
                    bar.println(line);
                }
                self.redraw();
            }
        }
    }

    /// How often [`TurnProgress::tick`] is to be called.
    pub(crate) fn period(&self) -> Duration {
        match self.screen {
            Screen::Terminal(_) => REDRAW_PERIOD,
            Screen::Lines { .. } | Screen::Silent => Duration::from_secs(1),
        }
    }

    /// Shows that time goes by.
    pub(crate) fn tick(&mut self) {
        self.redraw();
        let now = Instant::now();
        if let Screen::Lines { last } = &mut self.screen
            && now.saturating_duration_since(*last) >= SIGN_OF_LIFE_PERIOD
        {
            *last = now;
            note(format_args!(
                "{}   running   {}",
                chrono::Utc::now().format("%TZ"),
                self.state.line(self.began.elapsed())
            ));
        }
    }

    /// Removes what is only of interest during the turn.
    pub(crate) fn end(&mut self) {
        if let Screen::Terminal(bar) = &self.screen {
            bar.finish_and_clear();
        }
    }

    fn redraw(&self) {
        if let Screen::Terminal(bar) = &self.screen {
            bar.set_message(self.state.line(self.began.elapsed()));
        }
    }

    /// What an event says in one line; `None` for minor events.
    fn line(&self, event: &MaintenanceEvent) -> Option<String> {
        let mark = |tone, word: &str| self.layout.paint(tone, &format!("{word:<9}"));
        Some(match event {
            MaintenanceEvent::Planned { due: 0, .. } | MaintenanceEvent::Progress { .. } => return None,
            MaintenanceEvent::Planned { table, due: 1 } => {
                format!("  {} {table}: 1 action is due", mark(Tone::Faint, "planned"))
            }
            MaintenanceEvent::Planned { table, due } => {
                format!("  {} {table}: {} are due", mark(Tone::Faint, "planned"), counted(*due, "action"))
            }
            MaintenanceEvent::Started { table, action, files, bytes: size } => {
                let extent = if *files == 0 {
                    String::new()
                } else {
                    format!(", {}, {}", counted(*files, "file"), bytes(*size))
                };
                format!("  {} {table}: {}{extent}", mark(Tone::Faint, "started"), action_name(*action))
            }
            MaintenanceEvent::Ended { table, action, outcome } => {
                let action_name = action_name(*action);
                match &outcome.failure {
                    Some(failure) => format!("  {} {table}: {action_name}: {failure}", mark(Tone::Bad, "failed")),
                    None => {
                        let version = outcome.version.map(|version| format!(", version {version}")).unwrap_or_default();
                        let (achieved, time) = (achievement(*action, outcome), duration(outcome.duration_ms));
                        format!("  {} {table}: {action_name}: {achieved}{version}, {time}", mark(Tone::Good, "done"))
                    }
                }
            }
        })
    }
}

impl TurnState {
    fn take(&mut self, event: &MaintenanceEvent) {
        match event {
            MaintenanceEvent::Planned { due, .. } => self.due += due,
            MaintenanceEvent::Started { table, action, .. } => {
                self.under_way.insert((table.clone(), *action), None);
            }
            MaintenanceEvent::Progress { table, action, done, of } => {
                self.under_way.insert((table.clone(), *action), Some((*done, *of)));
            }
            MaintenanceEvent::Ended { table, action, .. } => {
                self.ended += 1;
                self.under_way.remove(&(table.clone(), *action));
            }
        }
    }

    /// One line about the whole turn.
    fn line(&self, now: Duration) -> String {
        let mut line = format!("{} of {}, {}", self.ended, counted(self.due, "action"), seconds(now));
        for ((table, action), parts) in &self.under_way {
            let parts = parts.map(|(done, of)| format!(" {done}/{of}")).unwrap_or_default();
            line.push_str(&format!(", {} of {table}{parts}", action_name(*action)));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_evidence::artifact::ActionOutcome;

    #[test]
    fn a_line_tells_how_far_a_turn_is() {
        let mut progress = TurnProgress::silent();
        progress.layout = Layout::file();
        let (table, action) = (NodeName::from("orders"), MaintenanceKind::Compact);
        let planned = MaintenanceEvent::Planned { table: table.clone(), due: 2 };
        let started = MaintenanceEvent::Started { table: table.clone(), action, files: 12, bytes: 2048 };
        let under_way = MaintenanceEvent::Progress { table: table.clone(), action, done: 1, of: 3 };
        let outcome =
            ActionOutcome { files_removed: 12, files_added: 1, duration_ms: 1_250, ..ActionOutcome::default() };
        let ended = MaintenanceEvent::Ended { table, action, outcome };
        assert_eq!(progress.line(&planned).unwrap(), "  planned   orders: 2 actions are due");
        assert_eq!(progress.line(&started).unwrap(), "  started   orders: compact, 12 files, 2.00 KiB");
        assert_eq!(progress.line(&under_way), None);
        assert_eq!(progress.line(&ended).unwrap(), "  done      orders: compact: 12 files became 1, 1.2 s");
        for event in [&planned, &started, &under_way] {
            progress.show(event);
        }
        assert_eq!(progress.state.line(Duration::from_secs(75)), "0 of 2 actions, 1 min 15 s, compact of orders 1/3");
        progress.show(&ended);
        assert_eq!(progress.state.line(Duration::from_secs(76)), "1 of 2 actions, 1 min 16 s");
    }
}
