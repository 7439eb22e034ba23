//! What the engine says against a query, as a problem of the stage's file.

use datafusion::common::Span as SqlSpan;
use datafusion::error::DataFusionError;
use windlass_base::engine_terms::without_engine_terms;
use windlass_base::error::{Coded, ErrorCode};
use windlass_engine::codec::logical::PlanWireError;
use windlass_engine::session::limits::PlanLimit;
use windlass_project::graph::Stage;
use windlass_project::spec::pipeline::SqlText;
use windlass_project::spec::{BAD_QUESTION, EncodedPlan, Problem, Span, StageQuery};

use super::complaint::{Complaint, lower_first};
use super::physical::Unplannable;

/// The code of a query that does not fit what it reads.
pub(super) const BAD_QUERY: ErrorCode = ErrorCode("WL0350");
/// The code of a query that is understood and cannot be run.
pub(super) const NOT_PLANNABLE: ErrorCode = ErrorCode("WL0378");

/// How the engine refuses statements that are not queries.
const CHANGES: [&str; 3] = ["DDL not supported", "DML not supported", "statement not supported"];

/// What is wrong with the plan of a stage, in its file.
pub(super) fn plan_problem(plan: &EncodedPlan, error: &PlanWireError) -> Problem {
    let (place, message) = match error {
        PlanWireError::Undeclared { .. } | PlanWireError::UndeclaredParam { .. } => (&plan.reads, error.to_string()),
        PlanWireError::Engine(source) => (
            &plan.span,
            format!("{error}: {}", lower_first(&without_engine_terms(&source.find_root().strip_backtrace()))),
        ),
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
    let complaint = Complaint::of(error, stage.query.sql().map(|sql| sql.text.as_ref()));
    let mut problem = Problem::new(BAD_QUERY, complaint.message);
    problem = problem.at(&complaint.span.map_or_else(|| stage.span.clone(), |span| span_in_file(stage, span)));
    for (span, note) in complaint.notes {
        problem = problem.label(&span_in_file(stage, span), note);
    }
    let help = complaint.help.unwrap_or_else(|| match stage.query {
        StageQuery::Sql(_) => "correct the stage's query".to_owned(),
        StageQuery::Plan(_) => "correct the plan, and write its file again".to_owned(),
    });
    problem.help(help)
}

/// The engine's complaint about an ad-hoc query as a problem of its text.
pub fn question_problem(sql: &SqlText, error: &DataFusionError) -> Problem {
    let complaint = Complaint::of(error, Some(&sql.text));
    if CHANGES.iter().any(|refusal| complaint.message.starts_with(refusal)) {
        return Problem::new(BAD_QUESTION, "only queries can be asked, and this statement is none")
            .help("write one SELECT; tables are written by stages");
    }
    let mut problem = Problem::new(BAD_QUESTION, format!("the query cannot be planned: {}", complaint.message));
    if let Some(span) = complaint.span {
        problem = problem.at(&span_in_text(sql, span));
    }
    for (span, note) in complaint.notes {
        problem = problem.label(&span_in_text(sql, span), note);
    }
    let help = complaint.help;
    problem.help(help.unwrap_or_else(|| "write one SELECT over tables, views and sources of the project".to_owned()))
}

/// Where a span of the query stands in the stage's file.
fn span_in_file(stage: &Stage, span: SqlSpan) -> Span {
    match &stage.query {
        StageQuery::Sql(sql) => span_in_text(sql, span),
        StageQuery::Plan(plan) => plan.span.clone(),
    }
}

/// Where a span of the query stands in its file.
fn span_in_text(sql: &SqlText, span: SqlSpan) -> Span {
    let number = |value: u64| usize::try_from(value).unwrap_or(1).max(1);
    let at = |line: u64, column: u64| sql.span_at(number(line), number(column));
    let start = at(span.start.line, span.start.column);
    let end = at(span.end.line, span.end.column);
    Span::new(&start.file, start.start, end.start.max(start.end))
}
