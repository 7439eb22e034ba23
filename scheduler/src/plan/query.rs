//! A stage's query or plan as a logical plan, in a session that knows what it reads.

use std::collections::BTreeSet;

use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use windlass_base::ids::NodeName;
use windlass_engine::codec::logical::decode_plan;
use windlass_engine::session::limits::check_plan_size;
use windlass_engine::session::{Sessions, TableInput, refused_calls, register, sql_plan};
use windlass_evidence::artifact::Registration;
use windlass_project::graph::{PipelineGraph, Stage};
use windlass_project::spec::StageQuery;
use windlass_project::spec::source::SourceKind;
use windlass_project::spec::table::{Incremental, Materialize};

use super::contract;
use super::input::Inputs;
use super::problem::{plan_problem, problem};
use super::stage_error::StageError;
use super::stored::as_stored;

/// A session that knows everything that a query reads, and how each table was registered.
pub struct QuerySession {
    /// The session.
    pub context: SessionContext,
    /// What was registered, in order.
    pub registrations: Vec<Registration>,
}

/// What queries read: the sources and materialised stages, and the views on the way to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryInputs {
    /// Sources and materialised stages.
    pub base_tables: BTreeSet<NodeName>,
    /// Views, and caches where they are seen through.
    pub views: BTreeSet<NodeName>,
    /// Sources whose rows the project holds: they are read as its code is, not as data.
    pub rows: BTreeSet<NodeName>,
}

impl QueryInputs {
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
        let mut reads = Self::default();
        let mut waiting: Vec<&NodeName> = names.into_iter().collect();
        while let Some(name) = waiting.pop() {
            match graph.stage(name) {
                Some(view) if is_seen_through(view) => {
                    if reads.views.insert(name.clone()) {
                        waiting.extend(&view.reads);
                    }
                }
                _ => match graph.sources.get(name).map(|source| &source.kind) {
                    Some(SourceKind::Rows(_)) => drop(reads.rows.insert(name.clone())),
                    _ => drop(reads.base_tables.insert(name.clone())),
                },
            }
        }
        reads
    }

    /// A session that knows all of it, as `inputs` says.
    ///
    /// # Errors
    /// [`StageError`] if a table cannot be registered or a view's query does not fit what it reads.
    pub async fn session(
        &self,
        graph: &PipelineGraph,
        sessions: &Sessions,
        inputs: &Inputs,
        params: &ParamValues,
    ) -> Result<QuerySession, StageError> {
        let context = sessions.context()?;
        let mut registrations = Vec::new();
        for name in &self.base_tables {
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
            let plan = logical_plan(&context, view, params).await?;
            registrations.push(register(&context, sessions.stores(), &view.name, TableInput::Plan(plan)).await?);
        }
        Ok(QuerySession { context, registrations })
    }
}

/// What executing a stage reads: caches as tables of this run, unless the stage is incremental, for which they are views
/// through which changes are followed.
pub fn executed_inputs(graph: &PipelineGraph, stage: &Stage) -> QueryInputs {
    match stage.table.incremental {
        Incremental::Off => QueryInputs::of(graph, &stage.reads),
        Incremental::Auto | Incremental::Strict => QueryInputs::lasting(graph, &stage.reads),
    }
}

/// The logical plan of a stage's query, or the plan that its file holds, its parameters set, its contract kept and its
/// values as they are stored.
///
/// # Errors
/// [`StageError::Problems`] with the place in the stage's file.
pub async fn logical_plan(
    context: &SessionContext,
    stage: &Stage,
    params: &ParamValues,
) -> Result<LogicalPlan, StageError> {
    let plan = match &stage.query {
        StageQuery::Sql(sql) => {
            let state = context.state();
            StageError::check(refused_calls(&state, sql))?;
            sql_plan(&state, &sql.text).await
        }
        StageQuery::Plan(encoded) => {
            let reads: BTreeSet<&str> = stage.reads.iter().map(NodeName::as_str).collect();
            let declared: BTreeSet<&str> = stage.params.iter().map(String::as_str).collect();
            Ok(decode_plan(&encoded.bytes, context, &reads, &declared)
                .await
                .map_err(|error| plan_problem(encoded, &error))?)
        }
    };
    let plan = plan.and_then(|plan| plan.with_param_values(params.clone()));
    // Readers take a view's plan into their own, several times perhaps: it must not grow without end.
    let plan = plan.and_then(|plan| check_plan_size(&plan).map(|()| plan).map_err(DataFusionError::from));
    let plan = contract::keep(context, stage, plan.map_err(|error| problem(stage, &error))?)?;
    Ok(as_stored(context, stage, plan).map_err(|error| problem(stage, &error))?)
}
