//! All that differs in one stage of two runs.

use windlass_evidence::diff::{DetailChange, MeasureChange, OperatorDiff, PlanChange, StageDiff, StageVerdict};

use crate::output::{Cell, Layout, Table, Tone, UNKNOWN, counted, name, number, or_none, or_unknown, prose, word};

/// Operators that are shown of a stage: those that lost or won most time.
const SHOWN_OPERATORS: usize = 10;

/// A stage's inputs, plans, volumes, timings and operators, below a heading.
pub(super) fn of(stage: &StageDiff, layout: Layout) -> String {
    let mut text = format!("\n{}\n", layout.paint(Tone::Heading, &format!("stage {}", stage.stage)));
    let mut add = |table: Table| {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table.render(layout));
        }
    };
    let inputs = stage.inputs.iter().map(|input| {
        vec![input.name.to_string().into(), or_none(input.before.clone()).into(), or_none(input.after.clone()).into()]
    });
    add(Table::new([name("INPUT"), prose("BEFORE"), prose("AFTER")]).with(inputs).readable());
    let plans = stage.plans.iter().flat_map(|plan| plan.changes.iter().map(move |change| (plan.plan.as_str(), change)));
    let plans = plans.map(|(plan, change)| plan_row(plan, change));
    let columns = [word("PLAN"), word("CHANGE"), prose("BEFORE"), prose("AFTER")];
    add(Table::new(columns).with(plans).readable());
    let measures = stage.volumes.iter().chain(&stage.timings).chain(&stage.environment);
    add(Table::new([name("MEASURE"), number("BEFORE"), number("AFTER")]).with(measures.map(measure_row)));
    let shown = stage.operators.iter().take(SHOWN_OPERATORS);
    let columns = [prose("OPERATOR"), word("MEASURE"), number("BEFORE"), number("AFTER")];
    add(Table::new(columns).with(shown.flat_map(operator_rows)).readable());
    if stage.operators.len() > SHOWN_OPERATORS {
        let more = counted(stage.operators.len() - SHOWN_OPERATORS, "more operator");
        text.push_str(&format!("{more} in `--output json`\n"));
    }
    text
}

/// What else speaks for a cause of a stage.
pub(super) fn others(verdict: &StageVerdict, layout: Layout) -> String {
    let columns = [word("ALSO"), prose(&format!("OF {}", verdict.stage))];
    let rows = verdict.others.iter().map(|other| vec![other.cause.as_str().into(), other.evidence.clone().into()]);
    format!("\n{}", Table::new(columns).with(rows).readable().render(layout))
}

/// A change of a plan: the parts of the line that differ, or the lines.
fn plan_row(plan: &str, change: &PlanChange) -> Vec<Cell> {
    let of_parts = |value: fn(&DetailChange) -> &Option<String>| {
        let parts = change.parts.iter().filter_map(|part| {
            let value = value(part).as_deref()?;
            Some(if part.name.is_empty() { value.to_owned() } else { format!("{}={value}", part.name) })
        });
        format!("{}: {}", change.operator, parts.collect::<Vec<_>>().join(", "))
    };
    let (before, after) = match change.parts.is_empty() {
        true => (or_none(change.before.clone()), or_none(change.after.clone())),
        false => (of_parts(|part| &part.before), of_parts(|part| &part.after)),
    };
    let kind = match &change.section {
        Some(section) => format!("{} ({section})", change.kind.as_str()),
        None => change.kind.as_str().to_owned(),
    };
    vec![plan.into(), kind.into(), before.into(), after.into()]
}

fn measure_row(change: &MeasureChange) -> Vec<Cell> {
    let value = |value: Option<u64>| or_unknown(value, |value| change.measure.text(value));
    vec![change.measure.as_str().into(), value(change.before).into(), value(change.after).into()]
}

/// An operator's line, with what it measured next to it and below.
fn operator_rows(operator: &OperatorDiff) -> Vec<Vec<Cell>> {
    let presence = match (operator.in_before, operator.in_after) {
        (true, false) => " (gone)",
        (false, true) => " (new)",
        _ => "",
    };
    let head = format!("{}{presence}", operator.detail);
    let mut rows: Vec<Vec<Cell>> = operator
        .measures
        .iter()
        .map(|change| {
            let mut row = measure_row(change);
            row.insert(0, Cell::default());
            row
        })
        .collect();
    match rows.first_mut().and_then(|row| row.first_mut()) {
        Some(first) => *first = head.into(),
        None => rows.push(vec![head.into(), UNKNOWN.into()]),
    }
    rows
}
