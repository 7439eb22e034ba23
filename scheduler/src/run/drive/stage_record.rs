//! What the bundle keeps of a stage: the machine's history and the engine's evidence, put together.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{
    AttemptRecord, AttemptStatus, MetricUnit, OperatorMetric, OperatorMetrics, StageRecord, StageStatus, TaskTiming,
};

use crate::execute::{JobEvidence, OperatorEvidence, TaskEvidence, TaskState};
use crate::run::machine::{Attempt, AttemptOutcome, StageState};
use crate::run::stage::notes::StageNotes;

/// The record of a stage.
pub(super) fn stage_record(name: &NodeName, stage: &StageState, notes: Option<&StageNotes>) -> StageRecord {
    let none = BTreeMap::new();
    let jobs = notes.map_or(&none, |notes| &notes.jobs);
    let tasks = jobs.iter().flat_map(|(attempt, job)| {
        job.stages.iter().flat_map(move |engine_stage| {
            engine_stage.tasks.iter().map(move |task| task_timing(*attempt, engine_stage.stage, task))
        })
    });
    // The operators of the last attempt: those of earlier ones measured what did not count.
    let operators = jobs.values().next_back().into_iter().flat_map(|job| {
        job.stages.iter().flat_map(|engine_stage| {
            engine_stage.operators.iter().map(move |operator| operator_metrics(engine_stage.stage, operator))
        })
    });
    StageRecord {
        stage: name.clone(),
        status: stage.phase.ended().unwrap_or(StageStatus::Running),
        attempts: stage.attempts.iter().map(|attempt| attempt_record(attempt, jobs.get(&attempt.number))).collect(),
        receipt: stage.receipt().cloned(),
        tasks: tasks.collect(),
        operators: operators.collect(),
        expectations: notes.map(|notes| notes.expectations.clone()).unwrap_or_default(),
        quarantine: notes.and_then(|notes| notes.quarantine.clone()),
        outputs: notes.map(|notes| notes.outputs.clone()).unwrap_or_default(),
        lineage: None,
    }
}

fn attempt_record(attempt: &Attempt, job: Option<&JobEvidence>) -> AttemptRecord {
    let (status, failure) = match &attempt.outcome {
        None => (AttemptStatus::Running, None),
        Some(AttemptOutcome::Committed { .. }) => (AttemptStatus::Committed, None),
        Some(AttemptOutcome::Failed { failure }) => (AttemptStatus::Failed, Some(failure.clone())),
        Some(AttemptOutcome::Cancelled) => (AttemptStatus::Cancelled, None),
        Some(AttemptOutcome::Interrupted) => (AttemptStatus::Interrupted, None),
    };
    AttemptRecord {
        number: attempt.number,
        commit_only: attempt.commit_only,
        started_at: attempt.started_at,
        staged_at: attempt.staged_at,
        ended_at: attempt.ended_at,
        status,
        failure,
        job_id: job.map(|job| job.job.clone()),
    }
}

fn task_timing(attempt: u32, engine_stage: usize, task: &TaskEvidence) -> TaskTiming {
    let start_ms = task.started_ms.unwrap_or_default();
    TaskTiming {
        attempt,
        engine_stage: small(engine_stage),
        partition: small(task.partitions.first().copied().unwrap_or_default()),
        task_attempt: small(task.attempt),
        executor: task.executor.clone().unwrap_or_default(),
        start_ms,
        end_ms: task.ended_ms.unwrap_or(start_ms),
        rows: task.rows,
        bytes: task.bytes,
        plan_bytes: task.plan_bytes,
        failure: match &task.state {
            TaskState::Failed(message) => Some(message.clone()),
            TaskState::Running | TaskState::Succeeded => None,
        },
    }
}

fn operator_metrics(engine_stage: usize, operator: &OperatorEvidence) -> OperatorMetrics {
    let metric = |(name, value): &(String, i64)| OperatorMetric {
        name: name.clone(),
        unit: unit_of(name),
        value: u64::try_from(*value).unwrap_or_default(),
    };
    OperatorMetrics {
        engine_stage: small(engine_stage),
        position: small(operator.index),
        depth: small(operator.depth),
        operator: operator.name.clone(),
        detail: operator.display.clone(),
        metrics: operator.metrics.iter().map(metric).collect(),
    }
}

/// The unit of a metric, which the engine's names tell.
fn unit_of(name: &str) -> MetricUnit {
    if name.contains("rows") {
        MetricUnit::Rows
    } else if name.contains("bytes") || name.contains("mem") {
        MetricUnit::Bytes
    } else if name.contains("time") || name.contains("elapsed") {
        MetricUnit::Nanoseconds
    } else {
        MetricUnit::Count
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
