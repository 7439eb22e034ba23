//! The rules on runs made by hand, each by its effect on the verdict, and what holds for all pairs of runs.

mod plans;
mod sample;

use proptest::prelude::*;
use windlass_base::ids::TableVersion;

use self::sample::{Change, SECOND, STAGE, run};
use super::{CauseClass, Measure, MeasureChange, RunDiff, RunEvidence, StageVerdict, diff};
use crate::artifact::{Cause, PlanDecision, PlanText, SourceChange, StageSummary};

/// Changes a run into the one that is compared with it.
type Mutation = fn(&mut RunEvidence);

fn compared(change: Mutation) -> RunDiff {
    let mut after = run();
    after.run.run_id = "b".into();
    after.takes(6_000);
    change(&mut after);
    diff(&run(), &after)
}

fn verdict(change: Mutation) -> StageVerdict {
    let mut diff = compared(change);
    assert_eq!(diff.verdicts.len(), 1, "{diff:#?}");
    diff.verdicts.remove(0)
}

fn data_doubles(run: &mut RunEvidence) {
    for pin in &mut run.pins.as_mut().unwrap().pins {
        pin.bytes *= 2;
    }
    for metric in ["output_rows", "bytes_scanned", "elapsed_compute", "time_elapsed_scanning_total"] {
        run.scale(metric, 200);
    }
}

fn filter_is_not_pushed_down(run: &mut RunEvidence) {
    run.replan(PlanText::Optimized, ", full_filters=[orders.day = Utf8(\"1\")]", "");
    run.replan(PlanText::Physical, "{1 group, 1 file}, projection=[day", "{2 groups, 10 files}, projection=[day");
    run.scale("output_rows", 1_000);
    run.scale("bytes_scanned", 1_000);
}

fn one_task_is_longer(run: &mut RunEvidence) {
    run.record_mut().tasks[3].end_ms = 5_000;
}

fn operators_spill(run: &mut RunEvidence) {
    run.set("spill_count", 12);
    run.set("spilled_bytes", 3 << 20);
}

fn tables_are_joined_the_other_way(run: &mut RunEvidence) {
    let (orders, customers) = ("projection=[day, customer], file_type=parquet", "projection=[id], file_type=parquet");
    run.replan(PlanText::Physical, orders, "projection=[x], file_type=parquet");
    run.replan(PlanText::Physical, customers, orders);
    run.replan(PlanText::Physical, "projection=[x], file_type=parquet", customers);
    run.replan(PlanText::Physical, "(customer@1, id@0)", "(id@0, customer@1)");
}

fn one_executor_is_left(run: &mut RunEvidence) {
    let tasks = &mut run.record_mut().tasks;
    for (task, start_ms) in tasks.iter_mut().zip((0..).step_by(1_000)) {
        task.executor = "e0".to_owned();
        (task.start_ms, task.end_ms) = (start_ms, start_ms + 1_000);
    }
}

fn store_is_throttled(run: &mut RunEvidence) {
    run.scale("time_elapsed_scanning_total", 400);
}

fn processors_are_shared(run: &mut RunEvidence) {
    run.scale("elapsed_compute", 300);
    run.scale("time_elapsed_scanning_total", 300);
}

fn sql_changes(run: &mut RunEvidence) {
    let mut parts = run.decision_mut().code_parts.clone().unwrap();
    parts.definition = "d2".to_owned();
    parts.written.insert("sql".to_owned(), "2".to_owned());
    run.decision_mut().set_code("c2", &parts);
}

fn session_changes(run: &mut RunEvidence) {
    run.run.session_identity = "s2".to_owned();
    let mut parts = run.decision_mut().code_parts.clone().unwrap();
    parts.settings = "s2".to_owned();
    run.decision_mut().set_code("c2", &parts);
}

fn all_is_refreshed(run: &mut RunEvidence) {
    run.decision_mut().cause = Some(Cause::FullRefresh);
    run.decision_mut().reason = "a full refresh was asked for".to_owned();
}

#[test]
fn every_rule_names_its_cause() {
    let cases: [(&str, Mutation, CauseClass, &str); 18] = [
        ("changed code", sql_changes, CauseClass::Code, "its SQL has changed; it took 6.0 s, before 2.0 s"),
        ("doubled data", data_doubles, CauseClass::Data, "its inputs grew to 2.0 times"),
        ("a changed setting", session_changes, CauseClass::Settings, "`session` is s2, before s1"),
        (
            "another version",
            |run| run.run.versions.datafusion = "56.0.0".to_owned(),
            CauseClass::Settings,
            "`datafusion` is 56.0.0, before 55.2.0",
        ),
        (
            "a dropped partition filter",
            filter_is_not_pushed_down,
            CauseClass::Plan,
            "a filter is no longer part of the scan: full_filters is none, before [orders.day = Utf8(\"1\")]",
        ),
        (
            "the other side of a join",
            tables_are_joined_the_other_way,
            CauseClass::Plan,
            "the sides of HashJoinExec have changed places",
        ),
        (
            "a join of another mode",
            |run| run.replan(PlanText::Physical, "mode=Partitioned", "mode=CollectLeft"),
            CauseClass::Plan,
            "HashJoinExec: mode is CollectLeft, before Partitioned",
        ),
        (
            "another join",
            |run| run.replan(PlanText::Physical, "HashJoinExec: mode=Partitioned", "SortMergeJoinExec: x=1"),
            CauseClass::Plan,
            "SortMergeJoinExec: x=1",
        ),
        (
            "files that cannot be skipped",
            |run| run.replan(PlanText::Physical, "{1 group, 1 file}", "{4 groups, 8 files}"),
            CauseClass::Data,
            "fewer files could be skipped (files in the plan: 9, before 2)",
        ),
        (
            "row groups that cannot be skipped",
            |run| {
                run.scale("row_groups_pruned_statistics_matched", 400);
                run.scale("row_groups_pruned_statistics_pruned", 25);
            },
            CauseClass::Data,
            "row groups read: 16, before 4; row groups pruned: 4, before 16",
        ),
        (
            "a skewed key",
            one_task_is_longer,
            CauseClass::Data,
            "the longest took 5.0 s, 5.0 times the median of 1.0 s, before 1.0 times",
        ),
        ("a join with more matches", |run| run.set("output_rows", 9_000), CauseClass::Data, "rows of all operators"),
        ("a smaller pool", operators_spill, CauseClass::Environment, "bytes spilled: 3.0 MiB, before 0 B"),
        (
            "fewer executors",
            one_executor_is_left,
            CauseClass::Environment,
            "executors: 1, before 2; tasks at once: 1, before 8",
        ),
        ("a throttled store", store_is_throttled, CauseClass::Environment, "scan time: 8.2 s, before 2.2 s"),
        (
            "more attempts",
            |run| run.summary_mut().attempts = 3,
            CauseClass::Environment,
            "it needed 3 attempts, before 1",
        ),
        ("shared processors", processors_are_shared, CauseClass::Contention, "all operators took about 3.0 times"),
        ("a busy machine", |_| {}, CauseClass::Contention, "it waited longer: it took 6.0 s, before 2.0 s"),
    ];
    for (name, change, cause, evidence) in cases {
        let verdict = verdict(change);
        assert_eq!(verdict.cause, Some(cause), "{name}: {verdict:#?}");
        assert!(verdict.evidence.contains(evidence), "{name}: {verdict:#?}");
        assert!(
            verdict.slower && verdict.after_ms == 6_000 && verdict.before_ms == Some(2_000),
            "{name}: {verdict:#?}"
        );
    }
}

#[test]
fn rules_that_need_the_environment_look_at_it() {
    let slow_commit = verdict(|run| {
        let attempt = &mut run.record_mut().attempts[0];
        attempt.ended_at = attempt.staged_at.map(|at| at + chrono::TimeDelta::seconds(4));
    });
    assert_eq!(slow_commit.cause, Some(CauseClass::Environment));
    assert!(slow_commit.evidence.contains("commit: 4.0 s, before 100 ms"), "{slow_commit:#?}");

    let elsewhere = verdict(|run| {
        run.run.host = "there".to_owned();
        run.scale("elapsed_compute", 300);
    });
    assert_eq!(elsewhere.cause, Some(CauseClass::Environment));
    assert!(elsewhere.evidence.contains("`host` is there, before here"), "{elsewhere:#?}");
}

#[test]
fn rows_that_are_computed_although_they_were_not_before_are_the_cause() {
    let mut before = run();
    before.decision_mut().decision = PlanDecision::Reuse;
    before.summary_mut().strategy = None;
    before.takes(10);
    let after = run();
    let verdict = diff(&before, &after).verdicts.remove(0);
    assert_eq!(verdict.cause, Some(CauseClass::Data));
    assert!(verdict.evidence.contains("`full`, before `reuse`: what it reads has changed"), "{verdict:#?}");

    let mut after = run();
    all_is_refreshed(&mut after);
    let verdict = diff(&before, &after).verdicts.remove(0);
    assert_eq!(verdict.cause, Some(CauseClass::Settings));

    let mut small = run();
    small.decision_mut().decision = PlanDecision::Incremental;
    small.summary_mut().strategy = Some(windlass_project::strategy::Strategy::RowWise);
    let mut large = small.clone();
    let change = |rows| SourceChange {
        source: "orders".into(),
        from: Some(TableVersion(6)),
        to: Some(TableVersion(7)),
        files: 1,
        rows: Some(rows),
        bytes: 10 * rows,
    };
    small.decision_mut().changes = vec![change(10)];
    large.decision_mut().changes = vec![change(500)];
    large.takes(9_000);
    let verdict = diff(&small, &large).verdicts.remove(0);
    assert_eq!(verdict.cause, Some(CauseClass::Data));
    assert!(verdict.evidence.contains("rows of the changes: 500, before 10"), "{verdict:#?}");
}

#[test]
fn a_stage_that_was_not_there_is_new_or_was_not_selected() {
    let mut before = run();
    before.run.stages.clear();
    let new = diff(&before, &run()).verdicts.remove(0);
    assert_eq!((new.cause, new.before_ms), (Some(CauseClass::Code), None));
    before.run.select = Some("orders".to_owned());
    let selected = diff(&before, &run()).verdicts.remove(0);
    assert_eq!(selected.cause, Some(CauseClass::Settings));
    assert!(diff(&run(), &before).verdicts.is_empty(), "a stage that is gone did not get slower");
}

#[test]
fn the_first_cause_is_the_likeliest_and_the_others_follow() {
    let verdict = verdict(|run| {
        operators_spill(run);
        data_doubles(run);
        sql_changes(run);
        filter_is_not_pushed_down(run);
    });
    let others: Vec<CauseClass> = verdict.others.iter().map(|other| other.cause).collect();
    assert_eq!(verdict.cause, Some(CauseClass::Code));
    assert_eq!(others[..2], [CauseClass::Data, CauseClass::Plan]);
}

#[test]
fn nothing_is_said_of_small_delays_and_unknown_causes_are_none() {
    let quick = |ms| {
        let mut after = run();
        after.takes(ms);
        diff(&run(), &after)
    };
    assert!(quick(2_300).verdicts.is_empty());
    assert_eq!(quick(2_300).stages.len(), 1, "the difference is still told");
    let mut before = run();
    before.stages.clear();
    let mut after = before.clone();
    after.takes(9_000);
    let verdict = diff(&before, &after).verdicts.remove(0);
    assert_eq!((verdict.cause, verdict.others.len()), (None, 0));
}

#[test]
fn stages_come_in_the_order_of_the_time_they_lost() {
    let with = |times: [u64; 3]| {
        let mut evidence = run();
        let summary = evidence.run.stages[0].clone();
        let names = ["short", "long", "same"].into_iter().zip(times);
        evidence.run.stages = names
            .map(|(name, duration_ms)| StageSummary { stage: name.into(), duration_ms, ..summary.clone() })
            .collect();
        evidence
    };
    let verdicts = diff(&with([100, 60_000, 5]), &with([900, 90_000, 5])).verdicts;
    assert_eq!(verdicts.iter().map(|verdict| verdict.stage.as_str()).collect::<Vec<_>>(), ["long", "short"]);
}

#[test]
fn what_the_runs_were_asked_is_compared() {
    let diff = compared(|run| {
        run.run.params.insert("day".to_owned(), 2.into());
        run.run.target = Some("prod".to_owned());
        run.pins.as_mut().unwrap().pins[1].version = Some(TableVersion(8));
        run.lineage.as_mut().unwrap().stages[0].inputs[0].version = Some(TableVersion(8));
    });
    let change = |change: &super::ValueChange| (change.name.clone(), change.before.clone(), change.after.clone());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(diff.params.iter().map(change).collect::<Vec<_>>(), [("day".to_owned(), some("1"), some("2"))]);
    assert_eq!(diff.settings.iter().map(change).collect::<Vec<_>>(), [("target".to_owned(), None, some("prod"))]);
    assert_eq!(diff.pins.len(), 1);
    assert_eq!(diff.pins[0].source.as_str(), "orders");
    let input = &diff.stages[0].inputs[0];
    assert_eq!((input.name.as_str(), input.after.as_deref()), ("orders", Some("version 8")));
    assert!(diff.clone().of_stage(&"other".into()).stages.is_empty());
    assert_eq!(diff.clone().of_stage(&STAGE.into()), diff);
}

/// Any run: every number of the sample is multiplied by something.
fn any_run() -> impl Strategy<Value = RunEvidence> {
    let percents = proptest::collection::vec(0_u64..1_000, 12);
    (percents, 0_u64..100_000, any::<bool>(), any::<bool>()).prop_map(|(percents, ms, joins_otherwise, no_filter)| {
        let mut evidence = run();
        let names = [
            "output_rows",
            "elapsed_compute",
            "bytes_scanned",
            "files_opened",
            "row_groups_pruned_statistics_matched",
            "row_groups_pruned_statistics_pruned",
            "time_elapsed_scanning_total",
        ];
        for (name, percent) in names.into_iter().zip(&percents) {
            evidence.scale(name, *percent);
        }
        evidence.set("spilled_bytes", percents[7] * SECOND);
        evidence.summary_mut().receipt.as_mut().unwrap().rows = percents[8];
        evidence.pins.as_mut().unwrap().pins[0].bytes = percents[9];
        evidence.record_mut().operators.truncate(usize::try_from(percents[10] % 4).unwrap());
        evidence.record_mut().tasks.truncate(usize::try_from(percents[11] % 9).unwrap());
        evidence.takes(ms);
        if joins_otherwise {
            tables_are_joined_the_other_way(&mut evidence);
        }
        if no_filter {
            evidence.replan(PlanText::Optimized, ", full_filters=[orders.day = Utf8(\"1\")]", "");
        }
        evidence
    })
}

fn mirrored(changes: &[MeasureChange]) -> Vec<MeasureChange> {
    changes.iter().map(|it| MeasureChange { before: it.after, after: it.before, ..it.clone() }).collect()
}

proptest! {
    #[test]
    fn a_run_does_not_differ_from_itself(run in any_run()) {
        let diff = diff(&run, &run);
        prop_assert!(diff.is_empty(), "{diff:#?}");
    }

    #[test]
    fn volumes_are_the_other_way_round_in_the_other_direction(before in any_run(), after in any_run()) {
        let (there, back) = (diff(&before, &after), diff(&after, &before));
        prop_assert_eq!(there.stages.len(), back.stages.len());
        for (there, back) in there.stages.iter().zip(&back.stages) {
            prop_assert_eq!(&there.volumes, &mirrored(&back.volumes));
            prop_assert_eq!(&there.timings, &mirrored(&back.timings));
            prop_assert_eq!(there.operators.len(), back.operators.len());
            for operator in &there.operators {
                let is_same = |other: &super::OperatorDiff| {
                    other.operator == operator.operator
                        && mirrored(&other.measures) == operator.measures
                        && (other.in_before, other.in_after) == (operator.in_after, operator.in_before)
                };
                prop_assert!(back.operators.iter().any(is_same), "{operator:#?}");
            }
        }
        let is_slower = |diff: &RunDiff| diff.verdicts.iter().any(|verdict| verdict.slower);
        prop_assert!(!(is_slower(&there) && is_slower(&back)), "both are slower");
    }
}

#[test]
fn measures_have_their_groups_and_units() {
    use super::{MeasureGroup, MeasureUnit};
    assert_eq!(Measure::InputFiles.group(), MeasureGroup::Volume);
    assert_eq!(Measure::FilesWritten.group(), MeasureGroup::Volume);
    assert_eq!(Measure::Duration.group(), MeasureGroup::Timing);
    assert_eq!(Measure::TaskSkew.group(), MeasureGroup::Timing);
    assert_eq!(Measure::Executors.group(), MeasureGroup::Environment);
    assert_eq!(Measure::Attempts.group(), MeasureGroup::Environment);
    assert_eq!(Measure::Compute.unit(), MeasureUnit::Nanoseconds);
    assert_eq!(Measure::Compute.text(2_500_000_000), "2.5 s");
    assert_eq!(Measure::TaskSkew.text(450), "450 %");
}
