//! Sessions that plan and run in this process.

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::delta_datafusion::planner::DeltaPlanner;
use windlass_engine::session::Sessions;

use super::PlainError;

/// The engine's settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PlainEngine {
    /// DataFusion's defaults, including dynamic filters and view types: the baseline for times.
    #[default]
    Stock,
    /// The settings of an embedded Windlass: shows the cost of all but the settings.
    Windlass,
}

/// A session that runs in this process, with the functions, object stores and limits of `sessions`.
pub(super) fn context(sessions: &Sessions, engine: PlainEngine) -> Result<SessionContext, PlainError> {
    let builder = match engine {
        PlainEngine::Windlass => SessionStateBuilder::new_from_existing(sessions.context()?.state()),
        PlainEngine::Stock => SessionStateBuilder::new()
            .with_default_features()
            .with_config(stock_config(sessions))
            .with_runtime_env(Arc::clone(sessions.runtime())),
    };
    // deltalake's write operation plans nodes of its own.
    let ctx = SessionContext::new_with_state(builder.with_query_planner(DeltaPlanner::new()).build());
    let functions = sessions.functions();
    functions.scalar.iter().for_each(|function| ctx.register_udf(function.as_ref().clone()));
    functions.aggregate.iter().for_each(|function| ctx.register_udaf(function.as_ref().clone()));
    functions.window.iter().for_each(|function| ctx.register_udwf(function.as_ref().clone()));
    Ok(ctx)
}

fn stock_config(sessions: &Sessions) -> SessionConfig {
    let settings = sessions.settings();
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.target_partitions)
        .with_batch_size(settings.batch_size)
        .with_information_schema(true);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = settings.normalize_identifiers;
    // As in deltalake's own sessions: IN lists built from join keys panic on the dictionaries of partition columns.
    options.optimizer.hash_join_inlist_pushdown_max_size = 0;
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
    config
}
