//! `stages`, and what `stage.json` says of each: `attempts`, `tasks`, `operators`, `expectations`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use windlass_base::ids::NodeName;
use windlass_project::literal_rows::Cell;

use super::column::{Column, integer, maybe_integer, maybe_text, maybe_time, millis, text, texts, time, word};
use crate::artifact::{
    AttemptRecord, ExpectationRecord, OperatorMetrics, StageDecision, StageReceipt, StageRecord, StageSummary,
    TaskTiming,
};

/// A stage of a run, and what is known of it besides how it ended.
pub(super) struct Stage<'a> {
    pub(super) summary: &'a StageSummary,
    pub(super) decision: Option<&'a StageDecision>,
    pub(super) record: Option<&'a StageRecord>,
}

/// Something that a stage has several of.
pub(super) struct Of<'a, T> {
    pub(super) stage: &'a NodeName,
    pub(super) item: &'a T,
}

type StageCell = fn(&Stage<'_>) -> Cell;
type ItemCell<T> = fn(&Of<'_, T>) -> Cell;

pub(super) const STAGES: &[(Column, StageCell)] = &[
    (Column::text("stage", "the stage"), |of| text(&of.summary.stage)),
    (
        Column::text(
            "status",
            "`committed`, `failed`, `skipped`, `cancelled`, or `pending` and `running` before its end",
        ),
        |of| text(of.summary.status.as_str()),
    ),
    (Column::text("decision", "what was planned: `full`, `incremental`, `reuse`, `cache`, `refused`"), |of| {
        maybe_text(of.decision.map(|decision| decision.decision.as_str()))
    }),
    (Column::text("cause", "why, in a word, such as `code_changed` or `data_changed`"), |of| {
        of.decision.and_then(|decision| decision.cause).map_or(Cell::Null, word)
    }),
    (Column::text("reason", "why, as a sentence"), |of| maybe_text(of.decision.map(|decision| &decision.reason))),
    (Column::text("strategy", "how its table was brought up to date"), |of| {
        maybe_text(of.summary.strategy.map(|strategy| strategy.as_str()))
    }),
    (Column::text("fallback", "why all rows were computed although changes were to be applied"), |of| {
        maybe_text(of.summary.fallback.as_ref())
    }),
    (Column::integer("attempts", "how many attempts it had"), |of| integer(of.summary.attempts)),
    (Column::time("started_at", "when its first attempt began"), |of| maybe_time(begun(of))),
    (Column::time("ended_at", "when its last attempt ended"), |of| {
        maybe_time(of.record.and_then(|record| record.attempts.last()).and_then(|attempt| attempt.ended_at))
    }),
    (Column::integer("duration_ms", "from the start of its first attempt to the end of its last"), |of| {
        integer(of.summary.duration_ms)
    }),
    (Column::integer("version", "the version of its table"), |of| receipt(of, |receipt| Some(receipt.version.0))),
    (Column::text("outcome", "`committed`, `already_committed`, or `reused` if there was nothing to do"), |of| {
        of.summary.receipt.as_ref().map_or(Cell::Null, |receipt| word(receipt.outcome))
    }),
    (Column::integer("rows_written", "rows of the files that were written"), |of| {
        receipt(of, |receipt| Some(receipt.rows))
    }),
    (
        Column::integer(
            "changed_rows",
            "rows inserted, updated or deleted; null if all or whole partitions were replaced",
        ),
        |of| receipt(of, |receipt| receipt.changed_rows),
    ),
    (Column::integer("table_rows", "rows of the table at its version"), |of| receipt(of, |receipt| receipt.table_rows)),
    (Column::integer("bytes_written", "bytes of data files written"), |of| receipt(of, |receipt| Some(receipt.bytes))),
    (Column::integer("files_written", "data files written"), |of| receipt(of, |receipt| Some(receipt.files))),
    (Column::integer("estimated_rows", "how many rows the plan expected to read"), |of| {
        maybe_integer(of.decision.and_then(|decision| decision.estimated_rows))
    }),
    (Column::integer("estimated_bytes", "how many bytes the plan expected to read"), |of| {
        maybe_integer(of.decision.map(|decision| decision.estimated_bytes))
    }),
    (Column::text("code_version", "a hash of everything that determines its rows except the data"), |of| {
        maybe_text(of.decision.map(|decision| &decision.code_version))
    }),
    (Column::tags("tags", "its tags"), |of| of.decision.map_or(Cell::Null, tags)),
    (Column::text("skipped_because_of", "the stage whose failure made this one be skipped"), |of| {
        maybe_text(of.summary.skipped_because_of.as_ref())
    }),
    (Column::text("error_code", "the code of `error`"), |of| {
        maybe_text(of.summary.failure.as_ref().map(|failure| &failure.code))
    }),
    (Column::text("error", "why it failed"), |of| {
        maybe_text(of.summary.failure.as_ref().map(|failure| &failure.message))
    }),
];

fn begun(of: &Stage<'_>) -> Option<DateTime<Utc>> {
    Some(of.record?.attempts.first()?.started_at)
}

fn receipt(of: &Stage<'_>, what: fn(&StageReceipt) -> Option<u64>) -> Cell {
    maybe_integer(of.summary.receipt.as_ref().and_then(what))
}

fn tags(decision: &StageDecision) -> Cell {
    Cell::Map(decision.tags.0.iter().map(|(key, value)| (text(key), text(value))).collect())
}

pub(super) const ATTEMPTS: &[(Column, ItemCell<AttemptRecord>)] = &[
    (Column::text("stage", "the stage"), |of| text(of.stage)),
    (Column::integer("attempt", "its number, from 1"), |of| integer(of.item.number)),
    (Column::boolean("commit_only", "whether it only committed what an earlier attempt had written"), |of| {
        Cell::Boolean(of.item.commit_only)
    }),
    (Column::time("started_at", "when it began"), |of| time(of.item.started_at)),
    (Column::time("staged_at", "when its rows were written and its commit began"), |of| maybe_time(of.item.staged_at)),
    (Column::time("ended_at", "when it ended"), |of| maybe_time(of.item.ended_at)),
    (Column::integer("duration_ms", "from its start to its end"), |of| {
        millis(Some(of.item.started_at), of.item.ended_at)
    }),
    (Column::text("status", "`running`, `committed`, `failed`, `cancelled`, `interrupted`"), |of| word(of.item.status)),
    (Column::text("job_id", "the engine's name of its job"), |of| maybe_text(of.item.job_id.as_ref())),
    (Column::boolean("retryable", "whether trying again may help; null if it did not fail"), |of| {
        of.item.failure.as_ref().map_or(Cell::Null, |failure| Cell::Boolean(failure.retryable))
    }),
    (Column::text("error_code", "the code of `error`"), |of| {
        maybe_text(of.item.failure.as_ref().map(|failure| &failure.code))
    }),
    (Column::text("error", "why it failed"), |of| maybe_text(of.item.failure.as_ref().map(|failure| &failure.message))),
];

pub(super) const TASKS: &[(Column, ItemCell<TaskTiming>)] = &[
    (Column::text("stage", "the stage"), |of| text(of.stage)),
    (Column::integer("attempt", "the stage's attempt, from 1"), |of| integer(of.item.attempt)),
    (Column::integer("engine_stage", "the engine's stage within the job, from 1"), |of| integer(of.item.engine_stage)),
    (Column::integer("partition_id", "the partition that it computed"), |of| integer(of.item.partition)),
    (Column::integer("task_attempt", "the engine's attempt at it, from 0"), |of| integer(of.item.task_attempt)),
    (Column::text("executor", "the executor that ran it"), |of| text(&of.item.executor)),
    (Column::time("started_at", "when it started"), |of| epoch(of.item.start_ms)),
    (Column::time("ended_at", "when it ended"), |of| epoch(of.item.end_ms)),
    (Column::integer("duration_ms", "from its start to its end"), |of| {
        Cell::Integer(of.item.end_ms.saturating_sub(of.item.start_ms))
    }),
    (Column::integer("output_rows", "rows that it put out"), |of| integer(of.item.rows)),
    (Column::integer("output_bytes", "bytes that it put out"), |of| integer(of.item.bytes)),
    (Column::integer("plan_bytes", "the encoded size of the plan that it was sent"), |of| integer(of.item.plan_bytes)),
    (Column::text("error", "why it failed"), |of| maybe_text(of.item.failure.as_ref())),
];

fn epoch(millis: i64) -> Cell {
    Cell::Timestamp(millis.saturating_mul(1000))
}

pub(super) const OPERATORS: &[(Column, ItemCell<OperatorMetrics>)] = &[
    (Column::text("stage", "the stage"), |of| text(of.stage)),
    (Column::integer("engine_stage", "the engine's stage within the job"), |of| integer(of.item.engine_stage)),
    (Column::integer("position", "its position in the plan of the engine's stage, root first, from 0"), |of| {
        integer(of.item.position)
    }),
    (Column::integer("depth", "its depth in that plan; the root is at 0"), |of| integer(of.item.depth)),
    (Column::text("operator", "its name, such as `HashJoinExec`"), |of| text(&of.item.operator)),
    (Column::text("detail", "its line of the plan, normalised"), |of| text(&of.item.detail)),
    (Column::integer("output_rows", "rows that it put out"), |of| metric(of.item, "output_rows")),
    (Column::integer("elapsed_compute_ms", "processor time of all its tasks, in milliseconds"), |of| {
        match metric(of.item, "elapsed_compute") {
            Cell::Integer(nanoseconds) => Cell::Integer(nanoseconds / 1_000_000),
            other => other,
        }
    }),
    (Column::integer("spilled_bytes", "bytes that it spilled to disk"), |of| metric(of.item, "spilled_bytes")),
    (Column::numbers("metrics", "all that it measured, by the engine's names; times in nanoseconds"), |of| {
        let pairs = measured(of.item).into_iter().map(|(name, value)| (text(name), integer(value)));
        Cell::Map(pairs.collect())
    }),
];

fn measured(operator: &OperatorMetrics) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for metric in &operator.metrics {
        let sum: &mut u64 = sums.entry(metric.name.as_str()).or_default();
        *sum = sum.saturating_add(metric.value);
    }
    sums
}

fn metric(operator: &OperatorMetrics, name: &str) -> Cell {
    maybe_integer(measured(operator).get(name).copied())
}

pub(super) const EXPECTATIONS: &[(Column, ItemCell<ExpectationRecord>)] = &[
    (Column::text("stage", "the stage"), |of| text(of.stage)),
    (Column::text("expectation", "its name"), |of| text(&of.item.name)),
    (Column::text("rule", "what is expected, in words"), |of| text(&of.item.rule)),
    (Column::text("severity", "what happens to rows that are not so: `warn`, `fail`, `quarantine`"), |of| {
        text(of.item.severity.as_str())
    }),
    (Column::integer("rows_checked", "rows that were looked at"), |of| integer(of.item.rows_checked)),
    (Column::integer("rows_failed", "rows that were not as expected"), |of| integer(of.item.rows_failed)),
    (Column::boolean("broken", "whether it was broken"), |of| Cell::Boolean(of.item.broken)),
    (Column::texts("samples", "some of those rows, shortened"), |of| texts(&of.item.samples)),
];
