//! The calls of `windlass.v1`, each in a few lines: what they take apart and put together is in the other files.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use windlass_api::v1::windlass_service_server::WindlassService;
use windlass_api::v1::*;
use windlass_api::{API_VERSION, cursor_to_wire};
use windlass_base::ids::{NodeName, RunId, TableVersion};
use windlass_evidence::artifact::{CursorReset, RunStatus};

use super::bundle::{bundle_of, part, run_ids};
use super::clean::clean_home;
use super::error::{ServiceError, bad_request};
use super::project::{Submitted, home_of_scope};
use super::server::Shared;
use super::{maintenance, start, submission, tables, watch};
use crate::plan::plan_run;

type Answer<T> = Result<Response<T>, Status>;

/// The service.
pub(super) struct Api {
    shared: Arc<Shared>,
}

impl Api {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn open(&self, project: Option<Project>) -> Result<Submitted, ServiceError> {
        self.shared.check_leads()?;
        Submitted::open(&self.shared, project).await
    }

    async fn submit(&self, request: SubmitRunRequest) -> Result<SubmitRunResponse, ServiceError> {
        self.shared.check_leads()?;
        let live = start::submit(&self.shared, request).await?;
        let position = live.position();
        if position.is_none()
            && let Err(error) = live.begun().await
        {
            self.shared.runs.forget_ended(&live.run_id);
            self.shared.check_leads()?;
            return Err(ServiceError::Ended(error));
        }
        let home = live.home.root().clone();
        Ok(SubmitRunResponse {
            bundle: home.join("runs").join(live.run_id.as_str()).to_string(),
            scope: Some(Scope { pipeline: live.pipeline.to_string(), home: home.url().to_string() }),
            run_id: live.run_id.to_string(),
            queued: position.is_some(),
            queue_position: position.unwrap_or_default(),
        })
    }

    async fn plan(&self, request: PlanRunRequest) -> Result<PlanRunResponse, ServiceError> {
        let project = self.open(request.project).await?;
        let scheduler = project.scheduler(&self.shared.scheduler).await?;
        let plan = plan_run(project.plan_request(RunId::generate(), request.selection)?, &scheduler.sessions).await?;
        let plan_json = serde_json::to_string(&plan.summary()).map_err(|error| bad_request(error.to_string()))?;
        Ok(PlanRunResponse { plan_json })
    }

    async fn cancel(&self, request: CancelRunRequest) -> Result<CancelRunResponse, ServiceError> {
        self.shared.check_leads()?;
        let run_id = run_id(&request.run_id)?;
        if let Some(queued) = self.shared.runs.leave_queue(&run_id) {
            start::cancel_queued(&self.shared, queued).await;
            return Ok(CancelRunResponse { status: RunStatus::Cancelled.as_str().to_owned() });
        }
        let Some(run) = self.shared.runs.get(&run_id) else { return Err(ServiceError::NotLive { run_id }) };
        run.cancel();
        match run.end().await.as_deref() {
            Some(Ok(record)) => Ok(CancelRunResponse { status: record.status.as_str().to_owned() }),
            Some(Err(error)) => {
                self.shared.check_leads()?;
                Err(ServiceError::Ended(Arc::clone(error)))
            }
            None => Err(ServiceError::NotLive { run_id }),
        }
    }

    async fn list(&self, request: ListRunsRequest) -> Result<ListRunsResponse, ServiceError> {
        let home = home_of_scope(&self.shared.config, request.scope)?;
        let bundles = bundle_of(&self.shared, &home)?;
        let live: BTreeSet<RunId> = match self.shared.scheduler.leadership.leads() {
            true => self.shared.runs.active().iter().map(|run| run.run_id.clone()).collect(),
            false => submission::kept(&self.shared).await?,
        };
        let recorded = run_ids(&bundles).await?;
        let queued = self.shared.runs.queued();
        let waiting = queued.iter().filter(|run| run.home == home && !recorded.contains(&run.run_id));
        let waiting = waiting.map(|run| RunEntry {
            run_id: run.run_id.to_string(),
            live: false,
            queue_position: run.position(),
            target: run.target.clone(),
        });
        let mut runs: Vec<RunEntry> = waiting.collect();
        runs.extend(recorded.iter().map(|id| RunEntry {
            run_id: id.to_string(),
            live: live.contains(id),
            ..RunEntry::default()
        }));
        runs.sort_unstable_by(|a, b| b.run_id.cmp(&a.run_id));
        if request.limit > 0 {
            runs.truncate(request.limit as usize);
        }
        Ok(ListRunsResponse { runs })
    }
}

/// A run's id as clients make them; anything else could name other files.
pub(super) fn run_id(text: &str) -> Result<RunId, ServiceError> {
    RunId::parse(text).map_err(|error| bad_request(error.to_string()))
}

#[async_trait]
impl WindlassService for Api {
    async fn get_server_info(&self, _: Request<GetServerInfoRequest>) -> Answer<GetServerInfoResponse> {
        let (shared, capacity) = (&self.shared, self.shared.scheduler.engine.capacity().await);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(Response::new(GetServerInfoResponse {
            api_versions: vec![API_VERSION],
            windlass: env!("CARGO_PKG_VERSION").to_owned(),
            project_limit_bytes: shared.config.project_limit,
            executors: count(capacity.executors),
            vcores: count(capacity.vcores),
            active_runs: count(shared.runs.active().len()),
            home: shared.config.home.url().to_string(),
            queued_runs: count(shared.runs.queued_count()),
        }))
    }

    async fn find_missing_files(&self, request: Request<FindMissingFilesRequest>) -> Answer<FindMissingFilesResponse> {
        self.shared.check_leads()?;
        let digests = self.shared.files.missing(&request.into_inner().files);
        Ok(Response::new(FindMissingFilesResponse { digests }))
    }

    async fn put_files(&self, request: Request<Streaming<PutFilesRequest>>) -> Answer<PutFilesResponse> {
        self.shared.check_leads()?;
        let mut puts = request.into_inner();
        let (mut files, mut bytes) = (0, 0);
        while let Some(put) = puts.message().await? {
            bytes += put.content.len() as u64;
            let limit = self.shared.config.project_limit;
            if bytes > limit {
                let error = windlass_api::TransferError::TooLarge { bytes, limit };
                return Err(ServiceError::from(error).into());
            }
            self.shared.files.put(put.digest, put.content).map_err(ServiceError::from)?;
            files += 1;
        }
        Ok(Response::new(PutFilesResponse { files }))
    }

    async fn plan_run(&self, request: Request<PlanRunRequest>) -> Answer<PlanRunResponse> {
        Ok(Response::new(self.plan(request.into_inner()).await?))
    }

    async fn submit_run(&self, request: Request<SubmitRunRequest>) -> Answer<SubmitRunResponse> {
        Ok(Response::new(self.submit(request.into_inner()).await?))
    }

    type WatchRunStream = BoxStream<'static, Result<RunEvent, Status>>;

    async fn watch_run(&self, request: Request<WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        let request = request.into_inner();
        let run_id = run_id(&request.run_id)?;
        // Whoever leads knows all runs under way.
        let leads = self.shared.scheduler.leadership.leads();
        let lines = match self.shared.runs.get(&run_id) {
            Some(run) => watch::live(Arc::clone(&self.shared), run, request.from_seq),
            None => {
                let home = home_of_scope(&self.shared.config, request.scope)?;
                let bundles = bundle_of(&self.shared, &home)?;
                if !leads && !watch::is_over(&bundles, &run_id).await? {
                    return Err(self.shared.standby().into());
                }
                watch::ended(&bundles, run_id, request.from_seq).await?
            }
        };
        Ok(Response::new(lines))
    }

    async fn cancel_run(&self, request: Request<CancelRunRequest>) -> Answer<CancelRunResponse> {
        Ok(Response::new(self.cancel(request.into_inner()).await?))
    }

    async fn list_runs(&self, request: Request<ListRunsRequest>) -> Answer<ListRunsResponse> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    type GetBundlePartStream = BoxStream<'static, Result<BundleChunk, Status>>;

    async fn get_bundle_part(&self, request: Request<GetBundlePartRequest>) -> Answer<Self::GetBundlePartStream> {
        let request = request.into_inner();
        let run_id = run_id(&request.run_id)?;
        let home = home_of_scope(&self.shared.config, request.scope)?;
        let chunks = part(&bundle_of(&self.shared, &home)?, &run_id, &request.path).await?;
        Ok(Response::new(futures::stream::iter(chunks.into_iter().map(Ok)).boxed()))
    }

    async fn list_tables(&self, request: Request<ListTablesRequest>) -> Answer<ListTablesResponse> {
        let project = self.open(request.into_inner().project).await?;
        let found = tables::tables(&project, &self.shared.scheduler).await?;
        let tables = found.into_iter().map(tables::table).collect();
        Ok(Response::new(ListTablesResponse { tables }))
    }

    async fn list_pins(&self, request: Request<ListPinsRequest>) -> Answer<ListPinsResponse> {
        self.shared.check_leads()?;
        let pipeline = request.into_inner().pipeline;
        let runs = self.shared.runs.active();
        let wanted = runs.iter().filter(|run| pipeline.is_empty() || run.pipeline.as_str() == pipeline);
        Ok(Response::new(ListPinsResponse { pins: wanted.flat_map(|run| run.pins()).collect() }))
    }

    async fn list_cursors(&self, request: Request<ListCursorsRequest>) -> Answer<ListCursorsResponse> {
        let project = self.open(request.into_inner().project).await?;
        let found = tables::cursors(&project, &self.shared.scheduler).await?;
        let cursors = found.into_iter().map(cursor_to_wire).collect();
        Ok(Response::new(ListCursorsResponse { cursors }))
    }

    async fn reset_cursor(&self, request: Request<ResetCursorRequest>) -> Answer<ResetCursorResponse> {
        let request = request.into_inner();
        let project = self.open(request.project).await?;
        let reset = CursorReset {
            stage: NodeName::new(request.stage),
            source: request.source.map(NodeName::new),
            to: request.to.map(TableVersion),
            reason: Some(request.reason).filter(|reason| !reason.is_empty()),
        };
        let cursor = tables::reset(&project, &self.shared.scheduler, &reset).await?;
        Ok(Response::new(ResetCursorResponse { cursor: Some(cursor_to_wire(cursor)) }))
    }

    type MaintainStream = BoxStream<'static, Result<MaintainEvent, Status>>;

    async fn maintain(&self, request: Request<MaintainRequest>) -> Answer<Self::MaintainStream> {
        let request = request.into_inner();
        let project = self.open(request.project).await?;
        let scheduler = project.scheduler(&self.shared.scheduler).await?;
        let turn = maintenance::request(&project, request.selection, &request.only, request.dry_run)?;
        Ok(Response::new(self.shared.turns.start(scheduler, turn)?))
    }

    async fn list_marks(&self, request: Request<ListMarksRequest>) -> Answer<ListMarksResponse> {
        self.shared.check_leads()?;
        let home = home_of_scope(&self.shared.config, request.into_inner().scope)?;
        let marks = maintenance::marks(&self.shared.scheduler, &home).await?;
        Ok(Response::new(ListMarksResponse { marks }))
    }

    async fn set_mark(&self, request: Request<SetMarkRequest>) -> Answer<SetMarkResponse> {
        let mut request = request.into_inner();
        let project = self.open(request.project.take()).await?;
        let mark = maintenance::set(&project, &self.shared.scheduler, request).await?;
        Ok(Response::new(SetMarkResponse { mark: Some(mark) }))
    }

    async fn release_mark(&self, request: Request<ReleaseMarkRequest>) -> Answer<ReleaseMarkResponse> {
        self.shared.check_leads()?;
        let request = request.into_inner();
        let home = home_of_scope(&self.shared.config, request.scope)?;
        let mark = maintenance::release(&self.shared.scheduler, &home, &request.name).await?;
        Ok(Response::new(ReleaseMarkResponse { mark: Some(mark) }))
    }

    async fn clean(&self, request: Request<CleanRequest>) -> Answer<CleanResponse> {
        let mut request = request.into_inner();
        let project = self.open(request.project.take()).await?;
        Ok(Response::new(clean_home(&project, &self.shared.scheduler, &request).await?))
    }
}
