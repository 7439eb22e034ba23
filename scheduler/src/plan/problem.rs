//! What the engine says against a query, as a problem of the stage's file.

use datafusion::common::Span as SqlSpan;
use datafusion::error::DataFusionError;
use windlass_base::error::{Coded, ErrorCode};
use windlass_engine::codec::logical::PlanWireError;
use windlass_engine::session::limits::PlanLimit;
use windlass_project::graph::Stage;
use windlass_project::spec::{EncodedPlan, Problem, Span, StageQuery};

use super::physical::Unplannable;

/// The code of a query that does not fit what it reads.
pub(super) const BAD_QUERY: ErrorCode = ErrorCode("WL0350");
/// The code of a query that is understood and cannot be run.
pub(super) const NOT_PLANNABLE: ErrorCode = ErrorCode("WL0378");

/// What is wrong with the plan of a stage, in its file.
pub(super) fn plan_problem(plan: &EncodedPlan, error: &PlanWireError) -> Problem {
    let (place, message) = match error {
        PlanWireError::Undeclared { .. } | PlanWireError::UndeclaredParam { .. } => (&plan.reads, error.to_string()),
        PlanWireError::Engine(source) => {
            (&plan.span, format!("{error}: {}", lower_first(&source.find_root().strip_backtrace())))
        }
        _ => (&plan.span, error.to_string()),
    };
    let mut problem = Problem::new(error.code(), message).at(place);
    problem.help = error.help();
    problem
}

/// The engine's complaint as a problem of the stage's file.
pub(super) fn problem(stage: &Stage, error: &DataFusionError) -> Problem {
    if let Some(limit) = PlanLimit::find_in(error) {
        let mut problem = Problem::new(limit.code(), format!("`{}` is too much to plan: {limit}", stage.name));
        problem.help = limit.help();
        return problem.at(&stage.span);
    }
    if let Some(found) = Unplannable::find_in(error) {
        let span = found.span.map_or_else(|| stage.span.clone(), |span| span_in_file(stage, span));
        let message = format!("`{}` cannot be run: {found}", stage.name);
        return Problem::new(NOT_PLANNABLE, message).at(&span).help(found.help);
    }
    let help = match stage.query {
        StageQuery::Sql(_) => "correct the stage's query",
        StageQuery::Plan(_) => "correct the plan, and write its file again",
    };
    let Some(diagnostic) = error.diagnostic() else {
        let message = lower_first(error.find_root().strip_backtrace().as_str());
        return Problem::new(BAD_QUERY, message).at(&stage.span).help(help);
    };
    let mut problem = Problem::new(BAD_QUERY, lower_first(&diagnostic.message));
    problem = problem.at(&diagnostic.span.map_or_else(|| stage.span.clone(), |span| span_in_file(stage, span)));
    for note in &diagnostic.notes {
        if let Some(span) = note.span {
            problem = problem.label(&span_in_file(stage, span), lower_first(&note.message));
        }
    }
    let helps: Vec<&str> = diagnostic
        .helps
        .iter()
        .map(|help| help.message.as_str())
        .chain(diagnostic.notes.iter().filter(|note| note.span.is_none()).map(|note| note.message.as_str()))
        .collect();
    match helps.is_empty() {
        true => problem.help(help),
        false => problem.help(lower_first(&helps.join("; "))),
    }
}

/// Where a span of the query stands in the stage's file.
fn span_in_file(stage: &Stage, span: SqlSpan) -> Span {
    let at = |line: u64, column: u64| {
        let number = |value: u64| usize::try_from(value).unwrap_or(1).max(1);
        match &stage.query {
            StageQuery::Sql(sql) => sql.span_at(number(line), number(column)),
            StageQuery::Plan(plan) => plan.span.clone(),
        }
    };
    let start = at(span.start.line, span.start.column);
    let end = at(span.end.line, span.end.column);
    Span::new(&start.file, start.start, end.start.max(start.end))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.trim().trim_end_matches('.').chars();
    match chars.next() {
        // An abbreviation such as SQL stays as it is.
        Some(first) if !chars.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        Some(first) => std::iter::once(first).chain(chars).collect(),
        None => String::new(),
    }
}
