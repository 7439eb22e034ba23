//! The structure of events, as the published schemas demand it: required fields, formats, and the facets of each kind.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeZone, Utc};
use serde_json::Value;
use windlass_base::error::Failure;
use windlass_base::identity::ScanIdentity;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_project::expect::Severity;
use windlass_project::tag::Tags;

use super::{FACETS, InputFacts, RunEvent, RunFacts, StageFacts, run_begins, run_goes_on, stage_begins, stage_ended};
use crate::artifact::{
    AttemptRecord, AttemptStatus, ColumnLineage, ColumnOrigin, ColumnOrigins, ColumnRecord, ColumnUse,
    ExpectationRecord, ReceiptOutcome, Registration, ReuseVerdict, StageLineage, StageReceipt, StageRecord,
    StageStatus, TableKind,
};

fn at(second: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, second).unwrap()
}

fn run() -> RunFacts {
    RunFacts {
        namespace: "windlass".into(),
        run_id: "0192f6a1b2c37d4e8f5061728394a5b6".into(),
        pipeline: "shop".into(),
    }
}

fn registration(name: &str, location: &str, columns: &[&str]) -> Registration {
    let column = |name: &&str| ColumnRecord { name: (*name).into(), data_type: "Int64".into(), nullable: true };
    Registration {
        name: name.into(),
        kind: TableKind::Delta,
        location: Some(location.into()),
        format: Some("parquet".into()),
        version: Some(TableVersion(7)),
        columns: columns.iter().map(column).collect(),
        partition_columns: Vec::new(),
        sort_order: Vec::new(),
        files: Some(2),
        bytes: Some(100),
        files_digest: None,
        scan_identity: ScanIdentity::of(&name).unwrap(),
    }
}

fn lineage() -> StageLineage {
    let origin = |column: &str, how| ColumnOrigin { table: "orders".into(), column: column.into(), how };
    StageLineage {
        stage: "totals".into(),
        inputs: Vec::new(),
        code_fingerprint: String::new(),
        plan_fingerprint: String::new(),
        location: "/home/tables/totals".into(),
        code_version: String::new(),
        reuse: ReuseVerdict::default(),
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
        changes: Vec::new(),
        output_version: None,
        columns: Some(ColumnLineage {
            columns: vec![ColumnOrigins {
                name: "total".into(),
                origins: vec![origin("amount", ColumnUse::Aggregation)],
            }],
            rows: vec![origin("day", ColumnUse::GroupBy)],
        }),
    }
}

fn record(status: StageStatus) -> StageRecord {
    let failure = Failure { code: "WL0001".into(), message: "it broke".into(), help: None, retryable: false };
    let is_failed = status == StageStatus::Failed;
    let expectation = ExpectationRecord {
        name: "positive".into(),
        rule: "total > 0".into(),
        severity: Severity::Warn,
        tags: Tags::default(),
        rows_checked: 3,
        rows_failed: 1,
        broken: true,
        samples: Vec::new(),
    };
    StageRecord {
        stage: "totals".into(),
        status,
        attempts: vec![AttemptRecord {
            number: 1,
            commit_only: false,
            started_at: at(1),
            staged_at: None,
            ended_at: Some(at(2)),
            status: if is_failed { AttemptStatus::Failed } else { AttemptStatus::Committed },
            failure: is_failed.then_some(failure),
            job_id: None,
        }],
        receipt: (status == StageStatus::Committed).then_some(StageReceipt {
            version: TableVersion(4),
            rows: 3,
            changed_rows: None,
            table_rows: Some(3),
            bytes: 60,
            files: 1,
            outcome: ReceiptOutcome::Committed,
        }),
        tasks: Vec::new(),
        operators: Vec::new(),
        expectations: vec![expectation],
        quarantine: None,
        outputs: Vec::new(),
        lineage: Some(lineage()),
    }
}

/// Calls `ask` with the facts of a stage that reads a table and rows of the project.
fn with_stage<T>(ask: impl FnOnce(&StageFacts<'_>) -> T) -> T {
    let (stage, orders, rates) = (NodeName::new("totals"), NodeName::new("orders"), NodeName::new("rates"));
    let read = registration("orders", "s3://bucket/orders", &["day", "amount"]);
    let written = registration("totals", "/home/tables/totals", &["total"]);
    let tags = Tags(BTreeMap::from([("layer".to_owned(), "mart".to_owned())]));
    let input = |name, registration| InputFacts { name, registration, version: None, rows: Some(9), change: None };
    ask(&StageFacts {
        stage: &stage,
        sql: Some("SELECT sum(amount) AS total FROM orders GROUP BY day"),
        description: Some("The totals."),
        tags: &tags,
        inputs: vec![InputFacts { version: Some(TableVersion(7)), ..input(&orders, Some(&read)) }, input(&rates, None)],
        location: "/home/tables/totals",
        output: Some(&written),
    })
}

fn events() -> Vec<Value> {
    let ended = [StageStatus::Committed, StageStatus::Failed, StageStatus::Cancelled];
    let mut events: Vec<RunEvent> = vec![run_begins(&run(), at(0)), run_goes_on(&run(), at(0))];
    events.push(with_stage(|stage| stage_begins(&run(), stage, at(1))));
    events.extend(ended.iter().map(|status| with_stage(|stage| stage_ended(&run(), stage, &record(*status)).unwrap())));
    events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Checks every facet of an object, which may only be of the kinds that are `allowed` there.
fn check_facets(facets: &Value, allowed: &str) {
    for (key, facet) in facets.as_object().unwrap() {
        let (_, name, version) = FACETS.iter().find(|(of, _, _)| of == key).unwrap_or_else(|| panic!("{key}"));
        assert!(name.contains(allowed) || key == "dataQualityAssertions", "{key} is no {allowed}");
        assert!(facet["_producer"].as_str().unwrap().starts_with("urn:windlass:"), "{facet}");
        let url = format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}");
        assert_eq!(facet["_schemaURL"], url.as_str());
        assert!(facet.as_object().unwrap().values().all(|value| !value.is_null()), "{facet}");
        for required in required(key) {
            assert!(facet.get(required).is_some(), "{key} without {required}: {facet}");
        }
    }
}

/// The fields that the schema of a facet requires.
fn required(key: &str) -> &'static [&'static str] {
    match key {
        "columnLineage" => &["fields"],
        "dataQualityAssertions" => &["assertions"],
        "documentation" => &["description"],
        "errorMessage" => &["message", "programmingLanguage"],
        "jobType" => &["processingType", "integration"],
        "parent" => &["run", "job"],
        "processing_engine" => &["version"],
        "sql" => &["query"],
        "version" => &["datasetVersion"],
        _ => &[],
    }
}

#[test]
fn events_have_what_the_schemas_require() {
    for event in events() {
        for key in ["eventTime", "producer", "schemaURL", "eventType"] {
            assert!(event[key].is_string(), "{key}: {event}");
        }
        assert!(DateTime::parse_from_rfc3339(event["eventTime"].as_str().unwrap()).is_ok(), "{event}");
        assert!(is_uuid(event["run"]["runId"].as_str().unwrap()), "{event}");
        check_facets(&event["run"]["facets"], "RunFacet");
        check_facets(&event["job"]["facets"], "JobFacet");
        assert_eq!(event["job"]["namespace"], "windlass");
        for (side, own, kind) in
            [("inputs", "inputFacets", "InputDatasetFacet"), ("outputs", "outputFacets", "OutputDatasetFacet")]
        {
            for dataset in event[side].as_array().unwrap() {
                assert!(dataset["namespace"].is_string() && dataset["name"].is_string(), "{dataset}");
                check_facets(&dataset["facets"], "DatasetFacet");
                if let Some(facets) = dataset.get(own) {
                    check_facets(facets, kind);
                }
            }
        }
        if let Some(parent) = event["run"]["facets"].get("parent") {
            assert_eq!(parent["run"]["runId"], "0192f6a1-b2c3-7d4e-8f50-61728394a5b6");
            assert_eq!(parent["job"], parent["root"]["job"]);
            assert_eq!(event["job"]["name"], "shop.totals");
        }
    }
}

#[test]
fn types_follow_how_a_stage_has_ended() {
    let types: Vec<Value> = events().iter().map(|event| event["eventType"].clone()).collect();
    assert_eq!(types, ["START", "RUNNING", "START", "COMPLETE", "FAIL", "ABORT"]);
    for status in [StageStatus::Skipped, StageStatus::Running, StageStatus::Pending] {
        assert_eq!(with_stage(|stage| stage_ended(&run(), stage, &record(status))), None, "{status:?}");
    }
    // Nothing is said of a stage that never began.
    let never = StageRecord { attempts: Vec::new(), ..record(StageStatus::Cancelled) };
    assert_eq!(with_stage(|stage| stage_ended(&run(), stage, &never)), None);
}

#[test]
fn a_stage_says_what_it_has_read_and_written() {
    let events = events();
    let (complete, fail) = (&events[3], &events[4]);
    let ids: Vec<&Value> = events[2..].iter().map(|event| &event["run"]["runId"]).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "all events of a stage are about one run");
    let (orders, rates) = (&complete["inputs"][0], &complete["inputs"][1]);
    assert_eq!((&orders["namespace"], &orders["name"]), (&"s3://bucket".into(), &"orders".into()));
    assert_eq!(orders["facets"]["version"]["datasetVersion"], "7");
    assert_eq!(orders["facets"]["schema"]["fields"][1]["name"], "amount");
    assert_eq!(orders["inputFacets"]["inputStatistics"]["rowCount"], 9);
    assert_eq!((&rates["namespace"], &rates["name"]), (&"windlass".into(), &"shop.rates".into()));
    let totals = &complete["outputs"][0];
    assert_eq!((&totals["namespace"], &totals["name"]), (&"file".into(), &"/home/tables/totals".into()));
    assert_eq!(totals["facets"]["version"]["datasetVersion"], "4");
    assert_eq!(totals["outputFacets"]["outputStatistics"]["rowCount"], 3);
    let lineage = &totals["facets"]["columnLineage"];
    let field = &lineage["fields"]["total"]["inputFields"][0];
    assert_eq!((&field["name"], &field["field"]), (&"orders".into(), &"amount".into()));
    assert_eq!(field["transformations"][0]["type"], "DIRECT");
    assert_eq!(field["transformations"][0]["subtype"], "AGGREGATION");
    assert_eq!(lineage["dataset"][0]["transformations"][0]["subtype"], "GROUP_BY");
    let assertion = &totals["facets"]["dataQualityAssertions"]["assertions"][0];
    assert_eq!((&assertion["name"], &assertion["success"]), (&"positive".into(), &false.into()));
    assert_eq!(complete["job"]["facets"]["tags"]["tags"][0]["value"], "mart");
    assert!(complete["run"]["facets"].get("errorMessage").is_none());
    assert_eq!(fail["run"]["facets"]["errorMessage"]["message"], "[WL0001] it broke");
    assert!(fail["outputs"][0]["facets"].get("version").is_none());
}
