//! A project over one Delta table, with its runs and its maintenance through the client library.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Int64Array, RecordBatch};
use deltalake::kernel::{DataType as DeltaType, StructField};
use tempfile::TempDir;
use windlass_base::config::SessionSettings;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_client::{ClientError, MaintainOptions, NewMark, Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{
    MaintenanceAction, MaintenanceKind, MaintenanceRecord, RunRecord, RunStatus, StageSummary, TableMaintenance,
};

use crate::delta_read::tables::{append, array, batch, rows_of};
use crate::incremental::tables::{load, open};

/// A stage: its name, what its `io` says, its query.
pub(super) type Stage<'s> = (&'s str, &'s str, &'s str);

/// Only what somebody keeps stays, at once.
pub(super) const NOTHING_BY_TIME: &str = "vacuum: { retention: 0s }, keep: { runs: 1, days: 0 }";

/// A project over a table `t` of `id`, `g` (`id % 5`) and `v` (`10 * id`), which has a change feed.
pub(super) struct Lab {
    dir: TempDir,
    pub(super) windlass: Windlass,
}

impl Lab {
    /// A project of `stages`, whose `maintenance` says what is given; `t` has ten rows.
    pub(super) async fn new(maintenance: &str, stages: &[Stage<'_>]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_project(dir.path(), maintenance, stages);
        make_source(&dir.path().join("t")).await;
        let windlass = embedded(&open_project(dir.path())).await;
        Self { dir, windlass }
    }

    /// The project's folder, when nothing of this process uses it any more.
    #[cfg(debug_assertions)]
    pub(super) async fn closed(self) -> TempDir {
        self.windlass.stop().await;
        self.dir
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The project as its files are now.
    pub(super) fn project(&self) -> Project {
        open_project(self.dir())
    }

    /// Says something else about maintenance.
    pub(super) fn policy(&self, maintenance: &str) {
        fs::write(self.dir().join("windlass.yaml"), manifest(maintenance)).unwrap();
    }

    /// The folder of a stage's table.
    pub(super) fn table(&self, stage: &str) -> PathBuf {
        self.dir().join(".windlass/tables").join(stage)
    }

    /// The newest version of a stage's table.
    pub(super) async fn version(&self, stage: &str) -> u64 {
        let tables = self.windlass.tables(&self.project()).await.unwrap();
        let table = tables.iter().find(|table| table.name.as_str() == stage).unwrap();
        table.version.unwrap_or_else(|| panic!("{stage} has no table")).0
    }

    /// Adds rows to `t`.
    pub(super) async fn add(&self, ids: Range<i64>) {
        append(&self.dir().join("t"), numbers(ids), &[]).await;
    }

    /// Changes rows of `t`.
    pub(super) async fn update(&self, predicate: &str, column: &str, value: &str) {
        let update = open(&self.dir().join("t")).await.update().with_predicate(predicate);
        update.with_update(column, value).await.unwrap();
    }

    /// Deletes rows of `t`.
    pub(super) async fn delete(&self, predicate: &str) {
        open(&self.dir().join("t")).await.delete().with_predicate(predicate).await.unwrap();
    }

    /// Runs everything, successfully.
    pub(super) async fn run(&self) -> RunRecord {
        self.run_of(&[]).await
    }

    /// Runs some stages, successfully.
    pub(super) async fn run_of(&self, select: &[&str]) -> RunRecord {
        let select = select.iter().map(|name| (*name).to_owned()).collect();
        let options = RunOptions { select, ..RunOptions::default() };
        let record = self.windlass.run(&self.project(), &options).await.unwrap().wait().await.unwrap();
        assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
        record
    }

    /// Adds the rows of each range to `t` and runs everything, range by range.
    pub(super) async fn runs(&self, ranges: impl IntoIterator<Item = Range<i64>>) {
        for ids in ranges {
            self.run_with(ids).await;
        }
    }

    /// A run over these rows more.
    pub(super) async fn run_with(&self, ids: Range<i64>) {
        self.add(ids).await;
        self.run().await;
    }

    /// A turn of which no action fails.
    pub(super) async fn turn(&self) -> MaintenanceRecord {
        self.turn_with(&MaintainOptions::default()).await
    }

    /// A turn of some actions, none of which fails.
    pub(super) async fn turn_of(&self, only: &[MaintenanceKind]) -> MaintenanceRecord {
        self.turn_with(&MaintainOptions { only: only.to_vec(), ..MaintainOptions::default() }).await
    }

    pub(super) async fn turn_with(&self, options: &MaintainOptions) -> MaintenanceRecord {
        let record = self.any_turn(options).await;
        assert_eq!(failures(&record), Vec::<String>::new());
        record
    }

    /// A turn whose actions may fail.
    pub(super) async fn any_turn(&self, options: &MaintainOptions) -> MaintenanceRecord {
        self.windlass.maintain(&self.project(), options).await.unwrap().wait().await.unwrap()
    }

    /// Pins or tags a version.
    pub(super) async fn mark(&self, name: &str, tag: bool, table: &str, version: u64) {
        let set = self.windlass.set_mark(&self.project(), &mark(name, tag, table, Some(version))).await.unwrap();
        assert_eq!(set.version, TableVersion(version));
    }

    pub(super) async fn release(&self, name: &str) {
        self.windlass.release_mark(&self.project(), name).await.unwrap();
    }

    /// The sorted rows of a query.
    pub(super) async fn rows(&self, sql: &str) -> Vec<String> {
        self.query(sql, &QueryOptions::default()).await.unwrap()
    }

    /// The sorted rows of a version of a stage's table, or why they cannot be read.
    pub(super) async fn try_rows_at(&self, stage: &str, version: u64) -> Result<Vec<String>, ClientError> {
        let versions = BTreeMap::from([(NodeName::new(stage), TableVersion(version))]);
        let options = QueryOptions { versions, ..QueryOptions::default() };
        self.query(&format!("SELECT * FROM {stage}"), &options).await
    }

    pub(super) async fn rows_at(&self, stage: &str, version: u64) -> Vec<String> {
        let rows = self.try_rows_at(stage, version).await;
        rows.unwrap_or_else(|error| panic!("version {version} of {stage} cannot be read: {error:?}"))
    }

    async fn query(&self, sql: &str, options: &QueryOptions) -> Result<Vec<String>, ClientError> {
        let rows = self.windlass.query(&self.project(), sql, options).await?;
        let schema = rows.schema();
        Ok(rows_of(&rows.collect().await?, &schema))
    }

    /// The sorted rows of a stage's table as deltalake reads it.
    pub(super) async fn others_rows(&self, stage: &str) -> Vec<String> {
        let rows = load(&open(&self.table(stage)).await).await;
        rows_of(&rows.batches, &rows.schema)
    }
}

fn manifest(maintenance: &str) -> String {
    format!(
        "name: kept\nsources: {{ t: {{ kind: delta, location: t }} }}\n\
         run: {{ max_parallel_stages: 1, retries: 0 }}\nmaintenance: {{ {maintenance} }}\n"
    )
}

fn write_project(dir: &Path, maintenance: &str, stages: &[Stage<'_>]) {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), manifest(maintenance)).unwrap();
    for (name, io, sql) in stages {
        let text = format!("/* windlass\nio: {{ {io} }}\n*/\n{sql}\n");
        fs::write(dir.join(format!("stages/{name}.sql")), text).unwrap();
    }
}

pub(super) fn open_project(dir: &Path) -> Project {
    Project::open(dir, None, &[])
        .unwrap_or_else(|error| panic!("{error}: {:?}", error.problems().map(ToString::to_string)))
}

/// A Windlass in this process for the project.
pub(super) async fn embedded(project: &Project) -> Windlass {
    let settings = SessionSettings { target_partitions: 2, ..project.graph.session.clone() };
    Windlass::embedded(windlass_tests::embedded(project.home(None).unwrap(), settings)).await.unwrap()
}

/// The table `t` with its first ten rows.
pub(super) async fn make_source(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let columns = ["id", "g", "v"].map(|name| StructField::nullable(name, DeltaType::LONG));
    let create = open(folder).await.create().with_columns(columns);
    create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
    append(folder, numbers(0..10), &[]).await;
}

/// Rows of `t`.
pub(super) fn numbers(ids: Range<i64>) -> RecordBatch {
    let of = |value: fn(i64) -> i64| array(Int64Array::from_iter_values(ids.clone().map(value)));
    batch(vec![("id", of(|id| id)), ("g", of(|id| id % 5)), ("v", of(|id| 10 * id))])
}

pub(super) fn mark(name: &str, tag: bool, table: &str, version: Option<u64>) -> NewMark {
    NewMark {
        name: name.to_owned(),
        tag,
        table: table.into(),
        version: version.map(TableVersion),
        expires_at: None,
        reason: None,
    }
}

/// What a turn has failed at.
pub(super) fn failures(record: &MaintenanceRecord) -> Vec<String> {
    let mut failures = Vec::new();
    for table in &record.tables {
        failures.extend(table.failure.iter().map(|failure| format!("{}: {failure:?}", table.table)));
        for action in &table.actions {
            let failure = action.outcome.as_ref().and_then(|outcome| outcome.failure.as_ref());
            failures.extend(failure.map(|failure| format!("{} of {}: {failure:?}", action.kind.as_str(), table.table)));
        }
    }
    failures
}

/// What a turn did with a table.
pub(super) fn of<'r>(record: &'r MaintenanceRecord, table: &str) -> &'r TableMaintenance {
    let found = record.tables.iter().find(|found| found.table.as_str() == table);
    found.unwrap_or_else(|| panic!("the turn did not look at {table}: {record:?}"))
}

/// What was decided about an action of a table.
pub(super) fn action<'r>(record: &'r MaintenanceRecord, table: &str, kind: MaintenanceKind) -> &'r MaintenanceAction {
    let of = of(record, table);
    let found = of.actions.iter().find(|action| action.kind == kind);
    found.unwrap_or_else(|| panic!("{} was not decided: {:?}", kind.as_str(), of.actions))
}

/// What a run did with a stage.
pub(super) fn stage<'r>(record: &'r RunRecord, name: &str) -> &'r StageSummary {
    record.stages.iter().find(|stage| stage.stage.as_str() == name).unwrap_or_else(|| panic!("{name}: {record:?}"))
}
