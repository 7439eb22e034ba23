//! A stage's query or plan as a logical plan, in a session that knows what it reads.

use std::collections::BTreeSet;

use datafusion::common::{ParamValues, Span as SqlSpan};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use windlass_base::error::{Coded, ErrorCode};
use windlass_base::ids::NodeName;
use windlass_engine::codec::logical::{PlanWireError, decode_plan};
use windlass_engine::session::limits::{PlanLimit, check_plan_size};
use windlass_engine::session::{Sessions, TableInput, refused_calls, register, sql_plan};
use windlass_evidence::artifact::Registration;
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::source::SourceKind;
use windlass_project::spec::table::{Incremental, Materialize};
use windlass_project::spec::{EncodedPlan, Problem, Problems, Span, StageQuery};

use super::contract;
use super::error::PlanError;
use super::input::Inputs;
use super::physical::{Unplannable, physical_query};
use super::stored::as_stored;

/// The code of a query that does not fit what it reads.
pub(super) const BAD_QUERY: ErrorCode = ErrorCode("WL0350");
/// The code of a query that is understood and cannot be run.
const NOT_PLANNABLE: ErrorCode = ErrorCode("WL0378");

/// A session that knows everything that a query reads, and how each table was registered.
pub struct QuerySession {
    /// The session.
    pub context: SessionContext,
    /// What was registered, in order.
    pub registrations: Vec<Registration>,
}

/// What queries read: the sources and materialised stages, and the views on the way to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Sources and materialised stages.
    pub leaves: BTreeSet<NodeName>,
    /// Views, and caches where they are seen through.
    pub views: BTreeSet<NodeName>,
    /// Sources whose rows the project holds: they are read as its code is, not as data.
    pub rows: BTreeSet<NodeName>,
}

impl Needs {
    /// What reading `names` takes, views seen through.
    pub fn of<'g>(graph: &'g PipelineGraph, names: impl IntoIterator<Item = &'g NodeName>) -> Self {
        Self::through(graph, names, |stage| stage.materialize == Materialize::View)
    }

    /// What reading `names` takes, with caches seen through like views: what is left has versions.
    pub fn lasting<'g>(graph: &'g PipelineGraph, names: impl IntoIterator<Item = &'g NodeName>) -> Self {
        Self::through(graph, names, |stage| stage.materialize != Materialize::Table)
    }

    fn through<'g>(
        graph: &'g PipelineGraph,
        names: impl IntoIterator<Item = &'g NodeName>,
        is_seen_through: impl Fn(&Stage) -> bool,
    ) -> Self {
        let mut needs = Self::default();
        let mut waiting: Vec<&NodeName> = names.into_iter().collect();
        while let Some(name) = waiting.pop() {
            match graph.stage(name) {
                Some(view) if is_seen_through(view) => {
                    if needs.views.insert(name.clone()) {
                        waiting.extend(&view.reads);
                    }
                }
                _ => match graph.sources.get(name).map(|source| &source.kind) {
                    Some(SourceKind::Rows(_)) => drop(needs.rows.insert(name.clone())),
                    _ => drop(needs.leaves.insert(name.clone())),
                },
            }
        }
        needs
    }

    /// A session that knows all of it, as `inputs` says.
    ///
    /// # Errors
    /// [`PlanError`] if a table cannot be registered or a view's query does not fit what it reads.
    pub async fn session(
        &self,
        graph: &PipelineGraph,
        sessions: &Sessions,
        inputs: &Inputs,
        params: &ParamValues,
    ) -> Result<QuerySession, PlanError> {
        let context = sessions.context()?;
        let mut registrations = Vec::new();
        for name in &self.leaves {
            if let Some(input) = inputs.get(name) {
                registrations.push(register(&context, sessions.stores(), name, input.table()).await?);
            }
        }
        for name in &self.rows {
            if let Some(SourceKind::Rows(source)) = graph.sources.get(name).map(|source| &source.kind) {
                let table = TableInput::Rows(source.clone());
                registrations.push(register(&context, sessions.stores(), name, table).await?);
            }
        }
        // The graph's order is topological: a view stands behind those it reads.
        for view in graph.stages.iter().filter(|stage| self.views.contains(&stage.name)) {
            let plan = logical_plan(graph, &context, view, params).await?;
            registrations.push(register(&context, sessions.stores(), &view.name, TableInput::Plan(plan)).await?);
        }
        Ok(QuerySession { context, registrations })
    }
}

/// What executing a stage reads: caches as tables of this run, unless the stage is incremental, for which they are views
/// through which changes are followed.
pub fn executed_needs(graph: &PipelineGraph, stage: &Stage) -> Needs {
    match stage.table.incremental {
        Incremental::Off => Needs::of(graph, &stage.reads),
        Incremental::Auto | Incremental::Strict => Needs::lasting(graph, &stage.reads),
    }
}

/// The logical plan of a stage's query, or the plan that its file holds, its parameters set, its contract kept and its
/// values as they are stored.
///
/// # Errors
/// [`PlanError::Sql`] with the place in the stage's file.
pub async fn logical_plan(
    graph: &PipelineGraph,
    context: &SessionContext,
    stage: &Stage,
    params: &ParamValues,
) -> Result<LogicalPlan, PlanError> {
    let refused = |problem| PlanError::from(Problems::one(problem, &graph.files));
    let plan = match &stage.query {
        StageQuery::Sql(sql) => {
            let state = context.state();
            Problems::check(refused_calls(&state, sql), &graph.files)?;
            sql_plan(&state, &sql.text).await
        }
        StageQuery::Plan(encoded) => {
            let reads: BTreeSet<&str> = stage.reads.iter().map(NodeName::as_str).collect();
            let declared: BTreeSet<&str> = stage.params.iter().map(String::as_str).collect();
            Ok(decode_plan(&encoded.bytes, context, &reads, &declared)
                .await
                .map_err(|error| refused(plan_problem(encoded, &error)))?)
        }
    };
    let plan = plan.and_then(|plan| plan.with_param_values(params.clone()));
    // Readers take a view's plan into their own, several times perhaps: it must not grow without end.
    let plan = plan.and_then(|plan| check_plan_size(&plan).map(|()| plan).map_err(DataFusionError::from));
    let plan = contract::keep(graph, context, stage, plan.map_err(|error| refused(problem(stage, &error)))?)?;
    as_stored(context, stage, plan).map_err(|error| refused(problem(stage, &error)))
}

/// What is wrong with the plan of a stage, in its file.
fn plan_problem(plan: &EncodedPlan, error: &PlanWireError) -> Problem {
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

/// The plan of a query once the engine has optimized it, by which it settles the types of its columns.
///
/// # Errors
/// [`PlanError::Sql`] if the types do not fit.
pub(super) fn optimized(
    graph: &PipelineGraph,
    context: &SessionContext,
    stage: &Stage,
    plan: &LogicalPlan,
) -> Result<LogicalPlan, PlanError> {
    context.state().optimize(plan).map_err(|error| Problems::one(problem(stage, &error), &graph.files).into())
}

/// That the query can be run at all, whatever it reads when it does.
///
/// # Errors
/// [`PlanError::Sql`] with what stands against it.
pub(super) async fn check_runs(
    graph: &PipelineGraph,
    context: &SessionContext,
    stage: &Stage,
    plan: &LogicalPlan,
) -> Result<(), PlanError> {
    match physical_query(&context.state(), plan).await {
        Ok(_) => Ok(()),
        // Storage that fails now need not fail when the stage runs, which tries again.
        Err(error) if is_of_storage(&error) => Ok(()),
        Err(error) => {
            let mut problem = problem(stage, &error);
            if problem.code == BAD_QUERY {
                problem.code = NOT_PLANNABLE;
                problem.message = format!("`{}` cannot be run: {}", stage.name, problem.message);
            }
            Err(Problems::one(problem, &graph.files).into())
        }
    }
}

fn is_of_storage(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => true,
        DataFusionError::External(_) => PlanLimit::find_in(error).is_none() && Unplannable::find_in(error).is_none(),
        _ => false,
    }
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
