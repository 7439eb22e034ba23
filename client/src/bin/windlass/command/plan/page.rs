//! A whole plan on one page: sources, stages and changes, one line each.

use windlass_evidence::artifact::{PinRecord, PlanDecision, PlannedRun, SourceChange, StageDecision};
use windlass_project::graph::PipelineGraph;

use super::why::why;
use crate::output::{
    Cell, Layout, NONE, Table, Tone, UNKNOWN, bytes, count, counted, name, number, or_unknown, prose, word,
};

/// The kinds of sources whose files are always counted.
const COUNTED_KINDS: [&str; 3] = ["delta", "listing", "text_files"];

/// The plan for display: pins of sources, decisions with reasons, and changes.
pub(super) fn page(plan: &PlannedRun, graph: &PipelineGraph, is_verbose: bool, layout: Layout) -> String {
    let mut text = format!("{}: {}\n", plan.pipeline, headline(plan));
    // Tables of the pipeline itself are no sources, although they are pinned as well.
    let sources: Vec<&PinRecord> = plan.pins.iter().filter(|pin| graph.stage(&pin.source).is_none()).collect();
    if !sources.is_empty() {
        let mut columns = vec![name("SOURCE"), word("KIND"), word("PINNED"), number("FILES"), number("SIZE")];
        columns.extend(is_verbose.then(|| prose("LOCATION")));
        let table = Table::new(columns).with(sources.into_iter().map(pinned));
        text.push_str(&format!("\n{}", table.render(layout)));
    }
    let columns =
        [name("STAGE"), word("DECISION"), number("INPUT ROWS"), number("INPUT SIZE").optional(), prose("WHY")];
    let table = Table::new(columns).with(plan.stages.iter().map(stage)).readable();
    text.push_str(&format!("\n{}", table.render(layout)));
    let changes = || plan.stages.iter().flat_map(|stage| stage.changes.iter().map(move |change| (stage, change)));
    if changes().next().is_some() {
        let columns = [name("STAGE"), name("CHANGES OF"), word("VERSIONS"), number("FILES"), number("ROWS")];
        let columns: Vec<_> = columns.into_iter().chain([number("SIZE")]).collect();
        let rows = changes().map(|(stage, change)| {
            let mut row = vec![Cell::from(stage.stage.to_string())];
            row.extend(changed(change));
            row
        });
        text.push_str(&format!("\n{}", Table::new(columns).with(rows).render(layout)));
    }
    text
}

/// How many stages there are, and how many of each decision.
fn headline(plan: &PlannedRun) -> String {
    use PlanDecision as D;
    let mut text = counted(plan.stages.len(), "stage");
    for decision in [D::Full, D::Incremental, D::Reuse, D::Cache, D::View, D::Refused] {
        let number = plan.stages.iter().filter(|stage| stage.decision == decision).count();
        if number > 0 {
            text.push_str(&format!(", {} {}", count(number as u64), decision.as_str()));
        }
    }
    text
}

fn pinned(pin: &PinRecord) -> Vec<Cell> {
    let at = pin.version.map_or_else(|| "as listed".to_owned(), |version| format!("version {version}"));
    let is_known = pin.files > 0 || COUNTED_KINDS.contains(&pin.kind.as_str());
    vec![
        pin.source.to_string().into(),
        pin.kind.clone().into(),
        at.into(),
        or_unknown(is_known.then_some(pin.files), count).into(),
        or_unknown(is_known.then_some(pin.bytes), bytes).into(),
        pin.location.clone().into(),
    ]
}

fn stage(stage: &StageDecision) -> Vec<Cell> {
    let (rows, size) = input(stage);
    vec![
        stage.stage.to_string().into(),
        Cell::toned(stage.decision.as_str(), tone_of(stage.decision)),
        rows.into(),
        size.into(),
        why(stage).into(),
    ]
}

/// How many rows and bytes the stage has to read, as far as that is known before the run.
pub(super) fn input(stage: &StageDecision) -> (String, String) {
    match stage.decision {
        PlanDecision::Full | PlanDecision::Incremental => {}
        // What a cache reads is not estimated; the others read nothing.
        PlanDecision::Cache => return (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
        PlanDecision::Reuse | PlanDecision::View | PlanDecision::Refused => return (NONE.to_owned(), NONE.to_owned()),
    }
    let is_nothing = stage.estimated_bytes == 0 && stage.estimated_rows == Some(0) && stage.depends_on.is_empty();
    if is_nothing {
        return (NONE.to_owned(), NONE.to_owned());
    }
    // How much the stages before it will write is not known.
    let is_known = stage.depends_on.is_empty();
    let rows = or_unknown(stage.estimated_rows.filter(|_| is_known), count);
    let size = or_unknown(Some(stage.estimated_bytes).filter(|bytes| is_known && *bytes > 0), bytes);
    (rows, size)
}

/// The colour of a decision.
pub(super) fn tone_of(decision: PlanDecision) -> Tone {
    match decision {
        PlanDecision::Full | PlanDecision::Cache => Tone::Notable,
        PlanDecision::Incremental => Tone::Good,
        PlanDecision::Reuse | PlanDecision::View => Tone::Faint,
        PlanDecision::Refused => Tone::Bad,
    }
}

/// The cells of a change: its source, versions, files, rows and bytes.
pub(super) fn changed(change: &SourceChange) -> Vec<Cell> {
    let version = |version: Option<_>| or_unknown(version, |version| format!("{version}"));
    let versions = match (change.from, change.to) {
        (None, None) => NONE.to_owned(),
        (from, to) => format!("{} → {}", version(from), version(to)),
    };
    // There are no changes without files: they are not known yet.
    let is_known = change.files > 0;
    vec![
        change.source.to_string().into(),
        versions.into(),
        or_unknown(is_known.then_some(change.files), count).into(),
        or_unknown(change.rows.filter(|_| is_known), count).into(),
        or_unknown(is_known.then_some(change.bytes), bytes).into(),
    ]
}
