//! What a run has done: one line per stage, and one about all.

pub(crate) mod maintenance;

use windlass_evidence::artifact::{ReceiptOutcome, RunRecord, RunStatus, StageReceipt, StageStatus, StageSummary};
use windlass_project::strategy::Strategy;

use crate::failure::panic_report;
use crate::output::{
    Cell, Layout, NONE, Table, Tone, UNKNOWN, bytes, count, counted, duration, name, number, or_unknown, prose, word,
    wrap,
};

/// The result of a run: its stages, what went wrong, and the totals.
pub(crate) fn summary(record: &RunRecord, bundle: &str, layout: Layout) -> String {
    let mut text = format!("\n{}{}\n", stages(record, layout), failures(record, layout));
    paragraph(&mut text, layout, &totals(record));
    let status = layout.paint(tone_of_run(record.status), record.status.as_str());
    text.push_str(&format!("run {} {status}\nbundle {bundle}\n", record.run_id));
    text
}

/// The stages of a run, one line each.
pub(crate) fn stages(record: &RunRecord, layout: Layout) -> String {
    let mut columns = vec![name("STAGE"), word("STATUS"), prose("STRATEGY").preferred(), number("VERSION").optional()];
    columns.extend(["WRITTEN", "CHANGED", "TOTAL"].map(number));
    columns.extend([number("SIZE").optional(), number("TIME"), number("TRIES").optional()]);
    Table::new(columns).with(record.stages.iter().map(row)).render(layout)
}

/// What went wrong with the stages of a run, or otherwise than planned, and its warnings.
pub(crate) fn failures(record: &RunRecord, layout: Layout) -> String {
    let mut text = String::new();
    for stage in &record.stages {
        if let Some(failure) = &stage.failure {
            paragraph(&mut text, layout, &format!("\n{} failed: {failure}", stage.stage));
            if let Some(help) = &failure.help {
                paragraph(&mut text, layout, &format!("  help: {help}"));
            }
            if let Some(report) = panic_report(&failure.code) {
                paragraph(&mut text, layout, &format!("  {report}"));
            }
        }
        if let Some(reason) = &stage.fallback {
            paragraph(
                &mut text,
                layout,
                &format!("\n{} computed all rows instead of what had changed: {reason}", stage.stage),
            );
        }
        if let Some(cause) = &stage.skipped_because_of {
            paragraph(&mut text, layout, &format!("\n{} was skipped: it needs {cause}", stage.stage));
        }
    }
    for warning in &record.warnings {
        paragraph(&mut text, layout, &format!("\nwarning: {warning}"));
    }
    text
}

/// Adds a sentence, wrapped; its lines are indented as it is, and an empty line before it stays.
fn paragraph(text: &mut String, layout: Layout, sentence: &str) {
    let (before, sentence) = match sentence.strip_prefix('\n') {
        Some(sentence) => ("\n", sentence),
        None => ("", sentence),
    };
    let indent = " ".repeat(sentence.len() - sentence.trim_start().len());
    let room = layout.width.map_or(usize::MAX, |width| width.saturating_sub(indent.len()).max(1));
    text.push_str(before);
    for line in wrap(sentence.trim_start(), room) {
        text.push_str(&format!("{indent}{line}\n"));
    }
}

fn row(stage: &StageSummary) -> Vec<Cell> {
    let committed = stage.receipt.as_ref().filter(|_| !is_reused(stage));
    let written = |value: Option<String>| Cell::from(value.unwrap_or_else(|| NONE.to_owned()));
    let status = status_of(stage);
    vec![
        stage.stage.to_string().into(),
        Cell::toned(status, tone_of_stage(stage)),
        strategy_of(stage).into(),
        written(stage.receipt.as_ref().map(|receipt| receipt.version.to_string())),
        written(committed.map(|receipt| count(receipt.rows))),
        written(committed.filter(|_| !is_cache(stage)).map(|_| changed(stage))),
        written(lasting(stage).map(|receipt| or_unknown(receipt.table_rows, count))),
        written(committed.map(|receipt| bytes(receipt.bytes))),
        written(Some(stage.duration_ms).filter(|ms| *ms > 0 && !is_reused(stage)).map(duration)),
        written(
            Some(stage.attempts)
                .filter(|attempts| *attempts > 0 && !is_reused(stage))
                .map(|attempts| attempts.to_string()),
        ),
    ]
}

/// How a stage's table was updated, with the variant for affected keys.
fn strategy_of(stage: &StageSummary) -> String {
    let Some(strategy) = stage.strategy else { return NONE.to_owned() };
    let unusual = match stage.touched {
        _ if stage.from_changes => ", from changes",
        Some(touched) if touched.all_computed => ", all rows",
        _ => "",
    };
    format!("{}{unusual}", strategy.as_str())
}

/// The rows that have changed, as far as that is known.
fn changed(stage: &StageSummary) -> String {
    match stage.receipt.as_ref().and_then(|receipt| receipt.changed_rows) {
        Some(rows) => count(rows),
        None if is_replaced(stage) => "all".to_owned(),
        None => UNKNOWN.to_owned(),
    }
}

/// Whether all rows of the stage's table were replaced.
fn is_replaced(stage: &StageSummary) -> bool {
    let counted = stage.receipt.as_ref().is_some_and(|receipt| receipt.changed_rows.is_some());
    !counted && stage.strategy == Some(Strategy::Full)
}

/// Whether the stage's rows are gone at the end of the run. Only caches are brought up to date by no strategy.
fn is_cache(stage: &StageSummary) -> bool {
    stage.status == StageStatus::Committed && !is_reused(stage) && stage.strategy.is_none()
}

/// What is known of the stage's table, if it has one that lasts.
fn lasting(stage: &StageSummary) -> Option<&StageReceipt> {
    stage.receipt.as_ref().filter(|_| !is_cache(stage))
}

/// One sentence about all stages.
fn totals(record: &RunRecord) -> String {
    let number_of = |status: StageStatus| record.stages.iter().filter(|stage| stage.status == status).count();
    let reused = record.stages.iter().filter(|stage| is_reused(stage)).count();
    let ran: Vec<&StageSummary> =
        record.stages.iter().filter(|stage| stage.status == StageStatus::Committed && !is_reused(stage)).collect();
    let others = [
        (reused, "reused"),
        (number_of(StageStatus::Failed), "failed"),
        (number_of(StageStatus::Skipped), "skipped"),
        (number_of(StageStatus::Cancelled), "cancelled"),
    ];
    let mut sentence = format!("{} run", counted(ran.len(), "stage"));
    for (number, what) in others.into_iter().filter(|(number, _)| *number > 0) {
        sentence.push_str(&format!(", {} {what}", count(number as u64)));
    }
    let receipts = || ran.iter().filter_map(|stage| stage.receipt.as_ref());
    let rows: u64 = receipts().map(|receipt| receipt.rows).sum();
    match ran.is_empty() {
        true => sentence.push_str(": nothing written"),
        false => sentence.push_str(&format!(": {} written", counted(rows, "row"))),
    }
    let replaced = ran.iter().filter(|stage| is_replaced(stage)).count();
    let told: Vec<&StageReceipt> =
        ran.iter().filter(|stage| !is_replaced(stage)).filter_map(|stage| lasting(stage)).collect();
    if !told.is_empty() {
        let changed: Option<u64> = told.iter().map(|receipt| receipt.changed_rows).sum();
        sentence.push_str(&format!(", {} changed", or_unknown(changed, count)));
    }
    if replaced > 0 {
        sentence.push_str(&format!(", all of {} replaced", counted(replaced, "table")));
    }
    let tables: Vec<&StageReceipt> = record.stages.iter().filter_map(lasting).collect();
    if !tables.is_empty() {
        let total: Option<u64> = tables.iter().map(|receipt| receipt.table_rows).sum();
        sentence.push_str(&format!(
            ", {} in all tables",
            total.map_or_else(|| format!("{UNKNOWN} rows"), |rows| counted(rows, "row"))
        ));
    }
    if !ran.is_empty() {
        let written: u64 = receipts().map(|receipt| receipt.bytes).sum();
        sentence.push_str(&format!("; {}", bytes(written)));
    }
    let took = record.ended_at.map(|ended| (ended - record.started_at).num_milliseconds());
    if let Some(ms) = took.and_then(|ms| u64::try_from(ms).ok()) {
        sentence.push_str(&format!(" in {}", duration(ms)));
    }
    sentence
}

/// The status of a stage for display: a reused table was not committed to.
pub(crate) fn status_of(stage: &StageSummary) -> &'static str {
    if is_reused(stage) { "reused" } else { stage.status.as_str() }
}

/// The colour of a stage's status.
pub(crate) fn tone_of_stage(stage: &StageSummary) -> Tone {
    match stage.status {
        StageStatus::Committed if is_reused(stage) => Tone::Faint,
        StageStatus::Committed => Tone::Good,
        StageStatus::Failed => Tone::Bad,
        StageStatus::Pending | StageStatus::Running | StageStatus::Skipped | StageStatus::Cancelled => Tone::Notable,
    }
}

/// The colour of a run's status.
pub(crate) fn tone_of_run(status: RunStatus) -> Tone {
    match status {
        RunStatus::Succeeded => Tone::Good,
        RunStatus::Failed => Tone::Bad,
        RunStatus::Pending | RunStatus::Running | RunStatus::Cancelled | RunStatus::Interrupted => Tone::Notable,
    }
}

/// Whether the stage had nothing to do.
pub(crate) fn is_reused(stage: &StageSummary) -> bool {
    stage.receipt.as_ref().is_some_and(|receipt| receipt.outcome == ReceiptOutcome::Reused)
}

#[cfg(test)]
mod tests;
