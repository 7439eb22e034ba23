//! Lines of a run's log as text.

use serde_json::Value;
use windlass_evidence::artifact::{LogEvent, LogKind, LogLevel};

/// The fields that all events have.
const HEAD: [&str; 6] = ["v", "ts", "run_id", "seq", "level", "event"];

/// A line of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// When it happened.
    pub(crate) time: String,
    /// How much attention it wants.
    pub(crate) level: &'static str,
    /// What happened.
    pub(crate) event: String,
    /// The details.
    pub(crate) text: String,
}

/// The last `most` lines that are more than detail, the newest last.
pub(crate) fn tail(log: &[LogEvent], most: usize) -> Vec<LogLine> {
    let wanted = log.iter().rev().filter(|event| event.level >= LogLevel::Info).take(most);
    let mut lines: Vec<LogLine> = wanted.map(line).collect();
    lines.reverse();
    lines
}

/// The warnings in a log, each with its stage.
pub(crate) fn warnings(log: &[LogEvent]) -> Vec<String> {
    let warning = |event: &LogEvent| match &event.kind {
        LogKind::Warning { message, stage: Some(stage) } => Some(format!("{stage}: {message}")),
        LogKind::Warning { message, stage: None } => Some(message.clone()),
        _ => None,
    };
    log.iter().filter_map(warning).collect()
}

fn line(event: &LogEvent) -> LogLine {
    let level = match event.level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let time = event.ts.format("%T%.3fZ").to_string();
    // An event can always be written as JSON: it has been read from there.
    let fields = match serde_json::to_value(event) {
        Ok(Value::Object(fields)) => fields,
        _ => return LogLine { time, level, event: String::new(), text: String::new() },
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let details = fields.iter().filter(|(key, _)| !HEAD.contains(&key.as_str()));
    let details: Vec<String> = details.map(|(key, value)| format!("{key}={}", text(value))).collect();
    LogLine { time, level, event: fields.get("event").map(text).unwrap_or_default(), text: details.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(level: &str, kind: &Value) -> LogEvent {
        let mut event = serde_json::json!({
            "v": 1, "ts": "2026-01-01T10:00:00.5Z", "run_id": "r", "seq": 3, "level": level,
        });
        event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn the_tail_has_the_newest_lines_without_details() {
        let started = serde_json::json!({ "event": "stage_started", "stage": "a", "attempt": 1 });
        let progress = serde_json::json!({ "event": "stage_progress", "stage": "a", "attempt": 1, "tasks_done": 1, "tasks_total": 2 });
        let warning = serde_json::json!({ "event": "warning", "message": "slow", "stage": "a" });
        let log = [event("info", &started), event("debug", &progress), event("warn", &warning)];
        let lines = tail(&log, 1);
        let expected = LogLine {
            time: "10:00:00.500Z".to_owned(),
            level: "warn",
            event: "warning".to_owned(),
            text: "message=slow stage=a".to_owned(),
        };
        assert_eq!(lines, [expected]);
        assert_eq!(tail(&log, 10).len(), 2);
        assert_eq!(warnings(&log), ["a: slow"]);
    }
}
