//! Turns, runs and pins of several pipelines on one scheduler, whose state, engine and stores the test has made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_base::config::SessionSettings;
use windlass_base::ids::RunId;
use windlass_client::Project;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_evidence::artifact::{MaintenanceEvent, MaintenanceKind, MaintenanceRecord, RunRecord, RunStatus};
use windlass_project::spec::ProjectFiles;
use windlass_scheduler::Scheduler;
use windlass_scheduler::execute::Engine;
use windlass_scheduler::home::Home;
use windlass_scheduler::leadership::Leadership;
use windlass_scheduler::maintain::{MaintainError, MaintainRequest, Turns, maintain};
use windlass_scheduler::plan::PlanRequest;
use windlass_scheduler::query::{QueryRequest, query};
use windlass_scheduler::run::{RunError, RunRequest, run_pipeline};
use windlass_scheduler::state::{MemoryStore, StateStore};
use windlass_storage::Location;

use super::lab::{Stage, make_source};
use crate::delta_read::tables::rows_of;

/// A scheduler and its home.
pub(super) struct Direct {
    dir: TempDir,
    pub(super) scheduler: Arc<Scheduler>,
}

impl Direct {
    /// On the engine of this process, with the given state.
    pub(super) fn with_state(state: Arc<dyn StateStore>) -> Self {
        let settings = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
        let sessions = Sessions::new(settings, Functions::standard()).unwrap().in_process().unwrap();
        Self::on(sessions, Engine::in_process(), state)
    }

    /// On the given engine.
    pub(super) fn on_engine(sessions: Sessions, engine: Engine) -> Self {
        Self::on(sessions, engine, Arc::new(MemoryStore::default()))
    }

    fn on(sessions: Sessions, engine: Engine, state: Arc<dyn StateStore>) -> Self {
        let scheduler = Scheduler {
            sessions: Arc::new(sessions),
            engine,
            state,
            turns: Turns::default(),
            leadership: Leadership::default(),
        };
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        Self { dir, scheduler: Arc::new(scheduler) }
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The source `t`, as a lab has it.
    pub(super) async fn make_source(&self) {
        make_source(&self.dir().join("t")).await;
    }

    /// The folder of a stage's table.
    pub(super) fn table(&self, stage: &str) -> PathBuf {
        self.dir().join("home/tables").join(stage)
    }

    /// A project; all of them have the same home.
    pub(super) fn project(&self, name: &str, sources: &str, maintenance: &str, stages: &[Stage<'_>]) -> Project {
        let mut files = ProjectFiles::default();
        let manifest = format!(
            "name: {name}\nsources: {{ {sources} }}\nrun: {{ max_parallel_stages: 1, retries: 0 }}\n\
             maintenance: {{ {maintenance} }}\n"
        );
        files.insert("windlass.yaml", &manifest);
        for (name, io, sql) in stages {
            files.insert(format!("stages/{name}.sql"), &format!("/* windlass\nio: {{ {io} }}\n*/\n{sql}\n"));
        }
        Project::from_files(&files, self.dir(), None, &[])
            .unwrap_or_else(|error| panic!("{error}: {:?}", error.problems().map(ToString::to_string)))
    }

    fn home(&self) -> Home {
        Home::new(Location::from_path(&self.dir().join("home")).unwrap())
    }

    /// What a run, a turn or a pin of the project is asked with.
    pub(super) fn request(&self, project: &Project) -> PlanRequest {
        PlanRequest {
            graph: Arc::clone(&project.graph),
            base: Location::from_path(self.dir()).unwrap(),
            home: self.home(),
            params: project.graph.bind_params::<String, String>(&[]).unwrap(),
            select: Vec::new(),
            exclude: Vec::new(),
            refresh: Default::default(),
            run: RunId::generate(),
            fixed: None,
        }
    }

    /// Starts a run.
    pub(super) fn start(&self, project: &Project) -> JoinHandle<Result<RunRecord, RunError>> {
        let plan = self.request(project);
        let (asked, begin) = Default::default();
        let request = RunRequest {
            plan,
            fail_fast: None,
            max_parallel: None,
            approved: None,
            asked,
            begin,
            tells_lineage: false,
        };
        let scheduler = Arc::clone(&self.scheduler);
        tokio::spawn(async move {
            run_pipeline(&scheduler, request, mpsc::unbounded_channel().0, CancellationToken::new()).await
        })
    }

    /// A run that succeeds.
    pub(super) async fn run(&self, project: &Project) -> RunRecord {
        succeeded(self.start(project)).await
    }

    /// Starts a turn; gives what it tells, too.
    pub(super) fn start_turn(&self, project: &Project, only: &[MaintenanceKind]) -> Turn {
        let request = MaintainRequest { plan: self.request(project), only: only.to_vec(), dry_run: false };
        let (watcher, events) = mpsc::unbounded_channel();
        let scheduler = Arc::clone(&self.scheduler);
        let ended = tokio::spawn(async move { maintain(&scheduler, request, watcher, CancellationToken::new()).await });
        Turn { events, ended }
    }

    /// A turn.
    pub(super) async fn turn(&self, project: &Project) -> MaintenanceRecord {
        self.start_turn(project, &[]).ended.await.unwrap().unwrap()
    }

    /// The sorted rows of a query.
    pub(super) async fn rows(&self, project: &Project, sql: &str) -> Vec<String> {
        let request = QueryRequest {
            graph: Arc::clone(&project.graph),
            base: Location::from_path(self.dir()).unwrap(),
            home: self.home(),
            params: project.graph.bind_params::<String, String>(&[]).unwrap(),
            sql: sql.to_owned(),
            limit: None,
            versions: BTreeMap::new(),
        };
        let stream = query(&self.scheduler, request).await.unwrap().stream();
        let schema: SchemaRef = stream.schema();
        let batches: Vec<_> = futures::TryStreamExt::try_collect(stream).await.unwrap();
        rows_of(&batches, &schema)
    }
}

/// A turn under way.
pub(super) struct Turn {
    pub(super) events: mpsc::UnboundedReceiver<MaintenanceEvent>,
    pub(super) ended: JoinHandle<Result<MaintenanceRecord, MaintainError>>,
}

/// The record of a run, which must have succeeded.
pub(super) async fn succeeded(run: JoinHandle<Result<RunRecord, RunError>>) -> RunRecord {
    let record = run.await.unwrap().unwrap_or_else(|error| panic!("the run did not take place: {error:?}"));
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    record
}
