//! Delta tables for the benchmarks: created from Parquet files, copied, and compared.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::datasource::TableProvider;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use deltalake::delta_datafusion::planner::DeltaPlanner;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::schema::cast::normalize_for_delta;
use deltalake::{DeltaTable, ensure_table_uri};

use super::Outcome;

/// A session that deltalake's operations can use.
pub(crate) fn session() -> SessionContext {
    let mut config = SessionConfig::new();
    // As in deltalake's own sessions: IN lists built from join keys panic on the dictionaries of partition columns.
    config.options_mut().optimizer.hash_join_inlist_pushdown_max_size = 0;
    config.options_mut().optimizer.hash_join_inlist_pushdown_max_distinct_values = 0;
    let state = SessionStateBuilder::new().with_default_features().with_config(config);
    SessionContext::new_with_state(state.with_query_planner(DeltaPlanner::new()).build())
}

/// The table in `folder`.
pub(crate) async fn open(folder: &Path) -> Outcome<DeltaTable> {
    let folder = folder.to_str().ok_or("the folder's name is not UTF-8")?;
    Ok(DeltaTable::try_from_url(ensure_table_uri(folder)?).await?)
}

/// A table as a session sees it.
pub(crate) async fn provider(ctx: &SessionContext, table: &DeltaTable) -> Outcome<Arc<dyn TableProvider>> {
    Ok(table.table_provider().with_session(Arc::new(ctx.state())).await?)
}

/// Makes the Delta table `to`, with its change feed on, of the Parquet files in `from`. One that exists stays.
pub(crate) async fn make(from: &Path, to: &Path) -> Outcome {
    if to.join("_delta_log").exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    let ctx = session();
    let folder = from.to_str().ok_or("the folder's name is not UTF-8")?;
    let frame = ctx.read_parquet(folder, ParquetReadOptions::default()).await?;
    let schema: StructType = normalize_for_delta(frame.schema().inner()).try_into_kernel()?;
    let table = open(to)
        .await?
        .create()
        .with_columns(schema.fields().cloned())
        .with_configuration([("delta.enableChangeDataFeed", Some("true"))])
        .await?;
    let plan = frame.into_unoptimized_plan();
    table.write(Vec::new()).with_input_plan(plan).with_session_state(Arc::new(ctx.state())).await?;
    Ok(())
}

/// Copies a folder by linking its files, which preserves how changed files are detected. A file of a table is never
/// changed once it is there; the state store is, and so is copied.
pub(crate) fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&source, &target)?;
        } else if source.extension().is_some_and(|extension| extension == "redb") {
            fs::copy(&source, &target)?;
        } else {
            fs::hard_link(&source, &target)?;
        }
    }
    Ok(())
}

/// A copy of a folder of source code whose files are its own.
pub(crate) fn copy_files(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => copy_files(&entry.path(), &target)?,
            kind if kind.is_file() => drop(fs::copy(entry.path(), target)?),
            _ => {}
        }
    }
    Ok(())
}

/// Puts a copy of `from` where `to` is or was.
pub(crate) fn put(from: &Path, to: &Path) -> Outcome {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    copy(from, to)
}

/// A summary of all rows of a table, independent of their order: for each column the number of values, and their sum if
/// they are exact numbers, else the smallest and the largest.
pub(crate) async fn checksum(folder: &Path) -> Outcome<String> {
    let ctx = session();
    let table = open(folder).await?;
    ctx.register_table("t", provider(&ctx, &table).await?)?;
    let schema = ctx.table("t").await?.schema().as_arrow().clone();
    let mut items = vec!["count(*)".to_owned()];
    for field in schema.fields() {
        let name = format!("\"{}\"", field.name());
        items.push(format!("count({name})"));
        let kind = field.data_type();
        if kind.is_integer() || matches!(kind, DataType::Decimal128(..)) {
            items.push(format!("sum(CAST({name} AS DECIMAL(38, 4)))"));
        } else if !kind.is_nested() {
            items.push(format!("min({name})"));
            items.push(format!("max({name})"));
        }
    }
    let rows = ctx.sql(&format!("SELECT {} FROM t", items.join(", "))).await?.collect().await?;
    let mut texts = Vec::new();
    for batch in rows.iter().filter(|batch| batch.num_rows() > 0) {
        for column in batch.columns() {
            texts.push(array_value_to_string(column, 0)?);
        }
    }
    Ok(texts.join(" "))
}

/// The tables below two homes that differ.
pub(crate) async fn different_tables(one: &Path, other: &Path) -> Outcome<Vec<String>> {
    let mut different = Vec::new();
    for entry in fs::read_dir(one.join("tables"))? {
        let name = entry?.file_name();
        let (left, right) = (one.join("tables").join(&name), other.join("tables").join(&name));
        if checksum(&left).await? != checksum(&right).await? {
            different.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(different)
}
