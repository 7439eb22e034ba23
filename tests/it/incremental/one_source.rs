//! A pipeline over one Delta table, whose tables are checked against their own queries.

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use windlass_base::config::SessionSettings;
use windlass_client::embedded::local_runs;
use windlass_client::{Project, RunOptions, Runs, Windlass};
use windlass_evidence::artifact::{PlanText, RunRecord, RunStatus, StageSummary};
use windlass_storage::Location;

use super::tables::open;
use crate::delta_read::tables::append;

/// A stage: its name, its `io`, its query.
pub(super) type Stage = (&'static str, &'static str, &'static str);

pub(super) struct OneSource {
    pub(super) project: Project,
    pub(super) windlass: Windlass,
    home: Location,
    stages: &'static [Stage],
    table: PathBuf,
}

impl OneSource {
    /// A pipeline of `stages` that must be incremental, over a table `source` with a change feed and the rows of `files`. The
    /// session has `partition_bytes`.
    pub(super) async fn new(
        dir: &Path,
        source: &str,
        files: Vec<RecordBatch>,
        stages: &'static [Stage],
        partition_bytes: u64,
    ) -> Self {
        let table = dir.join(source);
        for rows in files {
            append(&table, rows, &[]).await;
        }
        let feed = [("delta.enableChangeDataFeed".to_owned(), "true".to_owned())];
        open(&table).await.set_tbl_properties().with_properties(feed.into()).await.unwrap();

        let project = dir.join("project");
        fs::create_dir_all(project.join("stages")).unwrap();
        let source = format!("{source}: {{ kind: delta, location: {} }}", table.display());
        let manifest = format!("name: one_source\nsources:\n  {source}\ndefaults:\n  incremental: strict\n");
        fs::write(project.join("windlass.yaml"), manifest).unwrap();
        for (name, io, sql) in stages {
            let text = format!("/* windlass\nio: {{ {io} }}\n*/\n{sql}\n");
            fs::write(project.join(format!("stages/{name}.sql")), text).unwrap();
        }
        let project = Project::open(&project, None, &[]).unwrap();
        let home = project.home(None).unwrap();
        let session = SessionSettings { partition_bytes, ..project.graph.session.clone() };
        let windlass = Windlass::embedded(windlass_tests::embedded(home.clone(), session)).await.unwrap();
        Self { project, windlass, home, stages, table }
    }

    /// Runs the pipeline and compares every table with its query.
    pub(super) async fn run(&self) -> RunRecord {
        let record = self.run_with(&RunOptions::default()).await;
        for (name, _, sql) in self.stages {
            assert_eq!(self.rows(&format!("SELECT * FROM {name}")).await, self.rows(sql).await, "{name}");
        }
        record
    }

    /// A run that succeeds.
    pub(super) async fn run_with(&self, options: &RunOptions) -> RunRecord {
        let record = self.windlass.run(&self.project, options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        record
    }

    /// The rows of a result as text, sorted.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        let rows = self.windlass.query(&self.project, sql, &Default::default()).await.unwrap();
        let text = pretty_format_batches(&rows.collect().await.unwrap()).unwrap().to_string();
        let mut rows: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        rows.sort();
        rows
    }

    /// The plans of a stage's steps; each begins with the step's name.
    pub(super) async fn steps(&self, run: &RunRecord, stage: &str, text: PlanText) -> Vec<String> {
        let plans = self.runs().await.bundles.plan_text(&run.run_id, &stage.into(), text).await.unwrap().unwrap();
        format!("\n{plans}").split("\n-- ").skip(1).map(ToOwned::to_owned).collect()
    }

    /// The runs as their home keeps them.
    pub(super) async fn runs(&self) -> Runs {
        local_runs(&self.home).await.unwrap()
    }

    pub(super) async fn append(&self, rows: RecordBatch) {
        append(&self.table, rows, &[]).await;
    }

    /// Adds rows to the table of a stage, as another program.
    pub(super) async fn append_to(&self, stage: &str, rows: RecordBatch) {
        append(&self.table_of(stage), rows, &[]).await;
    }

    /// Deletes rows of the table of a stage, as another program.
    pub(super) async fn delete_from(&self, stage: &str, predicate: &str) {
        open(&self.table_of(stage)).await.delete().with_predicate(predicate).await.unwrap();
    }

    fn table_of(&self, stage: &str) -> PathBuf {
        self.home.local_path().unwrap().join("tables").join(stage)
    }

    pub(super) async fn update(&self, predicate: &str, column: &str, value: &str) {
        let update = open(&self.table).await.update().with_predicate(predicate);
        update.with_update(column, value).await.unwrap();
    }

    pub(super) async fn delete(&self, predicate: &str) {
        open(&self.table).await.delete().with_predicate(predicate).await.unwrap();
    }
}

/// What a run records about a stage.
pub(super) fn summary<'r>(run: &'r RunRecord, stage: &str) -> &'r StageSummary {
    run.stages.iter().find(|summary| summary.stage.as_str() == stage).unwrap()
}

/// Whether there is a step of this name.
pub(super) fn has(steps: &[String], name: &str) -> bool {
    steps.iter().any(|step| step.starts_with(name))
}
