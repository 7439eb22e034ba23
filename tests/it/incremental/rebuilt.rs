//! A project whose tables are compared, after each run, with the same project recomputed in an empty home.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::{Int64Array, RecordBatch};
use tempfile::TempDir;
use windlass_base::config::SessionSettings;
use windlass_base::ids::TableVersion;
use windlass_client::{CursorReset, Project, RunOptions, Windlass};
use windlass_evidence::artifact::{PlannedRun, Refresh, RunRecord};
use windlass_project::strategy::Strategy;
use windlass_storage::Location;

use super::tables::{load, open};
use crate::delta_read::tables::{append, array, batch};

/// A stage: its name, its header, its query.
pub(super) type Stage<'s> = (&'s str, &'s str, &'s str);

/// The result of a stage: the rows of its table, or the code of its failure.
pub(super) type Outcome = Result<Vec<String>, String>;

pub(super) struct Rebuilt {
    pub(super) dir: TempDir,
    pub(super) windlass: Windlass,
    manifest: String,
}

/// Rows of integers.
pub(super) fn numbers<const N: usize>(names: [&str; N], rows: &[[i64; N]]) -> RecordBatch {
    let columns = names.iter().enumerate().map(|(at, name)| {
        let values = rows.iter().map(|row| row[at]);
        (*name, array(Int64Array::from_iter_values(values)))
    });
    batch(columns.collect())
}

impl Rebuilt {
    /// A project over Delta tables `sources` with change feeds and these first rows.
    pub(super) async fn new(sources: &[(&str, RecordBatch)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = "name: rebuilt\nrun: { retries: 0 }\nsources:\n".to_owned();
        let windlass = embedded(&dir.path().join("home")).await;
        for (name, _) in sources {
            writeln!(manifest, "  {name}: {{ kind: delta, location: {name} }}").unwrap();
        }
        let rebuilt = Self { dir, windlass, manifest };
        for (name, rows) in sources {
            rebuilt.append(name, rows.clone()).await;
            let feed = [("delta.enableChangeDataFeed".to_owned(), "true".to_owned())];
            open(&rebuilt.source(name)).await.set_tbl_properties().with_properties(feed.into()).await.unwrap();
        }
        rebuilt
    }

    pub(super) fn source(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds lines to the manifest.
    pub(super) fn say(&mut self, lines: &str) {
        self.manifest.push_str(lines);
    }

    pub(super) async fn append(&self, source: &str, rows: RecordBatch) {
        append(&self.source(source), rows, &[]).await;
    }

    pub(super) async fn delete(&self, source: &str, predicate: &str) {
        open(&self.source(source)).await.delete().with_predicate(predicate).await.unwrap();
    }

    pub(super) async fn update(&self, source: &str, predicate: &str, column: &str, value: &str) {
        let update = open(&self.source(source)).await.update().with_predicate(predicate);
        update.with_update(column, value).await.unwrap();
    }

    /// Writes the project with these stages.
    pub(super) fn project(&self, stages: &[Stage<'_>]) -> Project {
        let folder = self.dir.path().join("stages");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        fs::write(self.dir.path().join("windlass.yaml"), &self.manifest).unwrap();
        for (name, header, sql) in stages {
            fs::write(folder.join(format!("{name}.sql")), format!("/* windlass\n{header}\n*/\n{sql}\n")).unwrap();
        }
        Project::open(self.dir.path(), None, &[])
            .unwrap_or_else(|error| panic!("{error}: {:?}", error.problems().map(ToString::to_string)))
    }

    pub(super) async fn run(&self, project: &Project, options: &RunOptions) -> RunRecord {
        self.windlass.run(project, options).await.unwrap().wait().await.unwrap()
    }

    pub(super) async fn plan(&self, project: &Project) -> PlannedRun {
        self.windlass.plan(project, &RunOptions::default()).await.unwrap()
    }

    /// Sets a cursor.
    pub(super) async fn set_cursor(&self, project: &Project, stage: &str, source: &str, to: u64) {
        let to = Some(TableVersion(to));
        let reset = CursorReset { stage: stage.into(), source: Some(source.into()), to, reason: None };
        self.windlass.reset_cursor(project, &reset).await.unwrap();
    }

    /// Runs the project, and recomputes it elsewhere: every stage must have the same result. Returns the results.
    pub(super) async fn check(&self, project: &Project, when: &str) -> BTreeMap<String, Outcome> {
        self.check_with(project, &RunOptions::default(), when).await
    }

    /// The same, and no stage may fail.
    pub(super) async fn fine(&self, project: &Project, when: &str) {
        self.fine_with(project, &RunOptions::default(), when).await;
    }

    /// The same, with options for the run.
    pub(super) async fn fine_with(&self, project: &Project, options: &RunOptions, when: &str) {
        let outcomes = self.check_with(project, options, when).await;
        assert!(outcomes.values().all(Result::is_ok), "{when}: {outcomes:?}");
    }

    /// What [`Self::check`] does, with options for the run.
    pub(super) async fn check_with(
        &self,
        project: &Project,
        options: &RunOptions,
        when: &str,
    ) -> BTreeMap<String, Outcome> {
        let record = self.run(project, options).await;
        let own = self.outcomes(&record, "home").await;
        let fresh = self.dir.path().join("fresh");
        drop(fs::remove_dir_all(&fresh));
        let other = embedded(&fresh).await;
        let full_refresh = RunOptions {
            refresh: Refresh { full: vec![Refresh::EVERYTHING.to_owned()], ..Refresh::default() },
            select: options.select.clone(),
            ..RunOptions::default()
        };
        let record = other.run(project, &full_refresh).await.unwrap().wait().await.unwrap();
        let rebuilt = self.outcomes(&record, "fresh").await;
        other.stop().await;
        assert_eq!(own, rebuilt, "{when}: the tables, and those of a rebuild");
        own
    }

    async fn outcomes(&self, record: &RunRecord, home: &str) -> BTreeMap<String, Outcome> {
        let mut outcomes = BTreeMap::new();
        for stage in &record.stages {
            let outcome = match (&stage.failure, &stage.skipped_because_of) {
                (Some(failure), _) => Err(failure.code.clone()),
                (None, Some(other)) => Err(format!("skipped because of {other}")),
                (None, None) => Ok(self.rows(home, stage.stage.as_str()).await),
            };
            outcomes.insert(stage.stage.to_string(), outcome);
        }
        outcomes
    }

    /// The rows of a stage's table, sorted.
    pub(super) async fn rows(&self, home: &str, stage: &str) -> Vec<String> {
        let rows = load(&open(&self.dir.path().join(home).join("tables").join(stage)).await).await;
        rows.texts(&rows.schema)
    }
}

async fn embedded(home: &Path) -> Windlass {
    fs::create_dir_all(home).unwrap();
    let session = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
    Windlass::embedded(windlass_tests::embedded(Location::from_path(home).unwrap(), session)).await.unwrap()
}

/// How a stage's table was updated.
pub(super) fn strategy(record: &RunRecord, stage: &str) -> Option<Strategy> {
    record.stages.iter().find(|summary| summary.stage.as_str() == stage).and_then(|summary| summary.strategy)
}
