//! What a turn of maintenance has done, or would do: one line per action, what went wrong, what keeps old versions, and the
//! totals.

use windlass_base::error::Failure;
use windlass_evidence::artifact::{
    ActionOutcome, KeptVersion, MaintenanceAction, MaintenanceKind, MaintenanceRecord, PinHolder, TableMaintenance,
};

use super::paragraph;
use crate::failure::panic_report;
use crate::output::{Cell, Layout, NONE, Table, Tone, bytes, count, counted, duration, name, number, prose, word};

/// The result of a turn. Actions that are not due are part of it only with `details`.
pub(crate) fn summary(record: &MaintenanceRecord, details: bool, layout: Layout) -> String {
    let mut text = String::new();
    let table = actions(record, details);
    if !table.is_empty() {
        text.push_str(&table.render(layout));
        text.push('\n');
    }
    failures(&mut text, record, layout);
    let kept: Vec<String> = record.tables.iter().flat_map(kept_lines).collect();
    if !kept.is_empty() {
        text.push_str("old versions that stay:\n");
        kept.iter().for_each(|line| paragraph(&mut text, layout, &format!("  {line}")));
        text.push('\n');
    }
    paragraph(&mut text, layout, &totals(record));
    text
}

/// Whether an action failed, or a table could not be looked at.
pub(crate) fn has_failed(record: &MaintenanceRecord) -> bool {
    record.stopped
        || record
            .tables
            .iter()
            .any(|table| table.failure.is_some() || outcomes(table).any(|(_, end)| end.failure.is_some()))
}

/// What an action that succeeded has done.
pub(crate) fn achievement(kind: MaintenanceKind, outcome: &ActionOutcome) -> String {
    match kind {
        MaintenanceKind::Compact | MaintenanceKind::Zorder => {
            format!("{} became {}", counted(outcome.files_removed, "file"), count(outcome.files_added))
        }
        MaintenanceKind::Checkpoint => "written".to_owned(),
        MaintenanceKind::Vacuum | MaintenanceKind::FullVacuum | MaintenanceKind::CleanLog => {
            format!("{} removed, {}", counted(outcome.files_removed, "file"), bytes(outcome.bytes_removed))
        }
    }
}

/// The name of an action in text.
pub(crate) fn action_name(kind: MaintenanceKind) -> String {
    kind.as_str().replace('_', "-")
}

/// The actions, one line each.
fn actions(record: &MaintenanceRecord, details: bool) -> Table {
    let mut columns = vec![name("TABLE"), word("ACTION"), prose("WHY"), number("FILES"), number("SIZE").optional()];
    if !record.dry_run {
        columns.push(prose("RESULT"));
    }
    let is_turn = !record.dry_run;
    let rows = record.tables.iter().flat_map(|table| {
        let shown = table.actions.iter().filter(move |action| action.due || details);
        shown.map(move |action| row(table, action).into_iter().chain(is_turn.then(|| result(action))).collect())
    });
    Table::new(columns).with(rows)
}

fn row(table: &TableMaintenance, action: &MaintenanceAction) -> Vec<Cell> {
    let number = |number: u64, form: fn(u64) -> String| if number == 0 { NONE.to_owned() } else { form(number) };
    let tone = |text: String| if action.due { Cell::from(text) } else { Cell::toned(text, Tone::Faint) };
    vec![
        table.table.to_string().into(),
        tone(action_name(action.kind)),
        tone(action.reason.clone()),
        number(action.files, count).into(),
        number(action.bytes, bytes).into(),
    ]
}

fn result(action: &MaintenanceAction) -> Cell {
    match &action.outcome {
        Some(ActionOutcome { failure: Some(_), .. }) => Cell::toned("failed", Tone::Bad),
        Some(outcome) => Cell::toned(achievement(action.kind, outcome), Tone::Good),
        None if action.due => Cell::toned("not done", Tone::Notable),
        None => Cell::toned("not due", Tone::Faint),
    }
}

/// What went wrong.
fn failures(text: &mut String, record: &MaintenanceRecord, layout: Layout) {
    let mut tell = |what: String, failure: &Failure| {
        paragraph(text, layout, &format!("{what}: {failure}"));
        if let Some(help) = &failure.help {
            paragraph(text, layout, &format!("  help: {help}"));
        }
        if let Some(report) = panic_report(&failure.code) {
            paragraph(text, layout, &format!("  {report}"));
        }
        text.push('\n');
    };
    for table in &record.tables {
        if let Some(failure) = &table.failure {
            tell(format!("`{}` was not maintained", table.table), failure);
        }
        for (kind, outcome) in outcomes(table) {
            if let Some(failure) = &outcome.failure {
                tell(format!("{} of `{}` failed", action_name(kind), table.table), failure);
            }
        }
    }
}

fn outcomes(table: &TableMaintenance) -> impl Iterator<Item = (MaintenanceKind, &ActionOutcome)> {
    table.actions.iter().filter_map(|action| action.outcome.as_ref().map(|outcome| (action.kind, outcome)))
}

/// What keeps old versions of a table, in sentences. Runs whose bundles are kept can be many: they are one.
fn kept_lines(table: &TableMaintenance) -> Vec<String> {
    let is_kept_run = |kept: &&KeptVersion| matches!(kept.by, PinHolder::KeptRun { .. }) && !kept.and_later;
    let (runs, others): (Vec<&KeptVersion>, Vec<&KeptVersion>) = table.kept.iter().partition(is_kept_run);
    let line = |kept: &&KeptVersion| {
        let later = if kept.and_later { " and later" } else { "" };
        format!("`{}` version {}{later}: {}", table.table, kept.version, holder(&kept.by))
    };
    let mut lines: Vec<String> = others.iter().map(line).collect();
    match runs.as_slice() {
        [] => {}
        [run] => lines.push(line(run)),
        runs => {
            let mut versions: Vec<u64> = runs.iter().map(|kept| kept.version.0).collect();
            versions.dedup();
            let versions = versions_text(&versions);
            lines.push(format!("`{}` {versions}: {} whose bundles are kept", table.table, count_of(runs.len(), "run")));
        }
    }
    lines
}

fn holder(by: &PinHolder) -> String {
    match by {
        PinHolder::ActiveRun { run } => format!("run {run}, which is active"),
        PinHolder::KeptRun { run } => format!("run {run}, whose bundle is kept"),
        PinHolder::Cursor { stage } => format!("cursor of `{stage}`"),
        PinHolder::Pin { name } => format!("pin `{name}`"),
        PinHolder::Tag { name } => format!("tag `{name}`"),
        PinHolder::Policy => "the project's policy".to_owned(),
    }
}

/// Versions in ascending order: `versions 1 to 4, 7`.
fn versions_text(versions: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for version in versions.iter().copied() {
        match ranges.last_mut() {
            Some((_, last)) if version == *last + 1 => *last = version,
            _ => ranges.push((version, version)),
        }
    }
    let range = |(first, last): &(u64, u64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    };
    let plural = if versions.len() == 1 { "" } else { "s" };
    format!("version{plural} {}", ranges.iter().map(range).collect::<Vec<_>>().join(", "))
}

/// One sentence about all tables.
fn totals(record: &MaintenanceRecord) -> String {
    let tables = count_of(record.tables.len(), "table");
    let due = record.tables.iter().flat_map(|table| &table.actions).filter(|action| action.due).count();
    if record.dry_run {
        return match due {
            0 => format!("{tables}: nothing is due"),
            1 => format!("{tables}: 1 action is due; nothing was done"),
            _ => format!("{tables}: {} are due; nothing was done", count_of(due, "action")),
        };
    }
    let ends = || record.tables.iter().flat_map(outcomes);
    let (mut before, mut after, mut removed, mut freed, mut checkpoints, mut failed) = (0, 0, 0, 0, 0, 0);
    for (kind, outcome) in ends() {
        failed += u64::from(outcome.failure.is_some());
        match kind {
            MaintenanceKind::Compact | MaintenanceKind::Zorder => {
                before += outcome.files_removed;
                after += outcome.files_added;
            }
            MaintenanceKind::Checkpoint => checkpoints += u64::from(outcome.failure.is_none()),
            MaintenanceKind::Vacuum | MaintenanceKind::FullVacuum | MaintenanceKind::CleanLog => {
                removed += outcome.files_removed;
                freed += outcome.bytes_removed;
            }
        }
    }
    let mut parts = Vec::new();
    if before + after > 0 {
        parts.push(format!("{} became {}", counted(before, "file"), count(after)));
    }
    if checkpoints > 0 {
        parts.push(format!("{} written", counted(checkpoints, "checkpoint")));
    }
    if removed > 0 {
        parts.push(format!("{} removed, {} freed", counted(removed, "file"), bytes(freed)));
    }
    if parts.is_empty() {
        parts.push(if due == 0 { "nothing was due" } else { "nothing was done" }.to_owned());
    }
    let open = due.saturating_sub(ends().count()) as u64;
    let unseen = record.tables.iter().filter(|table| table.failure.is_some()).count() as u64;
    let troubles = [(failed, "action", "failed"), (open, "action", "not done"), (unseen, "table", "not maintained")];
    for (number, thing, trouble) in troubles.into_iter().filter(|(number, ..)| *number > 0) {
        parts.push(format!("{} {trouble}", counted(number, thing)));
    }
    if record.stopped {
        parts.push("stopped before the end".to_owned());
    }
    let took = record.ended_at.map(|ended| (ended - record.started_at).num_milliseconds());
    let took = took.and_then(|ms| u64::try_from(ms).ok()).map(|ms| format!(" in {}", duration(ms)));
    format!("{tables}: {}{}", parts.join(", "), took.unwrap_or_default())
}

fn count_of(number: usize, thing: &str) -> String {
    counted(number as u64, thing)
}

#[cfg(test)]
mod tests;
