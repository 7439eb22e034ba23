//! Run bundles: written part by part, readable at every moment, and unchanged once sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::UInt64Type;
use windlass_base::error::{Coded, Failure};
use windlass_base::identity::ScanIdentity;
use windlass_base::ids::{RunId, RunSequence, TableVersion};
use windlass_evidence::artifact::{
    AttemptRecord, AttemptStatus, BUNDLE_FORMAT, EngineVersions, LineageInput, LineageRecord, LogKind, LogLevel,
    MetricUnit, OperatorMetric, OperatorMetrics, PinRecord, PinsRecord, PlanDecision, PlanRecord, PlanText,
    ReceiptOutcome, Refresh, RegistrationsRecord, ReuseVerdict, RunRecord, RunStatus, RunTotals, StageDecision,
    StageLineage, StageReceipt, StageRecord, StageStatus, StageSummary, TaskTiming,
};
use windlass_evidence::artifact::{ColumnRecord, Registration, SortRecord, TableKind};
use windlass_evidence::bundle::{BundleReader, RecordError, metrics_schema};
use windlass_project::tag::Tags;
use windlass_scheduler::record::{BundleStore, BundleWriter};
use windlass_storage::{Location, Stores};

fn on_disk(home: &Path) -> BundleStore {
    BundleStore::open(&Stores::default(), &Location::from_path(home).unwrap()).unwrap()
}

/// A store that cannot append, like all object stores.
fn in_memory() -> BundleStore {
    BundleStore::open(&Stores::default(), &Location::parse("memory:///lake/home", Path::new("/")).unwrap()).unwrap()
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn nobody() -> BTreeSet<RunId> {
    BTreeSet::new()
}

fn run(run_id: &str) -> RunRecord {
    let versions = EngineVersions {
        windlass: "0.1.0".into(),
        ballista: "55.0.0".into(),
        datafusion: "55.2.0".into(),
        deltalake: "1.1.2".into(),
    };
    RunRecord {
        format: BUNDLE_FORMAT,
        run_id: run_id.into(),
        sequence: RunSequence(3),
        pipeline: "code_graph".into(),
        project_fingerprint: "p1".into(),
        versions,
        session_identity: "s1".into(),
        params: BTreeMap::from([("day".to_owned(), "2024-01-01".into())]),
        target: None,
        select: Some("+nodes".into()),
        exclude: None,
        refresh: Refresh::default(),
        host: "here".into(),
        started_at: at(0),
        ended_at: None,
        status: RunStatus::Running,
        stages: Vec::new(),
        warnings: Vec::new(),
        resumptions: Vec::new(),
        retry_of: None,
    }
}

fn receipt() -> StageReceipt {
    StageReceipt {
        version: TableVersion(4),
        rows: 10,
        changed_rows: None,
        table_rows: None,
        bytes: 1_000,
        files: 2,
        outcome: ReceiptOutcome::Committed,
    }
}

fn ended(run_id: &str) -> RunRecord {
    let failure = Failure { code: "WL0501".into(), message: "no".into(), help: None, retryable: false };
    let stage = |stage: &str, status| StageSummary {
        stage: stage.into(),
        status,
        attempts: 1,
        receipt: None,
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
        duration_ms: 20,
        failure: None,
        skipped_because_of: None,
    };
    let stages = vec![
        StageSummary { receipt: Some(receipt()), ..stage("nodes", StageStatus::Committed) },
        StageSummary { failure: Some(failure), ..stage("edges", StageStatus::Failed) },
        StageSummary { skipped_because_of: Some("edges".into()), attempts: 0, ..stage("props", StageStatus::Skipped) },
    ];
    RunRecord { ended_at: Some(at(9)), status: RunStatus::Failed, stages, ..run(run_id) }
}

fn stage_record() -> StageRecord {
    let metric = |name: &str, unit, value| OperatorMetric { name: name.into(), unit, value };
    let operator = |position, depth, operator: &str, metrics| OperatorMetrics {
        engine_stage: 1,
        position,
        depth,
        operator: operator.into(),
        detail: format!("{operator}: x"),
        metrics,
    };
    StageRecord {
        stage: "nodes".into(),
        status: StageStatus::Committed,
        attempts: vec![AttemptRecord {
            number: 1,
            commit_only: false,
            started_at: at(1),
            staged_at: Some(at(2)),
            ended_at: Some(at(3)),
            status: AttemptStatus::Committed,
            failure: None,
            job_id: Some("job".into()),
        }],
        receipt: Some(receipt()),
        tasks: vec![TaskTiming {
            attempt: 1,
            engine_stage: 1,
            partition: 0,
            task_attempt: 0,
            executor: "e1".into(),
            start_ms: 1_000,
            end_ms: 1_500,
            rows: 10,
            bytes: 1_000,
            plan_bytes: 0,
            failure: None,
        }],
        operators: vec![
            operator(0, 0, "FilterExec", vec![metric("output_rows", MetricUnit::Rows, 10)]),
            operator(
                1,
                1,
                "DataSourceExec",
                vec![
                    metric("output_rows", MetricUnit::Rows, 40),
                    metric("bytes_scanned", MetricUnit::Bytes, 4_096),
                    metric("elapsed_compute", MetricUnit::Nanoseconds, u64::MAX),
                ],
            ),
        ],
        expectations: Vec::new(),
        quarantine: None,
        outputs: Vec::new(),
        lineage: None,
    }
}

fn pins() -> PinsRecord {
    let pin = PinRecord {
        source: "files".into(),
        kind: "delta".into(),
        location: "s3://bucket/files".into(),
        version: Some(TableVersion(12)),
        committed_at: Some(at(-5)),
        chosen_by: "latest".into(),
        content_identity: None,
        files: 3,
        bytes: 300,
    };
    PinsRecord { pins: vec![pin] }
}

fn plan() -> PlanRecord {
    let decision = StageDecision {
        stage: "nodes".into(),
        decision: PlanDecision::Full,
        reason: "stages are computed in full".into(),
        cause: None,
        depends_on: Vec::new(),
        weight: 2,
        strategy: None,
        changes: Vec::new(),
        reuse: None,
        exports: Vec::new(),
        estimated_rows: None,
        estimated_bytes: 0,
        code_version: String::new(),
        code_parts: None,
        tags: Tags::default(),
    };
    PlanRecord { stages: vec![decision] }
}

fn lineage() -> LineageRecord {
    let input = LineageInput { name: "files".into(), version: Some(TableVersion(12)), identity: Some("i1".into()) };
    let stage = StageLineage {
        stage: "nodes".into(),
        inputs: vec![input],
        code_fingerprint: "c1".into(),
        plan_fingerprint: "p1".into(),
        location: "s3://bucket/nodes".into(),
        code_version: String::new(),
        reuse: ReuseVerdict::default(),
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
        changes: Vec::new(),
        output_version: Some(TableVersion(4)),
        columns: None,
    };
    LineageRecord { stages: vec![stage] }
}

fn registrations() -> RegistrationsRecord {
    let column =
        |name: &str, data_type: &str| ColumnRecord { name: name.into(), data_type: data_type.into(), nullable: true };
    let table = Registration {
        name: "files".into(),
        kind: TableKind::Delta,
        location: Some("s3://bucket/files".into()),
        format: Some("parquet".into()),
        version: Some(TableVersion(12)),
        columns: vec![column("path", "Utf8"), column("day", "Date32")],
        partition_columns: vec!["day".into()],
        sort_order: vec![SortRecord { column: "path".into(), descending: false, nulls_first: false }],
        files: Some(3),
        bytes: Some(300),
        files_digest: None,
        scan_identity: ScanIdentity::of(&"files").unwrap(),
    };
    RegistrationsRecord { tables: vec![table] }
}

/// A complete bundle, of a run in which one stage failed.
async fn write_bundle(bundles: &BundleStore, run_id: &str) {
    let writer = BundleWriter::begin(bundles.clone(), &run(run_id)).await.unwrap();
    let started = LogKind::RunStarted {
        pipeline: "code_graph".into(),
        sequence: RunSequence(3),
        stages: 3,
        reused: 0,
        target: None,
        select: None,
        exclude: None,
        max_parallel: 2,
        windlass: "0.1.0".into(),
        host: "here".into(),
    };
    writer.log(at(0), started).await.unwrap();
    writer.write_pins(&pins()).await.unwrap();
    writer.write_plan(&plan()).await.unwrap();
    writer.write_registrations(&registrations()).await.unwrap();
    for text in PlanText::ALL {
        writer.write_plan_text(&"nodes".into(), text, &format!("{}\n", text.as_str())).await.unwrap();
    }
    let committed = LogKind::StageCommitted { stage: "nodes".into(), attempt: 1, receipt: receipt(), duration_ms: 20 };
    writer.log(at(3), committed).await.unwrap();
    writer.write_stage(&stage_record()).await.unwrap();
    writer.write_lineage(&lineage()).await.unwrap();
    let totals = RunTotals { committed: 1, reused: 0, failed: 1, skipped: 1, cancelled: 0 };
    let finished = LogKind::RunFinished { status: RunStatus::Failed, duration_ms: 9_000, totals };
    writer.log(at(9), finished).await.unwrap();
    writer.seal(&ended(run_id)).await.unwrap();
}

async fn check_bundle(reader: &BundleReader, run_id: &RunId) {
    let nodes = "nodes".into();
    assert_eq!(reader.run(run_id, &nobody()).await.unwrap(), ended(run_id.as_str()));
    assert_eq!(reader.pins(run_id).await.unwrap(), Some(pins()));
    assert_eq!(reader.plan(run_id).await.unwrap(), Some(plan()));
    assert_eq!(reader.lineage(run_id).await.unwrap(), Some(lineage()));
    assert_eq!(reader.registrations(run_id).await.unwrap(), Some(registrations()));
    assert_eq!(reader.stage(run_id, &nodes).await.unwrap(), Some(stage_record()));
    for text in PlanText::ALL {
        let kept = reader.plan_text(run_id, &nodes, text).await.unwrap();
        assert_eq!(kept, Some(format!("{}\n", text.as_str())));
    }
    let log = reader.log(run_id).await.unwrap();
    let lines: Vec<_> = log.iter().map(|e| (e.v, e.seq, e.ts, e.level)).collect();
    assert_eq!(lines, [(1, 0, at(0), LogLevel::Info), (1, 1, at(3), LogLevel::Info), (1, 2, at(9), LogLevel::Error)]);
    assert!(matches!(&log[1].kind, LogKind::StageCommitted { receipt: kept, .. } if *kept == receipt()));
    check_metrics(&reader.metrics(run_id, &nodes).await.unwrap().unwrap());
}

fn check_metrics(batches: &[RecordBatch]) {
    let [batch] = batches else { panic!("{} batches", batches.len()) };
    assert_eq!(batch.schema(), metrics_schema());
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().iter().flatten().collect::<Vec<_>>();
    assert_eq!(text("operator"), ["FilterExec", "DataSourceExec", "DataSourceExec", "DataSourceExec"]);
    assert_eq!(text("metric"), ["output_rows", "output_rows", "bytes_scanned", "elapsed_compute"]);
    assert_eq!(text("unit"), ["rows", "rows", "bytes", "nanoseconds"]);
    let values = batch.column_by_name("value").unwrap().as_primitive::<UInt64Type>();
    assert_eq!(values.values().to_vec(), [10, 40, 4_096, u64::MAX]);
}

#[tokio::test]
async fn a_bundle_reads_back_as_written() {
    let home = tempfile::tempdir().unwrap();
    for bundles in [on_disk(home.path()), in_memory()] {
        write_bundle(&bundles, "r1").await;
        check_bundle(&BundleReader::new(Arc::new(bundles)), &"r1".into()).await;
    }
}

#[tokio::test]
async fn the_files_are_where_users_expect_them() {
    let home = tempfile::tempdir().unwrap();
    write_bundle(&on_disk(home.path()), "r1").await;
    let mut files = Vec::new();
    let mut folders = vec![home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_folder = path.is_dir();
            if is_folder { &mut folders } else { &mut files }.push(path);
        }
    }
    let mut files: Vec<&str> = files.iter().map(|f| f.strip_prefix(home.path()).unwrap().to_str().unwrap()).collect();
    files.sort_unstable();
    insta::assert_snapshot!(files.join("\n"), @"
    runs/r1/lineage.json
    runs/r1/log.jsonl
    runs/r1/pins.json
    runs/r1/plan.json
    runs/r1/registrations.json
    runs/r1/run.json
    runs/r1/stages/nodes/analyzed.txt
    runs/r1/stages/nodes/distributed.txt
    runs/r1/stages/nodes/logical.txt
    runs/r1/stages/nodes/metrics.arrow
    runs/r1/stages/nodes/optimized.txt
    runs/r1/stages/nodes/physical.txt
    runs/r1/stages/nodes/stage.json
    ");
    let log = std::fs::read_to_string(home.path().join("runs/r1/log.jsonl")).unwrap();
    insta::assert_snapshot!(log, @r#"
    {"v":1,"ts":"1970-01-01T00:00:00Z","run_id":"r1","seq":0,"level":"info","event":"run_started","pipeline":"code_graph","sequence":3,"stages":3,"reused":0,"max_parallel":2,"windlass":"0.1.0","host":"here"}
    {"v":1,"ts":"1970-01-01T00:00:03Z","run_id":"r1","seq":1,"level":"info","event":"stage_committed","stage":"nodes","attempt":1,"version":4,"rows":10,"bytes":1000,"files":2,"outcome":"committed","duration_ms":20}
    {"v":1,"ts":"1970-01-01T00:00:09Z","run_id":"r1","seq":2,"level":"error","event":"run_finished","status":"failed","duration_ms":9000,"committed":1,"reused":0,"failed":1,"skipped":1,"cancelled":0}
    "#);
}

fn warning(message: &str) -> LogKind {
    LogKind::Warning { message: message.into(), stage: None }
}

fn note(message: &str) -> LogKind {
    LogKind::StagePlanned {
        stage: "nodes".into(),
        decision: PlanDecision::Full,
        reason: message.into(),
        strategy: None,
        tags: Tags::default(),
    }
}

#[tokio::test]
async fn a_log_on_disk_can_be_read_while_it_grows() {
    let home = tempfile::tempdir().unwrap();
    let writer = BundleWriter::begin(on_disk(home.path()), &run("r1")).await.unwrap();
    let reader = BundleReader::new(Arc::new(on_disk(home.path())));
    for count in 1..=5usize {
        writer.log(at(0), note("x")).await.unwrap();
        assert_eq!(reader.log(&"r1".into()).await.unwrap().len(), count);
    }
}

#[tokio::test]
async fn a_log_in_an_object_store_appears_with_what_matters() {
    let bundles = in_memory();
    let reader = BundleReader::new(Arc::new(bundles.clone()));
    let writer = BundleWriter::begin(bundles, &run("r1")).await.unwrap();
    for _ in 0..40 {
        writer.log(at(0), note("x")).await.unwrap();
    }
    assert!(reader.log(&"r1".into()).await.unwrap().len() >= 32, "after every few lines");
    writer.log(at(0), warning("look")).await.unwrap();
    assert_eq!(reader.log(&"r1".into()).await.unwrap().len(), 41, "at once if it matters");
    writer.log(at(0), note("last")).await.unwrap();
    writer.seal(&ended("r1")).await.unwrap();
    assert_eq!(reader.log(&"r1".into()).await.unwrap().len(), 42, "at the end");
}

#[tokio::test]
async fn a_resumed_run_continues_its_log_after_a_truncated_line() {
    let home = tempfile::tempdir().unwrap();
    let bundles = on_disk(home.path());
    let reader = BundleReader::new(Arc::new(bundles.clone()));
    let writer = BundleWriter::begin(bundles.clone(), &run("r1")).await.unwrap();
    for _ in 0..3 {
        writer.log(at(0), note("x")).await.unwrap();
    }
    drop(writer);
    let path = home.path().join("runs/r1/log.jsonl");
    let mut log = std::fs::read(&path).unwrap();
    log.extend_from_slice(br#"{"v":1,"ts":"1970-01-01T00:"#);
    std::fs::write(&path, log).unwrap();
    assert_eq!(reader.log(&"r1".into()).await.unwrap().len(), 3, "the half line is left out");

    let writer = BundleWriter::begin(bundles, &run("r1")).await.unwrap();
    let event = writer.log(at(1), LogKind::RunResumed { host: "here".into(), committed: 1 }).await.unwrap();
    assert_eq!(event.seq, 3);
    let sequence: Vec<u64> = reader.log(&"r1".into()).await.unwrap().iter().map(|e| e.seq).collect();
    assert_eq!(sequence, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_sealed_bundle_does_not_change() {
    let bundles = in_memory();
    let writer = BundleWriter::begin(bundles.clone(), &run("r1")).await.unwrap();
    writer.seal(&ended("r1")).await.unwrap();
    let sealed = |outcome: Result<(), RecordError>| matches!(outcome, Err(RecordError::Sealed { .. }));
    assert!(sealed(writer.log(at(1), note("x")).await.map(drop)));
    assert!(sealed(writer.write_run(&run("r1")).await));
    assert!(sealed(writer.write_pins(&pins()).await));
    assert!(sealed(writer.write_plan(&plan()).await));
    assert!(sealed(writer.write_lineage(&lineage()).await));
    assert!(sealed(writer.write_registrations(&registrations()).await));
    assert!(sealed(writer.write_plan_text(&"nodes".into(), PlanText::Logical, "x").await));
    assert!(sealed(writer.write_stage(&stage_record()).await));
    assert!(sealed(writer.seal(&run("r1")).await));
    assert!(sealed(BundleWriter::begin(bundles, &run("r1")).await.map(drop)));
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_half_written_ones_are_marked() {
    let home = tempfile::tempdir().unwrap();
    for bundles in [on_disk(home.path()), in_memory()] {
        let reader = BundleReader::new(Arc::new(bundles.clone()));
        assert!(reader.list(&nobody(), None).await.unwrap().is_empty());
        write_bundle(&bundles, "r1").await;
        BundleWriter::begin(bundles.clone(), &run("r2")).await.unwrap();
        BundleWriter::begin(bundles.clone(), &run("r3")).await.unwrap();
        BundleWriter::begin(bundles, &RunRecord { format: BUNDLE_FORMAT + 1, ..run("r4") }).await.unwrap();
        let live = BTreeSet::from([RunId::from("r3")]);
        let listed = reader.list(&live, None).await.unwrap();
        let listed: Vec<_> = listed
            .iter()
            .map(|run| {
                let status = run.record.as_ref().map_or_else(|e| e.code().0, |r| r.status.as_str());
                (run.run_id.as_str(), status)
            })
            .collect();
        assert_eq!(listed, [("r4", "WL0622"), ("r3", "running"), ("r2", "interrupted"), ("r1", "failed")]);
        assert_eq!(reader.list(&live, Some(2)).await.unwrap().len(), 2);
        assert_eq!(reader.pins(&"r2".into()).await.unwrap(), None);
        assert!(reader.metrics(&"r2".into(), &"nodes".into()).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_damaged_bundle_is_named_and_does_not_hide_the_others() {
    let home = tempfile::tempdir().unwrap();
    let bundles = on_disk(home.path());
    write_bundle(&bundles, "r1").await;
    write_bundle(&bundles, "r2").await;
    std::fs::write(home.path().join("runs/r2/run.json"), "{").unwrap();
    std::fs::write(home.path().join("runs/r2/stages/nodes/metrics.arrow"), "x").unwrap();
    // What an interrupted removal leaves is no run.
    std::fs::create_dir(home.path().join("runs/r3")).unwrap();
    let reader = BundleReader::new(Arc::new(bundles));
    let listed = reader.list(&nobody(), None).await.unwrap();
    let problems: Vec<_> = listed.iter().map(|run| run.record.as_ref().err().map(ToString::to_string)).collect();
    assert_eq!(problems, [Some("the bundle's file runs/r2/run.json cannot be parsed".to_owned()), None]);
    let error = reader.metrics(&"r2".into(), &"nodes".into()).await.unwrap_err();
    assert!(matches!(error, RecordError::Arrow { .. }), "{error}");
    let error = reader.run(&"r9".into(), &nobody()).await.unwrap_err();
    assert_eq!((error.code().0, error.is_retryable()), ("WL0623", false));
}

/// A bundle of format 1 as it was first written. `UPDATE_DOCS=1` writes it if it does not exist.
#[tokio::test]
async fn a_bundle_of_the_first_format_remains_readable() {
    let frozen = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/bundle_v1");
    if std::env::var_os("UPDATE_DOCS").is_some() && !frozen.exists() {
        std::fs::create_dir_all(&frozen).unwrap();
        write_bundle(&on_disk(&frozen), "r1").await;
    }
    check_bundle(&BundleReader::new(Arc::new(on_disk(&frozen))), &"r1".into()).await;
}
