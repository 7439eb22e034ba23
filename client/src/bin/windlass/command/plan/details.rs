//! All that a plan says of one stage.

use windlass_evidence::artifact::{PlannedRun, PlannedTable, StageDecision};

use super::page::{changed, input, tone_of};
use crate::output::{Cell, Layout, NONE, Table, UNKNOWN, bytes, counted, fields, name, number, prose, word};

/// A stage's decision with its whole reason, the changes that it applies, and its table.
pub(super) fn details(stage: &StageDecision, plan: &PlannedRun, layout: Layout) -> String {
    let table = plan.tables.iter().find(|table| table.stage == stage.stage);
    let mut text = fields(facts(stage, table), layout);
    if !stage.changes.is_empty() {
        let columns = [name("CHANGES OF"), word("VERSIONS"), number("FILES"), number("ROWS"), number("SIZE")];
        let table = Table::new(columns).with(stage.changes.iter().map(changed));
        text.push_str(&format!("\n{}", table.render(layout)));
    }
    if let Some(table) = table {
        let null = |nullable: bool| if nullable { "" } else { "not null" };
        let rows = table.columns.iter().map(|column| {
            vec![column.name.clone().into(), column.data_type.clone().into(), null(column.nullable).into()]
        });
        let columns = Table::new([name("COLUMN"), prose("TYPE"), word("NULL")]).with(rows);
        text.push_str(&format!("\n{}", columns.render(layout)));
    }
    text
}

fn facts(stage: &StageDecision, table: Option<&PlannedTable>) -> Vec<(&'static str, Cell)> {
    let mut facts: Vec<(&'static str, Cell)> = vec![
        ("stage", stage.stage.to_string().into()),
        ("decision", Cell::toned(stage.decision.as_str(), tone_of(stage.decision))),
    ];
    let mut add = |heading, text: Option<String>| facts.extend(text.map(|text| (heading, text.into())));
    add("strategy", stage.strategy.map(|strategy| strategy.as_str().to_owned()));
    add("why", Some(stage.reason.clone()));
    let missed = stage.reuse.as_ref().map(|reuse| reuse.missed.join("\n"));
    add("not reused", missed.filter(|missed| !missed.is_empty()));
    add("to export", Some(stage.exports.join(", ")).filter(|exports| !exports.is_empty()));
    let names = stage.depends_on.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let waits = !names.is_empty();
    add("waits for", Some(names).filter(|_| waits));
    add("reads", reads(stage));
    if let Some(table) = table {
        add("writes", Some(format!("{} ({})", table.location, table.mode.as_str())));
        add("partitions", Some(table.partition_by.join(", ")).filter(|columns| !columns.is_empty()));
    }
    let tags: Vec<String> = stage.tags.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
    add("tags", Some(tags.join(" ")).filter(|tags| !tags.is_empty()));
    add("code", Some(stage.code_version.clone()).filter(|code| !code.is_empty()));
    facts
}

/// What the stage has to read, if it reads anything.
fn reads(stage: &StageDecision) -> Option<String> {
    let (rows, size) = input(stage);
    let known = counted(stage.estimated_rows.unwrap_or_default(), "row");
    match (rows.as_str(), size.as_str()) {
        (NONE, _) => None,
        (UNKNOWN, UNKNOWN) if stage.depends_on.is_empty() => Some("an unknown amount".to_owned()),
        (UNKNOWN, UNKNOWN) if stage.estimated_bytes > 0 => {
            Some(format!("{} and what the stages before it write", bytes(stage.estimated_bytes)))
        }
        (UNKNOWN, UNKNOWN) => Some("what the stages before it write".to_owned()),
        (UNKNOWN, size) => Some(format!("{size}, an unknown number of rows")),
        (_, UNKNOWN) => Some(known),
        (_, size) => Some(format!("{known}, {size}")),
    }
}
