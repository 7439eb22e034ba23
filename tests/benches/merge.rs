//! `windlass-bench merge`: deltalake's own merge as a process.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use datafusion::prelude::ParquetReadOptions;

use super::Outcome;
use super::incremental::block_on;
use super::lake::{open, session};

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The table's folder.
    #[arg(long)]
    target: PathBuf,
    /// A folder of Parquet files with the changed rows.
    #[arg(long)]
    changes: PathBuf,
    /// The columns that identify a row.
    #[arg(long, value_delimiter = ',')]
    key: Vec<String>,
}

pub(crate) fn run(args: &MergeArgs) -> Outcome {
    block_on(merge(args))
}

async fn merge(args: &MergeArgs) -> Outcome {
    let ctx = session();
    let folder = args.changes.to_str().ok_or("the folder's name is not UTF-8")?;
    let changes = ctx.read_parquet(folder, ParquetReadOptions::default()).await?;
    let columns: Vec<String> = changes.schema().fields().iter().map(|field| field.name().clone()).collect();
    let on: Vec<String> = args.key.iter().map(|key| format!("target.{key} = source.{key}")).collect();
    let from_source = |column: &str| format!("source.{column}");
    let merge = open(&args.target)
        .await?
        .merge(changes, on.join(" AND "))
        .with_source_alias("source")
        .with_target_alias("target")
        .with_session_state(Arc::new(ctx.state()))
        .when_matched_update(|update| {
            columns.iter().fold(update, |update, column| update.update(column.as_str(), from_source(column)))
        })?
        .when_not_matched_insert(|insert| {
            columns.iter().fold(insert, |insert, column| insert.set(column.as_str(), from_source(column)))
        })?;
    let (_, metrics) = merge.await?;
    println!("{}", metrics.num_target_rows_updated);
    Ok(())
}
