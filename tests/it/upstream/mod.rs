//! Bugs of DataFusion, Ballista and delta-rs that Windlass works around, each demonstrated on the library alone.
//!
//! These tests are inverted: each passes as long as the bug exists, and fails once it is fixed. `README.md` in this
//! folder lists the workarounds that can then be removed.

mod cutting;
mod delta;
mod files;
mod floats;
mod joins;
mod numbers;
mod sql;
mod subqueries;
mod times;
mod wire;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use windlass_base::config::SessionSettings;
use windlass_base::error::Failure;
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, sql_plan};

use crate::sql::values::rows;

/// The correct result of a query.
#[derive(Debug, Clone, Copy)]
enum Correct {
    /// These rows, with values separated by spaces and rows by `|`.
    Rows(&'static str),
    /// An error, with this code in Windlass.
    Error(&'static str),
}

/// DataFusion with its defaults, in one partition.
fn plain() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1))
}

/// The rows that plain DataFusion returns for a query after these statements.
async fn by_datafusion(statements: &[&str], sql: &str) -> Result<String, DataFusionError> {
    let ctx = plain();
    all(&ctx, statements).await;
    Ok(text(&ctx.sql(sql).await?.collect().await?))
}

/// The rows that Windlass returns, in one partition.
async fn by_windlass(statements: &[&str], sql: &str) -> Result<String, DataFusionError> {
    let settings = SessionSettings { target_partitions: 1, ..SessionSettings::default() };
    let ctx = Sessions::new(settings, Functions::standard()).unwrap().context().unwrap();
    all(&ctx, statements).await;
    let plan = sql_plan(&ctx.state(), sql).await?;
    Ok(text(&ctx.execute_logical_plan(plan).await?.collect().await?))
}

async fn all(ctx: &SessionContext, statements: &[&str]) {
    for statement in statements {
        ctx.sql(statement).await.unwrap().collect().await.unwrap();
    }
}

fn text(batches: &[RecordBatch]) -> String {
    rows(batches).unwrap().iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("|")
}

/// The code of the failure that the engine reports.
fn code_of(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<Failure>() {
            Some(failure) => failure.code.clone(),
            None => error.to_string(),
        },
        root => root.to_string(),
    }
}

/// Asserts that plain DataFusion is still wrong about `sql`, and that Windlass is correct.
#[track_caller]
fn assert_still_wrong(
    sql: &str,
    right: Correct,
    plain: &Result<String, DataFusionError>,
    ours: Result<String, DataFusionError>,
) {
    match (right, ours) {
        (Correct::Rows(rows), ours) => assert_eq!(ours.unwrap_or_else(|error| format!("{error}")), rows, "{sql}: ours"),
        (Correct::Error(code), Err(error)) => assert_eq!(code_of(&error), code, "{sql}: ours"),
        (Correct::Error(_), Ok(rows)) => panic!("{sql}: ours is not an error but {rows}"),
    }
    let fixed = match (right, plain) {
        (Correct::Rows(right), Ok(found)) => right == found,
        (Correct::Rows(_), Err(_)) | (Correct::Error(_), Ok(_)) => false,
        (Correct::Error(_), Err(_)) => true,
    };
    assert!(
        !fixed,
        "{sql}: DataFusion is now correct: {plain:?}; tests/it/upstream/README.md says what can be removed"
    );
}

/// Runs a query in plain DataFusion and Windlass after these statements, see [`assert_still_wrong`]. Returns the result of
/// plain DataFusion.
async fn fault(statements: &[&str], sql: &str, right: Correct) -> Result<String, DataFusionError> {
    let (plain, ours) = (by_datafusion(statements, sql).await, by_windlass(statements, sql).await);
    assert_still_wrong(sql, right, &plain, ours);
    plain
}
