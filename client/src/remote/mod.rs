//! A remote cluster, accessed through its API.
//!
//! ```text
//! Project ─transfer→ files by digest ─submit→ run ─follow→ LogEvents … ─bundle→ RunRecord
//!                                      └query→ Arrow Flight → record batches
//! ```

mod bundle;
mod connection;
mod follow;
mod maintenance;
mod query;
mod transfer;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use windlass_api::{cursor_from_wire, refresh_to_wire, v1};
use windlass_base::ids::{NodeName, PipelineName, RunId, TableVersion};
use windlass_evidence::artifact::{CleanRecord, CursorReset, CursorStatus, PinStatus, PlannedRun, TableStatus};
use windlass_evidence::bundle::BundleReader;
use windlass_project::graph::PipelineGraph;
use windlass_project::spec::ProjectFiles;

pub use connection::ConnectOptions;

use self::bundle::RemoteBundles;
use self::connection::{Api, Connection};
use self::follow::Follower;
use crate::clean::CleanOptions;
use crate::error::ClientError;
use crate::project::Project;
use crate::query_result::QueryResult;
use crate::run::{QueryOptions, RunBegin, RunHandle, RunOptions};
use crate::runs::{QueuedRun, Runs};

/// The scheduler of a cluster.
pub(crate) struct Remote {
    connection: Connection,
}

impl Remote {
    pub(crate) async fn connect(url: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::open(url, options).await? })
    }

    pub(crate) async fn executors(&self) -> Result<u32, ClientError> {
        Ok(self.connection.server_info().await?.executors)
    }

    pub(crate) async fn plan(&self, project: &Project, options: &RunOptions) -> Result<PlannedRun, ClientError> {
        let files = &project.graph.files;
        let request = v1::PlanRunRequest {
            project: Some(transfer::send(&self.connection, project, &options.params).await?),
            selection: Some(selection(options)),
        };
        let answer = self.connection.call(files, |mut api| {
            let request = request.clone();
            async move { api.plan_run(request).await }
        });
        let plan = answer.await?.plan_json;
        serde_json::from_str(&plan).map_err(|error| self.connection.unreadable_answer("the plan", &error))
    }

    pub(crate) async fn run(&self, project: &Project, options: &RunOptions) -> Result<RunHandle, ClientError> {
        let files = &project.graph.files;
        let (run_id, resume, retry_of) = match &options.begin {
            RunBegin::Anew => (RunId::generate(), false, String::new()),
            RunBegin::RetryOf(earlier) => (RunId::generate(), false, earlier.to_string()),
            RunBegin::Resume(run) => (run.clone(), true, String::new()),
        };
        let request = v1::SubmitRunRequest {
            run_id: run_id.to_string(),
            project: Some(transfer::send(&self.connection, project, &options.params).await?),
            selection: Some(selection(options)),
            fail_fast: options.fail_fast,
            max_parallel: options.max_parallel.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            approved_plan_json: match &options.approved {
                Some(plan) => plan.to_json(),
                None => String::new(),
            },
            resume,
            retry_of,
            priority: options.priority,
            no_wait: options.no_wait,
        };
        // The scheduler starts only one run per id, so the request can be repeated after a lost answer.
        let submit = |mut api: Api| {
            let request = request.clone();
            async move { api.submit_run(request).await }
        };
        let submitted = match options.no_wait {
            true => self.connection.call(files, submit).await?,
            false => self.connection.call_until_room(files, submit).await?,
        };
        let (events, received) = mpsc::unbounded_channel();
        let (position, queued) = watch::channel(submitted.queued.then_some(submitted.queue_position));
        let cancel = CancellationToken::new();
        let follower = Follower {
            connection: self.connection.clone(),
            scope: submitted.scope.clone().unwrap_or_default(),
            run_id: run_id.clone(),
            files: files.clone(),
            events,
            position,
        };
        let done = tokio::spawn(follower.follow(cancel.clone()));
        Ok(RunHandle { run_id, bundle: submitted.bundle, events: received, queued, cancel, done })
    }

    pub(crate) async fn query(
        &self,
        project: &Project,
        sql: &str,
        options: &QueryOptions,
    ) -> Result<QueryResult, ClientError> {
        let question = v1::Query {
            project: Some(transfer::send(&self.connection, project, &options.params).await?),
            sql: sql.to_owned(),
            limit: options.limit.unwrap_or_default() as u64,
            versions: options.versions.iter().map(|(name, version)| (name.to_string(), version.0)).collect(),
        };
        query::rows(&self.connection, &project.graph.files, question).await
    }

    pub(crate) async fn runs(&self, project: &Project) -> Result<Runs, ClientError> {
        let scope = scope(&project.graph);
        let request = v1::ListRunsRequest { scope: Some(scope.clone()), limit: 0 };
        let no_files = ProjectFiles::new();
        let listed = self.connection.call(&no_files, |mut api| {
            let request = request.clone();
            async move { api.list_runs(request).await }
        });
        let listed = listed.await?.runs;
        let live: BTreeSet<RunId> =
            listed.iter().filter(|run| run.live).filter_map(|run| RunId::parse(&run.run_id).ok()).collect();
        let queued = listed.into_iter().filter_map(|run| {
            let (run_id, position) = (RunId::parse(&run.run_id).ok()?, run.queue_position?);
            Some(QueuedRun { run_id, position, target: Some(run.target).filter(|target| !target.is_empty()) })
        });
        let queued = queued.collect();
        let bundles = RemoteBundles { connection: self.connection.clone(), scope };
        Ok(Runs { bundles: BundleReader::new(Arc::new(bundles)), live, queued })
    }

    pub(crate) async fn cancel(&self, run_id: &RunId) -> Result<String, ClientError> {
        follow::cancel(&self.connection, run_id).await
    }

    pub(crate) async fn tables(&self, project: &Project) -> Result<Vec<TableStatus>, ClientError> {
        let request = v1::ListTablesRequest { project: Some(transfer::send(&self.connection, project, &[]).await?) };
        let answer = self.connection.call(&project.graph.files, |mut api| {
            let request = request.clone();
            async move { api.list_tables(request).await }
        });
        let status = |table: v1::Table| TableStatus {
            name: NodeName::new(table.name),
            location: table.location,
            version: table.version.map(TableVersion),
            rows: table.rows,
            files: table.files,
            bytes: table.bytes,
            committed_at: table.committed_at_ms.and_then(chrono::DateTime::from_timestamp_millis),
            quarantine_of: table.quarantine_of.map(NodeName::new),
        };
        Ok(answer.await?.tables.into_iter().map(status).collect())
    }

    pub(crate) async fn cursors(&self, project: &Project) -> Result<Vec<CursorStatus>, ClientError> {
        let request = v1::ListCursorsRequest { project: Some(transfer::send(&self.connection, project, &[]).await?) };
        let answer = self.connection.call(&project.graph.files, |mut api| {
            let request = request.clone();
            async move { api.list_cursors(request).await }
        });
        Ok(answer.await?.cursors.into_iter().map(cursor_from_wire).collect())
    }

    pub(crate) async fn reset_cursor(
        &self,
        project: &Project,
        reset: &CursorReset,
    ) -> Result<CursorStatus, ClientError> {
        let request = v1::ResetCursorRequest {
            project: Some(transfer::send(&self.connection, project, &[]).await?),
            stage: reset.stage.to_string(),
            source: reset.source.as_ref().map(ToString::to_string),
            to: reset.to.map(|version| version.0),
            reason: reset.reason.clone().unwrap_or_default(),
        };
        // Setting a cursor twice to the same value is harmless, so the request can be repeated after a lost answer.
        let answer = self.connection.call(&project.graph.files, |mut api| {
            let request = request.clone();
            async move { api.reset_cursor(request).await }
        });
        Ok(cursor_from_wire(answer.await?.cursor.unwrap_or_default()))
    }

    pub(crate) async fn pins(&self, project: &Project) -> Result<Vec<PinStatus>, ClientError> {
        let request = v1::ListPinsRequest { pipeline: project.graph.name.to_string() };
        let answer = self.connection.call(&project.graph.files, |mut api| {
            let request = request.clone();
            async move { api.list_pins(request).await }
        });
        let status = |pin: v1::Pin| PinStatus {
            run_id: RunId::new(pin.run_id),
            pipeline: PipelineName::new(pin.pipeline),
            name: NodeName::new(pin.name),
            location: pin.location,
            version: pin.version.map(TableVersion),
        };
        Ok(answer.await?.pins.into_iter().map(status).collect())
    }

    pub(crate) async fn clean(&self, project: &Project, options: &CleanOptions) -> Result<CleanRecord, ClientError> {
        let request = v1::CleanRequest {
            project: Some(transfer::send(&self.connection, project, &[]).await?),
            dry_run: options.dry_run,
            tables: options.tables,
            keep_runs: options.keep_runs,
            keep_days: options.keep_days,
        };
        // What was removed already is not found again, so the request can be repeated after a lost answer.
        let answer = self.connection.call(&project.graph.files, |mut api| {
            let request = request.clone();
            async move { api.clean(request).await }
        });
        let record = answer.await?.record_json;
        serde_json::from_str(&record).map_err(|error| self.connection.unreadable_answer("the record", &error))
    }
}

fn selection(options: &RunOptions) -> v1::Selection {
    v1::Selection {
        select: options.select.clone(),
        exclude: options.exclude.clone(),
        refresh: refresh_to_wire(&options.refresh),
    }
}

/// Where the scheduler keeps the runs of a pipeline.
fn scope(graph: &PipelineGraph) -> v1::Scope {
    v1::Scope { pipeline: graph.name.to_string(), home: graph.home.clone().unwrap_or_default() }
}
