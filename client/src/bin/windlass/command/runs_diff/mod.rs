//! `windlass runs diff`: what differs between two runs, and above all why a stage got slower.

mod details;

use windlass_base::ids::NodeName;
use windlass_client::Runs;
use windlass_evidence::artifact::PinRecord;
use windlass_evidence::diff::{DiffedRun, PlanDiff, RunDiff, StageDiff, StageVerdict, ValueChange};

use crate::args::{Global, Output, RunsDiffArgs};
use crate::failure::CommandError;
use crate::output::{
    self, Cell, Layout, NONE, Table, Tone, bytes, counted, duration, fields, name, number, or_none, prose, time, word,
};
use crate::summary::tone_of_run;

/// How many characters of a hash are shown.
const SHOWN_HASH: usize = 12;

/// Prints the stages that got slower or bigger, with the likeliest cause, then what else differs.
pub(super) async fn run(
    global: &Global,
    runs: &Runs,
    args: &RunsDiffArgs,
    target: Option<&str>,
) -> Result<(), CommandError> {
    let before = runs.find_for(&args.before, target).await?;
    let after = runs.find_for(&args.after, target).await?;
    let stage = args.stage.as_deref().map(NodeName::new);
    let diff = runs.diff(&before, &after, stage.as_ref()).await?;
    if global.output == Output::Json {
        return Ok(output::json(&diff)?);
    }
    let with_details = global.verbose > 0 || stage.is_some();
    Ok(output::text(&text(&diff, with_details, Layout::stdout()))?)
}

fn text(diff: &RunDiff, with_details: bool, layout: Layout) -> String {
    let mut text = fields([("before", described(&diff.before)), ("after", described(&diff.after))], layout);
    text.push('\n');
    if diff.is_empty() {
        text.push_str("the runs do not differ\n");
        return text;
    }
    match diff.verdicts.is_empty() {
        true => text.push_str("no stage got slower or bigger\n"),
        false => text.push_str(&verdicts(&diff.verdicts).render(layout)),
    }
    let differing = differing(diff);
    if !differing.is_empty() {
        text.push('\n');
        text.push_str(&differing.render(layout));
    }
    if with_details {
        diff.stages.iter().for_each(|stage| text.push_str(&details::of(stage, layout)));
        for verdict in diff.verdicts.iter().filter(|verdict| !verdict.others.is_empty()) {
            text.push_str(&details::others(verdict, layout));
        }
    } else if !diff.stages.is_empty() {
        let hint = "plans, volumes and timings: with -v, or of one stage with `--stage STAGE`";
        text.push_str(&format!("\n{}\n", layout.paint(Tone::Faint, hint)));
    }
    text
}

/// A run in a line.
fn described(run: &DiffedRun) -> Cell {
    let took = run.duration_ms.map(|ms| format!(", took {}", duration(ms))).unwrap_or_default();
    let text = format!("{}, {}, {}{took}", run.run_id, run.status.as_str(), time(run.started_at));
    Cell::toned(text, tone_of_run(run.status))
}

fn verdicts(verdicts: &[StageVerdict]) -> Table {
    let columns = [name("STAGE"), number("BEFORE"), number("AFTER"), word("CAUSE"), prose("WHY")];
    let row = |verdict: &StageVerdict| {
        let tone = if verdict.slower { Tone::Bad } else { Tone::Notable };
        vec![
            verdict.stage.to_string().into(),
            or_none(verdict.before_ms.map(duration)).into(),
            Cell::toned(duration(verdict.after_ms), tone),
            verdict.cause.map_or("unknown", |cause| cause.as_str()).into(),
            verdict.evidence.clone().into(),
        ]
    };
    Table::new(columns).with(verdicts.iter().map(row)).readable()
}

/// What differs besides times and volumes, a line each.
fn differing(diff: &RunDiff) -> Table {
    let mut table = Table::new([prose("DIFFERS"), prose("BEFORE"), prose("AFTER")]).readable();
    let mut add = |what: String, before: Option<String>, after: Option<String>| {
        table.push(vec![what.into(), or_none(before).into(), or_none(after).into()]);
    };
    let value = |change: &ValueChange| (change.before.clone(), change.after.clone());
    for change in &diff.params {
        let (before, after) = value(change);
        add(format!("parameter {}", change.name), before, after);
    }
    for change in &diff.settings {
        let (before, after) = value(change);
        add(change.name.clone(), before, after);
    }
    for pin in &diff.pins {
        add(format!("source {}", pin.source), pin.before.as_ref().map(pinned), pin.after.as_ref().map(pinned));
    }
    for stage in &diff.stages {
        for change in &stage.how {
            let (before, after) = value(change);
            add(format!("{} of {}", change.name, stage.stage), before, after);
        }
        if let Some(code) = &stage.code {
            let what = format!("code of {}: {}", stage.stage, code.parts.join(", "));
            add(what, Some(short_hash(&code.before)), Some(short_hash(&code.after)));
        }
        if !stage.plans.is_empty() {
            add(format!("plan of {}", stage.stage), Some(NONE.to_owned()), Some(plan_changes(stage)));
        }
    }
    table
}

/// What differs in a stage's plans, in a few words.
fn plan_changes(stage: &StageDiff) -> String {
    let plan = |plan: &PlanDiff| {
        let mut kinds: Vec<&str> = plan.changes.iter().map(|change| change.kind.as_str()).collect();
        kinds.dedup();
        format!("{}: {} ({})", plan.plan.as_str(), counted(plan.changes.len(), "change"), kinds.join(", "))
    };
    stage.plans.iter().map(plan).collect::<Vec<_>>().join("; ")
}

/// Which state of a source was read.
fn pinned(pin: &PinRecord) -> String {
    let state = match (pin.version, &pin.content_identity) {
        (Some(version), _) => format!("version {version}, "),
        (None, Some(identity)) => format!("content {}, ", short_hash(identity)),
        (None, None) => String::new(),
    };
    format!("{state}{} of {}", counted(pin.files, "file"), bytes(pin.bytes))
}

fn short_hash(hash: &str) -> String {
    hash.get(..SHOWN_HASH).unwrap_or(hash).to_owned()
}
