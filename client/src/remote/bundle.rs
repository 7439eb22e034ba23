//! Reads run bundles from a scheduler.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use windlass_api::v1;
use windlass_base::error::{Coded, Failure};
use windlass_base::ids::RunId;
use windlass_evidence::artifact::RUNS_PREFIX;
use windlass_evidence::bundle::{BundleFiles, RecordError};
use windlass_project::spec::ProjectFiles;

use super::connection::{Connection, Retry};

/// The bundles of one pipeline.
#[derive(Debug, Clone)]
pub(super) struct RemoteBundles {
    pub(super) connection: Connection,
    pub(super) scope: v1::Scope,
}

impl RemoteBundles {
    async fn part(&self, request: &v1::GetBundlePartRequest) -> Result<Option<Bytes>, tonic::Status> {
        let mut chunks = self.connection.api().get_bundle_part(request.clone()).await?.into_inner();
        let mut content: Option<BytesMut> = None;
        while let Some(chunk) = chunks.message().await? {
            content.get_or_insert_default().extend_from_slice(&chunk.data);
        }
        Ok(content.map(BytesMut::freeze))
    }

    fn to_failure(&self, status: tonic::Status) -> Failure {
        self.connection.to_client_error(status, &ProjectFiles::new()).to_failure()
    }
}

#[async_trait]
impl BundleFiles for RemoteBundles {
    async fn get(&self, path: &str) -> Result<Option<Bytes>, RecordError> {
        let below_runs = path.strip_prefix(RUNS_PREFIX).unwrap_or(path).trim_start_matches('/');
        let (run_id, path) = below_runs.split_once('/').unwrap_or((below_runs, ""));
        let request = v1::GetBundlePartRequest {
            scope: Some(self.scope.clone()),
            run_id: run_id.to_owned(),
            path: path.to_owned(),
        };
        let mut retry = Retry::new(self.connection.reconnect_timeout());
        loop {
            match self.part(&request).await {
                Ok(content) => return Ok(content),
                Err(status) if self.connection.recovers(&status, &mut retry).await => {}
                Err(status) => return Err(self.to_failure(status).into()),
            }
        }
    }

    async fn run_ids(&self) -> Result<Vec<RunId>, RecordError> {
        let request = v1::ListRunsRequest { scope: Some(self.scope.clone()), limit: 0 };
        let no_files = ProjectFiles::new();
        let listed = self.connection.call(&no_files, |mut api| {
            let request = request.clone();
            async move { api.list_runs(request).await }
        });
        let listed = listed.await.map_err(Failure::from)?;
        // Runs in the queue have no bundles, and a malformed id cannot be the id of a run.
        let recorded = listed.runs.iter().filter(|run| run.queue_position.is_none());
        Ok(recorded.filter_map(|run| RunId::parse(&run.run_id).ok()).collect())
    }
}
