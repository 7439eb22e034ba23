//! The SQL tests: the same `slt/*.slt` files on every engine.
//!
//! ```text
//! fixtures::register(ctx) ─ an engine's `RunSql` ─run_all→ every file of tests/slt, value by value
//! ```
//!
//! With `SLT_UPDATE=1` in the environment the files are rewritten with what the engine answers; read the difference
//! before you keep it.

mod exact;
pub(crate) mod fixtures;
pub(crate) mod runner;
pub(crate) mod values;

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::FutureExt;
use windlass_base::config::SessionSettings;
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, sql_plan};
use windlass_scheduler::execute::{Engine, JobRequest};
use windlass_storage::Stores;

use runner::{RunSql, run_all};

/// Who plans the queries.
#[derive(Clone, Copy)]
enum PlannedBy {
    DataFusion,
    Windlass,
}

/// Runs queries in the process of the test, in the session of `ctx`.
fn in_process(ctx: SessionContext, planned_by: PlannedBy) -> RunSql {
    Arc::new(move |sql| {
        let ctx = ctx.clone();
        async move {
            let query = match planned_by {
                PlannedBy::DataFusion => ctx.sql(&sql).await?,
                PlannedBy::Windlass => ctx.execute_logical_plan(sql_plan(&ctx.state(), &sql).await?).await?,
            };
            let schema = Arc::new(query.schema().as_arrow().clone());
            Ok((schema, query.collect().await?))
        }
        .boxed()
    })
}

/// Plans queries in the session of `ctx` and runs them on `engine`.
fn on_engine(ctx: SessionContext, engine: Engine) -> RunSql {
    Arc::new(move |sql| {
        let (ctx, engine) = (ctx.clone(), engine.clone());
        async move {
            let failed = |error| DataFusionError::External(Box::new(error));
            let query = ctx.execute_logical_plan(sql_plan(&ctx.state(), &sql).await?).await?;
            let schema = Arc::new(query.schema().as_arrow().clone());
            let plan = query.create_physical_plan().await?;
            let request = JobRequest { name: "test".to_owned(), plan, session: Arc::new(ctx) };
            let job = engine.submit(request).await.map_err(failed)?.wait().await.map_err(failed)?;
            Ok((schema, job.collect().await.map_err(failed)?))
        }
        .boxed()
    })
}

/// The engine with its defaults: their options and rules, and our functions and tables.
#[tokio::test]
async fn plain_datafusion_passes() {
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(1000);
    let ctx = SessionContext::new_with_config(config);
    for function in Functions::standard().scalar {
        ctx.register_udf(function.as_ref().clone());
    }
    let _folder = fixtures::register(&ctx, &Stores::default()).await;
    run_all("datafusion", in_process(ctx, PlannedBy::DataFusion)).await;
}

/// Our sessions, with the options and rules of the cluster but without one. Batches of two rows make operators meet
/// the boundaries of their input often.
#[tokio::test]
async fn a_session_of_ours_passes() {
    let settings = SessionSettings { target_partitions: 4, batch_size: 2, ..SessionSettings::default() };
    let sessions = Sessions::new(settings, Functions::standard()).unwrap();
    let ctx = sessions.context().unwrap();
    let _folder = fixtures::register(&ctx, sessions.stores()).await;
    run_all("windlass", in_process(ctx, PlannedBy::Windlass)).await;
}

/// The engine of embedded runs: every plan as a whole, in sessions that may use what works in one process only.
#[tokio::test(flavor = "multi_thread")]
async fn the_engine_of_this_process_passes() {
    let settings = SessionSettings { target_partitions: 3, batch_size: 1000, ..SessionSettings::default() };
    let sessions = Sessions::new(settings, Functions::standard()).unwrap().in_process().unwrap();
    let ctx = sessions.context().unwrap();
    let _folder = fixtures::register(&ctx, sessions.stores()).await;
    run_all("windlass", on_engine(ctx, Engine::in_process())).await;
}

/// The embedded cluster: every query planned in stages, every stage on an executor.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_cluster_passes() {
    let cluster = windlass_tests::shared_cluster().await;
    let ctx = cluster.context();
    let _folder = fixtures::register(&ctx, cluster.sessions.stores()).await;
    run_all("cluster", on_engine(ctx, cluster.engine.clone())).await;
}
