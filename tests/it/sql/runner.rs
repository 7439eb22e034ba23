//! Runs `.slt` files on an engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use futures::future::BoxFuture;
use sqllogictest::{AsyncDB, DBOutput, Runner, default_normalizer, default_validator, strict_column_validator};

use super::values::{SqlType, rows};

/// Runs one query and returns its schema and its rows.
pub(crate) type RunSql =
    Arc<dyn Fn(String) -> BoxFuture<'static, Result<(SchemaRef, Vec<RecordBatch>), DataFusionError>> + Send + Sync>;

/// Runs every file of `tests/slt` on `engine`, whose tables are those of [`super::fixtures`].
pub(crate) async fn run_all(engine: &'static str, run: RunSql) {
    let files = files();
    assert!(files.len() >= 12, "{files:?}");
    let mut failures = Vec::new();
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Engine { name: engine, run: Arc::clone(&run) }) });
        runner.with_column_validator(strict_column_validator);
        // Only the engine with its defaults may decide what is correct.
        if engine == "datafusion" && std::env::var_os("SLT_UPDATE").is_some() {
            runner
                .update_test_file(&file, " ", default_validator, default_normalizer, strict_column_validator)
                .await
                .unwrap();
        } else if let Err(failure) = runner.run_file_async(&file).await {
            failures.push(failure.display(false).to_string());
        }
    }
    assert!(failures.is_empty(), "{} of the files fail on {engine}:\n{}", failures.len(), failures.join("\n\n"));
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    files
}

struct Engine {
    name: &'static str,
    run: RunSql,
}

#[async_trait]
impl AsyncDB for Engine {
    type Error = DataFusionError;
    type ColumnType = SqlType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<SqlType>, DataFusionError> {
        let (schema, batches) = (self.run)(sql.to_owned()).await?;
        let types = schema.fields().iter().map(|field| SqlType::of(field.data_type())).collect();
        Ok(DBOutput::Rows { types, rows: rows(&batches)? })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        self.name
    }
}
