//! What follows a run if the project says so (`after_runs`): a turn over the tables that the run has written.
//!
//! It changes nothing about the run, whose leases are given back by then, and gives way to the next one.

use chrono::{DateTime, Timelike, Utc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use windlass_base::error::full_message;
use windlass_base::ids::{NodeName, RunId};
use windlass_evidence::artifact::{MaintenanceRecord, ReceiptOutcome, Refresh, RunRecord, RunStatus, StageStatus};
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::table::Materialize;

use super::turn::maintain_as;
use super::turns::Origin;
use super::{MaintainError, MaintainRequest, STOPPED};
use crate::Scheduler;
use crate::plan::PlanRequest;
use crate::run::RunError;

/// The stages whose tables a turn is due for when a run has ended with `record` at `now`; `None` if none is.
///
/// Those who cancel a run do not expect more work to follow. A run that failed has its committed stages maintained.
fn due_after(record: &RunRecord, graph: &PipelineGraph, now: DateTime<Utc>) -> Option<Vec<NodeName>> {
    let project = &graph.maintenance;
    // Less than the minutes of a day.
    let minute = u16::try_from(now.hour() * 60 + now.minute()).unwrap_or_default();
    let is_open = project.window.is_none_or(|window| window.is_open(minute));
    if !project.after_runs.unwrap_or_default() || !is_open || record.status == RunStatus::Cancelled {
        return None;
    }
    let has_written = record.stages.iter().filter(|stage| {
        let receipt = stage.receipt.as_ref().filter(|receipt| receipt.outcome != ReceiptOutcome::Reused);
        stage.status == StageStatus::Committed && receipt.is_some()
    });
    let is_table = |name: &NodeName| graph.stage(name).is_some_and(|stage| stage.materialize == Materialize::Table);
    let stages: Vec<NodeName> = has_written.map(|stage| stage.stage.clone()).filter(is_table).collect();
    (!stages.is_empty()).then_some(stages)
}

/// Maintains what a run has written, if that is due: its record then, or why it did not take place, which is in the log of
/// the process as well. `run` is what was run, and `cancel` stops the turn.
pub async fn after_run(
    scheduler: &Scheduler,
    run: &PlanRequest,
    record: &RunRecord,
    cancel: CancellationToken,
) -> Option<Result<MaintenanceRecord, MaintainError>> {
    let stages = due_after(record, &run.graph, Utc::now()).filter(|_| !cancel.is_cancelled())?;
    let request = MaintainRequest { plan: plan_of(run, &stages), only: Vec::new(), dry_run: false };
    // Nobody watches it.
    let (watcher, _) = mpsc::unbounded_channel();
    let outcome = maintain_as(Origin::AfterRun, scheduler, request, watcher, cancel).await;
    match &outcome {
        Ok(turn) => tell(&record.run_id, turn),
        Err(MaintainError::Run(error @ (RunError::Busy(_) | RunError::Writer(_)))) => {
            tracing::info!(run = %record.run_id, "no maintenance after the run: {}", full_message(error));
        }
        Err(error) => {
            tracing::warn!(run = %record.run_id, "the maintenance after the run failed: {}", full_message(error));
        }
    }
    Some(outcome)
}

/// The project with the stages as its selection. A name selects the stage of that name, and nothing else.
fn plan_of(run: &PlanRequest, stages: &[NodeName]) -> PlanRequest {
    PlanRequest {
        select: stages.iter().map(ToString::to_string).collect(),
        exclude: Vec::new(),
        refresh: Refresh::default(),
        run: RunId::generate(),
        fixed: None,
        ..run.clone()
    }
}

/// Tells the log of the process what a turn did.
fn tell(run: &RunId, turn: &MaintenanceRecord) {
    let (mut done, mut failed) = (0_u64, 0_u64);
    for table in &turn.tables {
        let outcomes = table.actions.iter().filter_map(|action| Some((action.kind, action.outcome.as_ref()?)));
        let of_actions = outcomes.map(|(kind, outcome)| (kind.as_str(), outcome.failure.as_ref()));
        let of_table = table.failure.as_ref().map(|failure| ("maintenance", Some(failure)));
        for (what, failure) in of_actions.chain(of_table) {
            match failure {
                None => done += 1,
                // The next turn does the rest.
                Some(failure) if failure.code == STOPPED => {}
                Some(failure) => {
                    failed += 1;
                    let (table, code, message) = (&table.table, &failure.code, &failure.message);
                    tracing::warn!(%run, %table, "{what} failed after the run: [{code}] {message}");
                }
            }
        }
    }
    let tables = turn.tables.len();
    tracing::info!(%run, turn = %turn.turn, tables, done, failed, "maintained the tables that the run has written");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use windlass_project::graph::check;
    use windlass_project::spec::ProjectFiles;

    use super::*;

    fn graph(maintenance: &str) -> PipelineGraph {
        let mut files = ProjectFiles::new();
        let project = format!(
            "name: shop\nsources:\n  orders: {{ kind: listing, format: csv, location: orders.csv }}\n{maintenance}"
        );
        files.insert("windlass.yaml", &project);
        files.insert("stages/paid.sql", "SELECT id FROM orders");
        files.insert("stages/totals.sql", "SELECT count(*) AS n FROM paid");
        files.insert("stages/kept.sql", "/* windlass\nmaterialize: cache\n*/\nSELECT id FROM paid");
        check(&files).unwrap()
    }

    fn stage(name: &str, status: &str, outcome: Option<&str>) -> Value {
        let receipt =
            outcome.map(|outcome| json!({"version": 1, "rows": 1, "bytes": 1, "files": 1, "outcome": outcome}));
        json!({"stage": name, "status": status, "attempts": 1, "receipt": receipt})
    }

    fn record(status: &str, stages: &[Value]) -> RunRecord {
        let versions = json!({"windlass": "1", "ballista": "1", "datafusion": "1", "deltalake": "1"});
        let record = json!({
            "format": 1, "run_id": "01JD3G4S8M6XB6TBZ6Z9V4K2QA", "sequence": 1, "pipeline": "shop",
            "project_fingerprint": "f", "versions": versions, "session_identity": "s", "host": "here",
            "started_at": "2026-12-01T00:00:00Z", "status": status, "stages": stages,
        });
        serde_json::from_value(record).unwrap()
    }

    fn due(maintenance: &str, status: &str, stages: &[Value], now: &str) -> Option<Vec<String>> {
        let due = due_after(&record(status, stages), &graph(maintenance), now.parse().unwrap());
        due.map(|stages| stages.iter().map(ToString::to_string).collect())
    }

    const AFTER: &str = "maintenance: { after_runs: true }";
    const NOON: &str = "2026-12-01T12:00:00Z";

    #[test]
    fn the_tables_that_a_run_has_written_are_due() {
        let stages = [
            stage("paid", "committed", Some("committed")),
            stage("kept", "committed", Some("committed")),
            stage("totals", "committed", Some("already_committed")),
            stage("removed", "committed", Some("committed")),
        ];
        let both = Some(vec!["paid".to_owned(), "totals".to_owned()]);
        assert_eq!(due(AFTER, "succeeded", &stages, NOON), both);
        assert_eq!(due(AFTER, "cancelled", &stages, NOON), None);
        assert_eq!(due("", "succeeded", &stages, NOON), None);
        assert_eq!(due("maintenance: { after_runs: false }", "succeeded", &stages, NOON), None);
    }

    #[test]
    fn tables_that_were_not_written_are_not_due() {
        let reused = [stage("paid", "committed", Some("reused")), stage("totals", "committed", Some("reused"))];
        assert_eq!(due(AFTER, "succeeded", &reused, NOON), None);
        let failed = [stage("paid", "committed", Some("committed")), stage("totals", "failed", None)];
        assert_eq!(due(AFTER, "failed", &failed, NOON), Some(vec!["paid".to_owned()]));
        assert_eq!(due(AFTER, "failed", &[stage("paid", "failed", None)], NOON), None);
    }

    #[test]
    fn nothing_is_due_while_the_window_is_closed() {
        let maintenance = "maintenance: { after_runs: true, window: \"22:00-05:00\" }";
        let stages = [stage("paid", "committed", Some("committed"))];
        let at = |time: &str| due(maintenance, "succeeded", &stages, &format!("2026-12-01T{time}")).is_some();
        assert!(at("22:00:00Z") && at("23:59:59Z") && at("00:00:00Z") && at("04:59:59Z"));
        assert!(!at("05:00:00Z") && !at("12:00:00Z") && !at("21:59:59Z"));
        // The window is in UTC, wherever the time is told.
        assert!(at("01:00:00+02:00") && !at("04:59:00-02:00"));
    }
}
