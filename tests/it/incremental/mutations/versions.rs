//! Which stages of a mutated project would be reused, after a run of the original project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Date32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use tokio::sync::Mutex;
use windlass_base::config::SessionSettings;
use windlass_base::error::Coded;
use windlass_client::{ClientError, Project, RunOptions, Windlass};
use windlass_evidence::artifact::PlanDecision;
use windlass_scheduler::plan::PlanError;
use windlass_scheduler::run::RunError;
use windlass_storage::Location;

use crate::delta_read::tables::{append, array, batch};

/// The tables that the mutants read, and the result of a run of the base project.
pub(super) struct Versions {
    dir: PathBuf,
    /// An engine for each session configuration that a project asked for, all in one home.
    engines: Mutex<Vec<(SessionSettings, Arc<Windlass>)>>,
}

/// The tables that stages read, with a row or two.
fn orders() -> RecordBatch {
    batch(vec![
        ("id", array(Int64Array::from(vec![1, 2]))),
        ("customer", array(Int64Array::from(vec![1, 1]))),
        ("amount", array(Int64Array::from(vec![5, 6]))),
        ("day", array(Date32Array::from(vec![20_460, 20_461]))),
        ("status", array(StringArray::from(vec!["paid", "open"]))),
        ("currency", array(StringArray::from(vec!["x", "y"]))),
    ])
}

fn customers() -> RecordBatch {
    batch(vec![
        ("id", array(Int64Array::from(vec![1]))),
        ("name", array(StringArray::from(vec!["ada"]))),
        ("region", array(StringArray::from(vec!["north"]))),
    ])
}

/// The columns of the tables, by their names.
pub(super) fn schemas() -> [(&'static str, SchemaRef); 2] {
    [("orders", orders().schema()), ("customers", customers().schema())]
}

/// What would happen to a project's stages.
pub(super) enum Verdicts {
    /// For each stage with a table, whether it would be reused.
    Reused(BTreeMap<String, bool>),
    /// Nothing: the project no longer matches its sources.
    Refused,
}

impl Versions {
    /// Makes the tables below `dir`.
    pub(super) async fn new(dir: &Path) -> Self {
        for name in ["orders", "orders_2"] {
            append(&dir.join(name), orders(), &[]).await;
        }
        for name in ["customers", "customers_2"] {
            append(&dir.join(name), customers(), &[]).await;
        }
        for name in ["rates.csv", "rates_2.csv"] {
            fs::write(dir.join(name), "currency,rate\nx,1.5\n").unwrap();
        }
        for name in ["notes", "notes_2"] {
            fs::create_dir(dir.join(name)).unwrap();
            fs::write(dir.join(name).join("one.txt"), "one note").unwrap();
        }
        Self { dir: dir.to_owned(), engines: Mutex::default() }
    }

    /// The engine with a project's sessions. The memory limit of a process is left alone: the mutants have arbitrary
    /// numbers.
    async fn engine(&self, project: &Project) -> Arc<Windlass> {
        let wanted = &project.graph.session;
        let settings = SessionSettings {
            target_partitions: wanted.target_partitions,
            batch_size: wanted.batch_size,
            parquet_pushdown: wanted.parquet_pushdown,
            normalize_identifiers: wanted.normalize_identifiers,
            ..SessionSettings::default()
        };
        let mut engines = self.engines.lock().await;
        if let Some((_, engine)) = engines.iter().find(|(known, _)| *known == settings) {
            return Arc::clone(engine);
        }
        let home = Location::from_path(&self.dir.join("home")).unwrap();
        let engine = Windlass::embedded(windlass_tests::embedded(home, settings.clone())).await.unwrap();
        let engine = Arc::new(engine);
        engines.push((settings, Arc::clone(&engine)));
        engine
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Builds every table of `base`.
    pub(super) async fn build(&self, base: &Project) {
        let run = self.engine(base).await.run(base, &RunOptions::default()).await.unwrap();
        let record = run.wait().await.unwrap();
        assert_eq!(record.status.as_str(), "succeeded", "{:?}", record.stages);
    }

    /// The code version of a project's only stage; `None` if the project is refused.
    pub(super) async fn code(&self, project: &Project) -> Option<String> {
        match self.engine(project).await.plan(project, &RunOptions::default()).await {
            Ok(plan) => Some(plan.stages[0].code_version.clone()),
            Err(ClientError::Run(RunError::Plan(PlanError::Sql(_)))) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// What a run of `project` would do with the existing tables.
    pub(super) async fn of(&self, project: &Project) -> Verdicts {
        match self.engine(project).await.plan(project, &RunOptions::default()).await {
            Ok(plan) => {
                let tables = plan.stages.iter().filter(|stage| stage.decision != PlanDecision::View);
                let verdict = tables.map(|stage| (stage.stage.to_string(), stage.decision == PlanDecision::Reuse));
                Verdicts::Reused(verdict.collect())
            }
            Err(ClientError::Run(RunError::Plan(PlanError::Sql(_)))) => Verdicts::Refused,
            // Files do not have the format that the project now declares.
            Err(error) if error.code().0.starts_with("WL038") => Verdicts::Refused,
            Err(error) => panic!("{error}"),
        }
    }
}
