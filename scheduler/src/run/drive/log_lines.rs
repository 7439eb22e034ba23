//! What the run log says of an event.

use chrono::{DateTime, Utc};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::LogKind;

use crate::run::machine::{RunAction, RunEvent, RunEventKind, RunState, StagePhase};

/// The lines of the run log for an event and what it gave rise to.
pub(super) fn narrate(event: &RunEvent, actions: &[RunAction], state: &RunState) -> Vec<LogKind> {
    let mut lines: Vec<LogKind> = match &event.kind {
        RunEventKind::ExecutionSucceeded { stage, attempt, staged } => {
            let (rows, bytes, files) = staged.0.sizes();
            let duration_ms = since_start(state, stage, *attempt, event.at);
            vec![LogKind::StageStaged { stage: stage.clone(), attempt: *attempt, rows, bytes, files, duration_ms }]
        }
        RunEventKind::StageCommitted { stage, attempt, receipt } => vec![LogKind::StageCommitted {
            stage: stage.clone(),
            attempt: *attempt,
            receipt: receipt.clone(),
            duration_ms: since_start(state, stage, *attempt, event.at),
        }],
        RunEventKind::StageFailed { stage, attempt, failure } => {
            vec![LogKind::StageFailed { stage: stage.clone(), attempt: *attempt, failure: failure.clone() }]
        }
        RunEventKind::CancelRequested { reason } => vec![LogKind::CancelRequested { reason: reason.clone() }],
        RunEventKind::LeaseLost => vec![LogKind::LeaseLost],
        RunEventKind::Started
        | RunEventKind::Resumed
        | RunEventKind::RetryDue { .. }
        | RunEventKind::StageCancelled { .. } => Vec::new(),
    };
    lines.extend(actions.iter().filter_map(|action| consequence(action, state)));
    lines
}

fn consequence(action: &RunAction, state: &RunState) -> Option<LogKind> {
    match action {
        RunAction::ExecuteStage { stage, attempt } => {
            Some(LogKind::StageStarted { stage: stage.clone(), attempt: *attempt })
        }
        RunAction::ScheduleRetry { stage, attempt, delay_ms, .. } => {
            Some(LogKind::StageRetry { stage: stage.clone(), attempt: *attempt, delay_ms: *delay_ms })
        }
        RunAction::RecordStage { stage } => match &state.stage(stage)?.phase {
            StagePhase::Skipped { cause } => Some(LogKind::StageSkipped { stage: stage.clone(), cause: cause.clone() }),
            StagePhase::Cancelled => Some(LogKind::StageCancelled { stage: stage.clone() }),
            _ => None,
        },
        RunAction::CommitStage { .. } | RunAction::CancelStage { .. } | RunAction::FinishRun { .. } => None,
    }
}

/// Milliseconds from the beginning of an attempt until `at`.
fn since_start(state: &RunState, stage: &NodeName, attempt: u32, at: DateTime<Utc>) -> u64 {
    let begun = state
        .stage(stage)
        .and_then(|stage| stage.attempts.iter().find(|tried| tried.number == attempt))
        .map_or(at, |tried| tried.started_at);
    u64::try_from((at - begun).num_milliseconds()).unwrap_or_default()
}
