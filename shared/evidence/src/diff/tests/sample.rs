//! A run made by hand: one stage that joins two sources and aggregates.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use windlass_base::code_parts::CodeParts;
use windlass_base::ids::{RunSequence, TableVersion};
use windlass_project::strategy::Strategy;

use crate::artifact::{
    AttemptRecord, AttemptStatus, BUNDLE_FORMAT, Cause, EngineVersions, LineageInput, LineageRecord, MetricUnit,
    OperatorMetric, OperatorMetrics, PinRecord, PinsRecord, PlanDecision, PlanRecord, PlanText, ReceiptOutcome,
    Refresh, ReuseVerdict, RunRecord, RunStatus, StageDecision, StageLineage, StageReceipt, StageRecord, StageStatus,
    StageSummary, TaskTiming,
};
use crate::diff::{RunEvidence, StageEvidence};

pub(super) const STAGE: &str = "totals";
pub(super) const SECOND: u64 = 1_000_000_000;

const LOGICAL: &str = "\
Projection: orders.day [day:Utf8]
  Inner Join: orders.customer = customers.id [day:Utf8]
    Filter: orders.day = Utf8(\"1\") [day:Utf8]
      TableScan: orders [day:Utf8, customer:Int64]
    TableScan: customers [id:Int64]
";
pub(super) const OPTIMIZED: &str = "\
Projection: orders.day [day:Utf8]
  Inner Join: orders.customer = customers.id [day:Utf8]
    TableScan: orders projection=[day, customer], full_filters=[orders.day = Utf8(\"1\")] [day:Utf8, customer:Int64]
    TableScan: customers projection=[id] [id:Int64]
";
pub(super) const PHYSICAL: &str = "\
DeltaWriteExec: table=totals
  ProjectionExec: expr=[day@0 as day]
    HashJoinExec: mode=Partitioned, join_type=Inner, on=[(customer@1, id@0)]
      DataSourceExec: file_groups={1 group, 1 file}, projection=[day, customer], file_type=parquet
      DataSourceExec: file_groups={1 group, 1 file}, projection=[id], file_type=parquet
";

fn at(ms: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(i64::try_from(ms).unwrap())
}

fn operator(name: &str, detail: &str, metrics: &[(&str, u64)]) -> OperatorMetrics {
    let metric = |(name, value): &(&str, u64)| OperatorMetric {
        name: (*name).to_owned(),
        unit: MetricUnit::Count,
        value: *value,
    };
    OperatorMetrics {
        engine_stage: 1,
        position: 0,
        depth: 0,
        operator: name.to_owned(),
        detail: detail.to_owned(),
        metrics: metrics.iter().map(metric).collect(),
    }
}

fn scan(detail: &str, rows: u64) -> OperatorMetrics {
    let metrics = [
        ("output_rows", rows),
        ("elapsed_compute", SECOND / 2),
        ("bytes_scanned", 100 * rows),
        ("files_opened", 1),
        ("row_groups_pruned_statistics_matched", 2),
        ("row_groups_pruned_statistics_pruned", 8),
        ("time_elapsed_opening", SECOND / 10),
        ("time_elapsed_scanning_total", SECOND),
    ];
    operator("DataSourceExec", detail, &metrics)
}

fn join(rows: u64) -> OperatorMetrics {
    let metrics = [("output_rows", rows), ("elapsed_compute", 2 * SECOND), ("spill_count", 0), ("spilled_bytes", 0)];
    operator("HashJoinExec", "HashJoinExec: mode=Partitioned", &metrics)
}

fn task(partition: u32) -> TaskTiming {
    TaskTiming {
        attempt: 1,
        engine_stage: 1,
        partition,
        task_attempt: 0,
        executor: format!("e{}", partition % 2),
        start_ms: 0,
        end_ms: 1_000,
        rows: 10,
        bytes: 1_000,
        plan_bytes: 100,
        failure: None,
    }
}

fn receipt() -> StageReceipt {
    StageReceipt {
        version: TableVersion(4),
        rows: 1_000,
        changed_rows: None,
        table_rows: Some(1_000),
        bytes: 10_000,
        files: 1,
        outcome: ReceiptOutcome::Committed,
    }
}

fn pin(source: &str) -> PinRecord {
    PinRecord {
        source: source.into(),
        kind: "delta".to_owned(),
        location: format!("/lake/{source}"),
        version: Some(TableVersion(7)),
        committed_at: None,
        chosen_by: "latest".to_owned(),
        content_identity: None,
        files: 10,
        bytes: 1_000_000,
    }
}

fn decision() -> StageDecision {
    let reason = "what it reads has changed".to_owned();
    let mut decision = StageDecision::new(STAGE.into(), PlanDecision::Full, Cause::DataChanged, reason);
    let parts = CodeParts {
        definition: "d1".to_owned(),
        written: BTreeMap::from([("sql".to_owned(), "1".to_owned())]),
        settings: "s1".to_owned(),
        engine: "55.2.0".to_owned(),
        ..CodeParts::default()
    };
    decision.set_code("c1", &parts);
    decision
}

fn lineage() -> StageLineage {
    let input = |name: &str| LineageInput { name: name.into(), version: Some(TableVersion(7)), identity: None };
    StageLineage {
        stage: STAGE.into(),
        inputs: vec![input("orders"), input("customers")],
        code_fingerprint: "f1".to_owned(),
        plan_fingerprint: "p1".to_owned(),
        location: "/home/tables/totals".to_owned(),
        code_version: "c1".to_owned(),
        reuse: ReuseVerdict::default(),
        strategy: Some(Strategy::Full),
        touched: None,
        from_changes: false,
        fallback: None,
        changes: Vec::new(),
        output_version: Some(TableVersion(4)),
        columns: None,
    }
}

fn stage_record() -> StageRecord {
    StageRecord {
        stage: STAGE.into(),
        status: StageStatus::Committed,
        attempts: vec![AttemptRecord {
            number: 1,
            commit_only: false,
            started_at: at(0),
            staged_at: Some(at(1_900)),
            ended_at: Some(at(2_000)),
            status: AttemptStatus::Committed,
            failure: None,
            job_id: None,
        }],
        receipt: Some(receipt()),
        tasks: (0..8).map(task).collect(),
        operators: vec![
            join(1_000),
            scan("DataSourceExec: file_groups={1 group, 1 file}, projection=[day, customer]", 1_000),
            scan("DataSourceExec: file_groups={1 group, 1 file}, projection=[id]", 100),
        ],
        expectations: Vec::new(),
        quarantine: None,
        outputs: Vec::new(),
        lineage: None,
    }
}

fn run_record() -> RunRecord {
    RunRecord {
        format: BUNDLE_FORMAT,
        run_id: "a".into(),
        sequence: RunSequence(3),
        pipeline: "shop".into(),
        project_fingerprint: "p1".to_owned(),
        versions: EngineVersions {
            windlass: "0.1.0".to_owned(),
            ballista: "55.0.0".to_owned(),
            datafusion: "55.2.0".to_owned(),
            deltalake: "1.1.2".to_owned(),
        },
        session_identity: "s1".to_owned(),
        params: BTreeMap::from([("day".to_owned(), "1".into())]),
        target: None,
        select: None,
        exclude: None,
        refresh: Refresh::default(),
        host: "here".to_owned(),
        started_at: at(0),
        ended_at: Some(at(2_500)),
        status: RunStatus::Succeeded,
        stages: vec![StageSummary {
            stage: STAGE.into(),
            status: StageStatus::Committed,
            attempts: 1,
            receipt: Some(receipt()),
            strategy: Some(Strategy::Full),
            touched: None,
            from_changes: false,
            fallback: None,
            duration_ms: 2_000,
            failure: None,
            skipped_because_of: None,
        }],
        warnings: Vec::new(),
        resumptions: Vec::new(),
        retry_of: None,
    }
}

/// A run with nothing unusual.
pub(super) fn run() -> RunEvidence {
    let plans = [(PlanText::Logical, LOGICAL), (PlanText::Optimized, OPTIMIZED), (PlanText::Physical, PHYSICAL)];
    let stage = StageEvidence {
        record: Some(stage_record()),
        plans: plans.into_iter().map(|(which, text)| (which, text.to_owned())).collect(),
    };
    RunEvidence {
        run: run_record(),
        pins: Some(PinsRecord { pins: vec![pin("customers"), pin("orders")] }),
        plan: Some(PlanRecord { stages: vec![decision()] }),
        lineage: Some(LineageRecord { stages: vec![lineage()] }),
        registrations: None,
        stages: BTreeMap::from([(STAGE.into(), stage)]),
    }
}

/// What tests change of a run.
pub(super) trait Change {
    fn takes(&mut self, ms: u64);
    fn summary_mut(&mut self) -> &mut StageSummary;
    fn decision_mut(&mut self) -> &mut StageDecision;
    fn record_mut(&mut self) -> &mut StageRecord;
    /// Replaces a part of a plan, which must be there.
    fn replan(&mut self, which: PlanText, old: &str, new: &str);
    /// Multiplies a metric of all operators that have it, in percent.
    fn scale(&mut self, metric: &str, percent: u64);
    /// Sets a metric of the join.
    fn set(&mut self, metric: &str, value: u64);
}

impl Change for RunEvidence {
    fn takes(&mut self, ms: u64) {
        self.summary_mut().duration_ms = ms;
    }

    fn summary_mut(&mut self) -> &mut StageSummary {
        &mut self.run.stages[0]
    }

    fn decision_mut(&mut self) -> &mut StageDecision {
        &mut self.plan.as_mut().unwrap().stages[0]
    }

    fn record_mut(&mut self) -> &mut StageRecord {
        self.stages.values_mut().next().unwrap().record.as_mut().unwrap()
    }

    fn replan(&mut self, which: PlanText, old: &str, new: &str) {
        let text = self.stages.values_mut().next().unwrap().plans.get_mut(&which).unwrap();
        assert!(text.contains(old), "{text}");
        *text = text.replacen(old, new, 1);
    }

    fn scale(&mut self, metric: &str, percent: u64) {
        let operators = self.record_mut().operators.iter_mut().flat_map(|operator| &mut operator.metrics);
        operators.filter(|of| of.name == metric).for_each(|of| of.value = of.value * percent / 100);
    }

    fn set(&mut self, metric: &str, value: u64) {
        let join = &mut self.record_mut().operators[0].metrics;
        join.iter_mut().find(|of| of.name == metric).unwrap().value = value;
    }
}
