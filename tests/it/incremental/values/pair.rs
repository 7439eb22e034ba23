//! The same project twice: one updated incrementally, the other recomputed in every run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_base::config::SessionSettings;
use windlass_client::{Project, RunOptions, Windlass};
use windlass_delta::values::normalised;
use windlass_evidence::artifact::{Refresh, RunRecord, RunStatus};

use crate::delta_read::tables::append;
use crate::incremental::tables::{Rows, load, open};

/// A stage: its name, its `io` and further lines of its header, its query.
pub(super) type Stage = (&'static str, &'static str, &'static str);

pub(super) struct Pair {
    /// The folder of the table `odd`, which all stages read.
    pub(super) source: PathBuf,
    updated: Side,
    rebuilt: Side,
    stages: &'static [Stage],
}

struct Side {
    folder: PathBuf,
    windlass: Windlass,
}

impl Side {
    /// The project with `stages` below `folder`, over the table at `source`, with what is in `more` added to each stage.
    async fn new(folder: PathBuf, source: &Path, stages: &[Stage], more: impl Fn(usize) -> &'static str) -> Self {
        fs::create_dir_all(folder.join("stages")).unwrap();
        let source = format!("odd: {{ kind: delta, location: {} }}", source.display());
        let session = "session: { target_partitions: 2, batch_size: 4 }";
        let manifest = format!("name: pair\nsources:\n  {source}\ndefaults:\n  incremental: strict\n{session}\n");
        fs::write(folder.join("windlass.yaml"), manifest).unwrap();
        for (index, (name, io, sql)) in stages.iter().enumerate() {
            let (io, rest) = io.split_once('\n').unwrap_or((io, ""));
            let io = format!("io: {{ location: tables/{name}, {io}{} }}\n{rest}", more(index));
            let text = format!("/* windlass\n{io}\n*/\n{sql}\n");
            fs::write(folder.join(format!("stages/{name}.sql")), text).unwrap();
        }
        let project = Project::open(&folder, None, &[]).unwrap();
        let session = SessionSettings { partition_bytes: 1, ..project.graph.session.clone() };
        let config = windlass_tests::embedded(project.home(None).unwrap(), session);
        Self { windlass: Windlass::embedded(config).await.unwrap(), folder }
    }

    async fn run(&self, refresh: &[&str]) -> RunRecord {
        let project = Project::open(&self.folder, None, &[]).unwrap();
        let full = refresh.iter().map(ToString::to_string).collect();
        let options = RunOptions { refresh: Refresh { full, ..Refresh::default() }, ..RunOptions::default() };
        self.windlass.run(&project, &options).await.unwrap().wait().await.unwrap()
    }

    async fn rows(&self, stage: &str) -> Rows {
        load(&open(&self.folder.join("tables").join(stage)).await).await
    }
}

impl Pair {
    /// Pipelines of `stages` over a table `odd` with a change feed and the rows `rows`.
    pub(super) async fn new(dir: &Path, rows: RecordBatch, partition_by: &[&str], stages: &'static [Stage]) -> Self {
        let source = dir.join("odd");
        append(&source, rows, partition_by).await;
        let feed = [("delta.enableChangeDataFeed".to_owned(), "true".to_owned())];
        open(&source).await.set_tbl_properties().with_properties(feed.into()).await.unwrap();
        // Both ways in which rows are replaced.
        let merge = |index: usize| [", merge: rewrite", ", merge: deletion_vectors"][index % 2];
        let updated = Side::new(dir.join("updated"), &source, stages, merge).await;
        let rebuilt = Side::new(dir.join("rebuilt"), &source, stages, merge).await;
        Self { source, updated, rebuilt, stages }
    }

    /// Brings the tables up to date, which must succeed and have the same result as a rebuild from the source.
    pub(super) async fn run(&self) -> RunRecord {
        let (record, rebuilt) = tokio::join!(self.updated.run(&[]), self.rebuilt.run(&[Refresh::EVERYTHING]));
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        assert_eq!(rebuilt.status, RunStatus::Succeeded, "{:?}", rebuilt.stages);
        for (name, ..) in self.stages {
            let (is, wanted) = (self.updated.rows(name).await, self.rebuilt.rows(name).await);
            assert_eq!(is.texts(&wanted.schema), wanted.texts(&wanted.schema), "{name}");
            assert_stored(&is, name);
        }
        record
    }

    /// Brings the tables up to date with other rows than a rebuild would have; returns the outcome.
    pub(super) async fn run_alone(&self) -> RunRecord {
        self.updated.run(&[]).await
    }

    /// The rows of a stage's table as texts.
    pub(super) async fn texts(&self, stage: &str) -> Vec<String> {
        let rows = self.updated.rows(stage).await;
        rows.texts(&rows.schema)
    }

    /// The folder of a stage's table.
    pub(super) fn table(&self, stage: &str) -> PathBuf {
        self.updated.folder.join("tables").join(stage)
    }

    /// The result of a query on the pipeline, drawn as a table.
    pub(super) async fn answer(&self, sql: &str) -> String {
        let project = Project::open(&self.updated.folder, None, &[]).unwrap();
        let rows = self.updated.windlass.query(&project, sql, &Default::default()).await.unwrap();
        pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string()
    }

    pub(super) async fn append(&self, rows: RecordBatch) {
        append(&self.source, rows, &[]).await;
    }

    pub(super) async fn delete(&self, predicate: &str) {
        open(&self.source).await.delete().with_predicate(predicate).await.unwrap();
    }

    pub(super) async fn stop(self) {
        self.updated.windlass.stop().await;
        self.rebuilt.windlass.stop().await;
    }
}

/// Asserts that there is no value that a table of Windlass cannot contain.
fn assert_stored(rows: &Rows, name: &str) {
    for batch in &rows.batches {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let is_even = Arc::ptr_eq(column, &normalised(column).unwrap());
            assert!(is_even, "{name}.{} holds a float that is not stored: {column:?}", field.name());
            let nanos = matches!(column.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _));
            assert!(!nanos, "{name}.{} is finer than microseconds", field.name());
        }
    }
}
