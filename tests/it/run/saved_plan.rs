//! Saved plans: exactly the changes since are detected and described.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, TimeZone, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_base::code_parts::CodeParts;
use windlass_base::error::Coded;
use windlass_base::ids::TableVersion;
use windlass_evidence::artifact::{
    Moved, PinRecord, PlanDecision, PlanMoved, PlannedRun, Refresh, SAVED_PLAN_FORMAT, SavedCursor, SavedPlan,
    SavedPlanError, SavedRequest, StageDecision, moved,
};
use windlass_project::strategy::Strategy as Way;

fn decision(stage: &str, decision: PlanDecision, strategy: Option<Way>) -> StageDecision {
    StageDecision {
        stage: stage.into(),
        decision,
        reason: "for a test".into(),
        cause: None,
        depends_on: Vec::new(),
        weight: 1,
        strategy,
        changes: Vec::new(),
        reuse: None,
        exports: Vec::new(),
        estimated_rows: None,
        estimated_bytes: 0,
        code_version: format!("code of {stage}"),
        code_parts: Some(CodeParts { definition: "d".into(), settings: "s".into(), ..CodeParts::default() }),
        tags: Default::default(),
    }
}

fn pin(source: &str, version: Option<u64>) -> PinRecord {
    PinRecord {
        source: source.into(),
        kind: if version.is_some() { "delta" } else { "listing" }.into(),
        location: format!("s3://lake/{source}"),
        version: version.map(TableVersion),
        committed_at: version.map(|_| Utc.with_ymd_and_hms(2026, 1, 31, 12, 0, 0).unwrap()),
        chosen_by: "latest".into(),
        content_identity: version.is_none().then(|| "digest".into()),
        files: 3,
        bytes: 4_000,
    }
}

fn cursor(stage: &str, source: &str, version: Option<i64>) -> SavedCursor {
    SavedCursor { stage: stage.into(), source: source.into(), version }
}

/// The value of a parameter, as plans write it.
fn value(data_type: &str, text: &str) -> Value {
    json!({ "type": data_type, "value": text })
}

fn saved() -> SavedPlan {
    let planned = PlannedRun {
        pipeline: "shop".into(),
        pins: vec![pin("orders", Some(4)), pin("people", None)],
        stages: vec![
            decision("clean", PlanDecision::View, None),
            decision("totals", PlanDecision::Incremental, Some(Way::AffectedKeys)),
            decision("best", PlanDecision::Full, Some(Way::Full)),
        ],
        tables: Vec::new(),
        params: json!({ "least": value("long", "10"), "label": value("string", "x") }),
        session_identity: "session one".into(),
        cursors: vec![cursor("totals", "orders", Some(3)), cursor("totals", "people", None)],
    };
    let request = SavedRequest {
        target: Some("prod".into()),
        params: BTreeMap::from([("least".into(), "10".into())]),
        sources: BTreeMap::from([("people".into(), "other/people".into())]),
        select: vec!["+best".into()],
        exclude: Vec::new(),
        refresh: Refresh { full: vec!["best".into()], ..Refresh::default() },
    };
    SavedPlan::new(request, &planned)
}

/// A change of a plan, and how it is described; nothing for changes that do not matter.
type Change = (&'static str, fn(&mut SavedPlan));

const CHANGES: &[Change] = &[
    ("pipeline: shop → store", |plan| plan.pipeline = "store".into()),
    ("request: another target, selection or refresh than the plan's", |plan| plan.request.target = None),
    ("request: another target, selection or refresh than the plan's", |plan| plan.request.select.clear()),
    ("request: another target, selection or refresh than the plan's", |plan| {
        plan.request.exclude.push("clean".into());
    }),
    ("request: another target, selection or refresh than the plan's", |plan| {
        plan.request.refresh.from_versions.push((None, 2));
    }),
    ("parameter least: 10 → 20", |plan| {
        plan.params.insert("least".into(), value("long", "20"));
    }),
    ("parameter label: x → none", |plan| drop(plan.params.remove("label"))),
    ("parameter new: none → true", |plan| drop(plan.params.insert("new".into(), value("boolean", "true")))),
    ("session: identity session one → session two", |plan| plan.session_identity = "session two".into()),
    ("stage totals: its definition has changed", |plan| {
        plan.stages[1].code_version = "other".into();
        plan.stages[1].code_parts.as_mut().unwrap().definition = "other".into();
    }),
    ("stage totals: a setting of the session has changed", |plan| {
        plan.stages[1].code_version = "other".into();
        plan.stages[1].code_parts.as_mut().unwrap().settings = "other".into();
    }),
    // As an earlier version of Windlass saved it.
    ("stage totals: its definition has changed", |plan| {
        plan.stages[1].code_version = "other".into();
        plan.stages[1].code_parts = None;
    }),
    ("stage totals: `incremental`: off → on", |plan| {
        plan.stages[1].code_parts.as_mut().unwrap().incremental = true;
    }),
    ("stage totals: incremental (affected_keys) → reuse", |plan| {
        (plan.stages[1].decision, plan.stages[1].strategy) = (PlanDecision::Reuse, None);
    }),
    ("stage totals: incremental (affected_keys) → incremental (append)", |plan| {
        plan.stages[1].strategy = Some(Way::Append);
    }),
    ("stage best: in the plan, but it would not run", |plan| {
        plan.stages.retain(|stage| stage.stage.as_str() != "best");
    }),
    ("stage new: not in the plan", |plan| {
        let mut stage = plan.stages[0].clone();
        stage.stage = "new".into();
        plan.stages.push(stage);
    }),
    ("source orders: version 4 → 6", |plan| plan.pins[0].version = Some(TableVersion(6))),
    ("source orders: version 4 of 2026-01-31 12:00:00.000 UTC → version 4 of 2026-01-31 12:00:01.000 UTC", |plan| {
        plan.pins[0].committed_at = plan.pins[0].committed_at.map(|at| at + TimeDelta::seconds(1));
    }),
    ("source orders: delta at s3://lake/orders → delta at s3://lake/others", |plan| {
        plan.pins[0].location = "s3://lake/others".into();
    }),
    ("source people: 3 files of 4,000 bytes → other files: 4 files of 4,100 bytes", |plan| {
        let pin = &mut plan.pins[1];
        (pin.content_identity, pin.files, pin.bytes) = (Some("other".into()), 4, 4_100);
    }),
    ("source people: 3 files of 4,000 bytes → not read", |plan| {
        plan.pins.retain(|pin| pin.source.as_str() != "people");
    }),
    ("source more: not read → version 0", |plan| plan.pins.push(pin("more", Some(0)))),
    ("cursor of totals for orders: 3 → 4", |plan| plan.cursors[0].version = Some(4)),
    ("cursor of totals for orders: 3 → reset", |plan| plan.cursors[0].version = Some(-1)),
    ("cursor of totals for orders: 3 → none", |plan| {
        plan.cursors.retain(|cursor| cursor.source.as_str() != "orders");
    }),
    ("cursor of best for totals: none → 1", |plan| plan.cursors.push(cursor("best", "totals", Some(1)))),
    ("", |plan| plan.stages.reverse()),
    ("", |plan| plan.pins.reverse()),
    ("", |plan| plan.cursors.reverse()),
    ("", |plan| plan.cursors.retain(|cursor| cursor.version.is_some())),
    ("", |plan| plan.pins[0].chosen_by = "version".into()),
    ("", |plan| plan.windlass = "9.9.9".into()),
    // What was entered does not matter; what it resolves to does.
    ("", |plan| plan.request.params.clear()),
    ("", |plan| plan.request.sources.clear()),
];

fn moved_text(saved: &SavedPlan, now: &SavedPlan) -> Vec<String> {
    moved(saved, now).iter().map(ToString::to_string).collect()
}

#[test]
fn every_relevant_change_is_reported_and_no_other() {
    for (words, change) in CHANGES {
        let mut now = saved();
        change(&mut now);
        let expected: Vec<&str> = Some(*words).filter(|words| !words.is_empty()).into_iter().collect();
        assert_eq!(moved_text(&saved(), &now), expected, "{words}");
    }
}

/// The time of a version is not always known: log clean-up removes the commit file.
#[test]
fn a_version_whose_time_is_forgotten_is_the_same_version() {
    let mut now = saved();
    now.pins[0].committed_at = None;
    assert!(moved_text(&saved(), &now).is_empty());
}

/// A reused table is pinned; that it no longer is must not be reported twice.
#[test]
fn a_stage_that_is_no_longer_reused_is_reported_once() {
    let mut before = saved();
    before.stages[1].decision = PlanDecision::Reuse;
    before.stages[1].strategy = None;
    before.pins.push(pin("totals", Some(1)));
    assert_eq!(moved_text(&before, &saved()), ["stage totals: reuse → incremental (affected_keys)"]);
    let mut moved = before.clone();
    moved.pins[2].version = Some(TableVersion(2));
    assert_eq!(moved_text(&before, &moved), ["source totals: version 1 → 2"]);
}

/// What a change is about, such as `stage totals`; changes of one thing can undo each other.
fn subject(change: &Change) -> &'static str {
    change.0.split(':').next().unwrap_or_default()
}

proptest! {
    /// However much has changed, each change is reported exactly once, and nothing else.
    #[test]
    fn changes_do_not_hide_each_other(mut changes in prop::sample::subsequence(CHANGES.to_vec(), 0..8)) {
        let mut subjects = BTreeSet::new();
        changes.retain(|change| change.0.is_empty() || subjects.insert(subject(change)));
        let mut now = saved();
        for (_, change) in &changes {
            change(&mut now);
        }
        let mut expected: Vec<&str> = changes.iter().map(|change| change.0).filter(|words| !words.is_empty()).collect();
        let mut reported = moved_text(&saved(), &now);
        expected.sort_unstable();
        reported.sort_unstable();
        prop_assert_eq!(reported, expected);
    }
}

#[test]
fn a_plan_survives_its_file() {
    let plan = saved();
    assert_eq!(SavedPlan::read(&plan.to_json()).unwrap(), plan);
    let changed = CHANGES.iter().map(|(_, change)| {
        let mut plan = saved();
        change(&mut plan);
        plan
    });
    for plan in changed {
        assert_eq!(SavedPlan::read(&plan.to_json()).unwrap(), plan);
    }
}

#[test]
fn other_files_are_refused() {
    let code = |text: &str| SavedPlan::read(text).map_err(|error| error.code().0);
    assert_eq!(code("").unwrap_err(), "WL0662");
    assert_eq!(code("{\"format\": 1}").unwrap_err(), "WL0662");
    let mut later = saved();
    later.format = SAVED_PLAN_FORMAT + 1;
    let refused = SavedPlan::read(&later.to_json()).unwrap_err();
    assert!(matches!(refused, SavedPlanError::Later { found } if found == SAVED_PLAN_FORMAT + 1), "{refused}");
}

#[test]
fn a_refusal_lists_what_moved() {
    let mut now = saved();
    now.pins[0].version = Some(TableVersion(6));
    now.cursors[0].version = Some(4);
    now.stages[1].code_version = "other".into();
    now.stages[1].code_parts.as_mut().unwrap().definition = "other".into();
    let refused = PlanMoved { moved: moved(&saved(), &now) };
    insta::assert_snapshot!(refused, @r"
    the plan is no longer valid:
      stage totals: its definition has changed
      source orders: version 4 → 6
      cursor of totals for orders: 3 → 4
    ");
    // It arrives as it was sent.
    let json = serde_json::to_string(&refused.moved).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Moved>>(&json).unwrap(), refused.moved);
}
