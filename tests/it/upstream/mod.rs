//! Faults of DataFusion, Ballista and delta-rs that Windlass works around, each shown on the library alone.
//!
//! These tests are upside down: each passes as long as the library is wrong, and fails once it is mended. What can go
//! then is in `README.md` beside this file.

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

/// What a query has to give.
#[derive(Debug, Clone, Copy)]
enum Right {
    /// These rows, values apart by blanks and rows by `|`.
    Rows(&'static str),
    /// An error, with this code where Windlass gives it.
    Error(&'static str),
}

/// DataFusion as it comes, in one partition.
fn plain() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1))
}

/// The rows that plain DataFusion gives for a query after these statements.
async fn by_datafusion(statements: &[&str], sql: &str) -> Result<String, DataFusionError> {
    let ctx = plain();
    all(&ctx, statements).await;
    Ok(text(&ctx.sql(sql).await?.collect().await?))
}

/// The rows that Windlass gives, in one partition.
async fn by_us(statements: &[&str], sql: &str) -> Result<String, DataFusionError> {
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

/// Holds as long as plain DataFusion is wrong about `sql`, and Windlass is right.
#[track_caller]
fn assert_still_wrong(
    sql: &str,
    right: Right,
    plain: &Result<String, DataFusionError>,
    ours: Result<String, DataFusionError>,
) {
    match (right, ours) {
        (Right::Rows(rows), ours) => assert_eq!(ours.unwrap_or_else(|error| format!("{error}")), rows, "{sql}: ours"),
        (Right::Error(code), Err(error)) => assert_eq!(code_of(&error), code, "{sql}: ours"),
        (Right::Error(_), Ok(rows)) => panic!("{sql}: ours is no error but {rows}"),
    }
    let mended = match (right, plain) {
        (Right::Rows(right), Ok(found)) => right == found,
        (Right::Rows(_), Err(_)) | (Right::Error(_), Ok(_)) => false,
        (Right::Error(_), Err(_)) => true,
    };
    assert!(
        !mended,
        "{sql}: DataFusion is right about it now: {plain:?}; tests/it/upstream/README.md says what can go"
    );
}

/// Asks plain DataFusion and Windlass after these statements, see [`assert_still_wrong`]. What plain DataFusion says is given
/// back.
async fn fault(statements: &[&str], sql: &str, right: Right) -> Result<String, DataFusionError> {
    let (plain, ours) = (by_datafusion(statements, sql).await, by_us(statements, sql).await);
    assert_still_wrong(sql, right, &plain, ours);
    plain
}
