//! What was submitted, kept until its run has ended, so that a scheduler which is started anew, or leads from now on, takes
//! the run up. It is kept anew with that: a scheduler that drove the run before does not forget it any more.
//!
//! ```text
//! state store  runs/<run>/submission        the request, its files by their digests
//! home         .submissions/<run>.json      the files
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use prost::Message;
use windlass_api::{digest, refresh_from_wire, v1};
use windlass_base::error::{Coded, full_message};
use windlass_base::ids::RunId;
use windlass_evidence::artifact::SavedRequest;
use windlass_evidence::bundle::RecordError;

use super::error::{ServiceError, bad_request};
use super::server::Shared;
use crate::run::RunError;
use crate::state::{DeleteOutcome, PutOutcome, Revision, StateError, StateStore};

/// The keys of all runs.
const RUNS: &str = "runs/";
/// The end of the keys of submissions.
const SUBMISSION: &str = "/submission";
/// The folder of the files, in the scheduler's home. No pipeline has a name that begins like this.
const FOLDER: &str = ".submissions";

/// What was submitted for one run, where it is kept.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    state: Arc<dyn StateStore>,
    objects: Arc<dyn ObjectStore>,
    file: Path,
    run: RunId,
    /// That of the key as this process put or read it.
    revision: Option<Revision>,
}

impl Submission {
    /// What was, or is to be, kept for a run.
    pub(super) fn of(shared: &Shared, run: &RunId) -> Result<Self, ServiceError> {
        let file = shared.config.home.join(FOLDER).join(&format!("{run}.json"));
        let objects = shared.scheduler.sessions.stores().store(&file).map_err(RecordError::from)?;
        let path = file.path().map_err(RecordError::from)?;
        Ok(Self { state: Arc::clone(&shared.scheduler.state), objects, file: path, run: run.clone(), revision: None })
    }

    /// Keeps a request, whose files are here.
    pub(super) async fn keep(&mut self, shared: &Shared, request: &v1::SubmitRunRequest) -> Result<(), ServiceError> {
        let listed = request.project.as_ref().map(|project| project.files.as_slice()).unwrap_or_default();
        let contents = shared.files.contents(listed);
        let texts: BTreeMap<&str, std::borrow::Cow<'_, str>> =
            contents.iter().map(|(digest, content)| (digest.as_str(), String::from_utf8_lossy(content))).collect();
        let json = serde_json::to_vec(&texts).map_err(|source| self.malformed(source))?;
        self.objects.put(&self.file, json.into()).await.map_err(|source| self.failed(source))?;
        let (key, value) = (key_of(&self.run), Bytes::from(request.encode_to_vec()));
        let current = self.state.get(&key).await.map_err(of_state)?.map(|current| current.revision);
        // Whoever was quicker has put the same: a run is one submission.
        let put = self.state.compare_and_put(&key, current, value).await.map_err(of_state)?;
        self.revision = match put {
            PutOutcome::Put(revision) => Some(revision),
            PutOutcome::Moved(moved) => moved.map(|moved| moved.revision),
        };
        Ok(())
    }

    /// The request, with its files put where those of submissions are.
    async fn read(&mut self, shared: &Shared) -> Result<v1::SubmitRunRequest, ServiceError> {
        let kept = self.state.get(&key_of(&self.run)).await.map_err(of_state)?;
        let kept = kept.ok_or_else(|| bad_request("its submission is gone"))?;
        self.revision = Some(kept.revision);
        let request = v1::SubmitRunRequest::decode(kept.value).map_err(|error| bad_request(error.to_string()))?;
        let got = self.objects.get(&self.file).await.map_err(|source| self.failed(source))?;
        let json = got.bytes().await.map_err(|source| self.failed(source))?;
        let texts: BTreeMap<String, String> = serde_json::from_slice(&json).map_err(|source| self.malformed(source))?;
        for text in texts.into_values() {
            let content = Bytes::from(text);
            shared.files.put(digest(&content), content)?;
        }
        Ok(request)
    }

    /// Forgets it: the run has ended, or was never begun. Not if another process has taken the run up.
    pub(super) async fn forget(&self) {
        let key = key_of(&self.run);
        let removed = async {
            let Some(revision) = self.revision else { return Ok(false) };
            let deleted = self.state.compare_and_delete(&key, revision).await?;
            Ok::<_, StateError>(matches!(deleted, DeleteOutcome::Deleted | DeleteOutcome::Moved(None)))
        };
        match removed.await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(run = %self.run, "the submission of a run cannot be forgotten: {}", full_message(&error));
            }
        }
        match self.objects.delete(&self.file).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(run = %self.run, %error, "the files of a submission cannot be removed"),
        }
    }

    fn failed(&self, source: object_store::Error) -> ServiceError {
        RecordError::Store { path: self.file.to_string(), source }.into()
    }

    fn malformed(&self, source: serde_json::Error) -> ServiceError {
        RecordError::Malformed { path: self.file.to_string(), source }.into()
    }
}

/// The submissions of runs that have not ended, the oldest first.
pub(super) async fn unfinished(shared: &Shared) -> Result<Vec<(Submission, v1::SubmitRunRequest)>, ServiceError> {
    let entries = shared.scheduler.state.list(RUNS).await.map_err(of_state)?;
    let mut found = Vec::new();
    for entry in entries {
        let Some(run) = entry.key.strip_prefix(RUNS).and_then(|key| key.strip_suffix(SUBMISSION)) else { continue };
        let mut submission = Submission::of(shared, &RunId::from(run))?;
        match submission.read(shared).await {
            Ok(request) => found.push((submission, request)),
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                tracing::error!(run, "a run cannot be taken up: {}", full_message(&error));
                submission.forget().await;
            }
        }
    }
    Ok(found)
}

/// The runs of which submissions are kept: they are under way, here or in the scheduler that leads.
pub(super) async fn kept(shared: &Shared) -> Result<BTreeSet<RunId>, ServiceError> {
    let entries = shared.scheduler.state.list(RUNS).await.map_err(of_state)?;
    let runs = entries.iter().filter_map(|entry| entry.key.strip_prefix(RUNS)?.strip_suffix(SUBMISSION));
    Ok(runs.map(RunId::from).collect())
}

/// What a submission asks for, as the bundle keeps it.
pub(super) fn asked(request: &v1::SubmitRunRequest) -> SavedRequest {
    let project = request.project.clone().unwrap_or_default();
    let selection = request.selection.clone().unwrap_or_default();
    SavedRequest {
        target: Some(project.target).filter(|target| !target.is_empty()),
        params: project.params.into_iter().collect(),
        sources: project.sources.into_iter().collect(),
        select: selection.select,
        exclude: selection.exclude,
        refresh: refresh_from_wire(selection.refresh),
    }
}

fn key_of(run: &RunId) -> String {
    format!("{RUNS}{run}{SUBMISSION}")
}

fn of_state(error: StateError) -> ServiceError {
    RunError::from(error).into()
}
