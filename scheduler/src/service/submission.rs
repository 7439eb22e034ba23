//! What was submitted, kept until its run has ended: the run starts with it when its turn comes, and a scheduler which is
//! started anew, or leads from now on, takes the run up.
//!
//! ```text
//! state store  runs/<run>/submission        the request, its files by their digests, and where the run belongs
//! home         .submissions/<run>.json      the files
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use prost::Message;
use windlass_api::{digest, refresh_from_wire, v1};
use windlass_base::error::full_message;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::SavedRequest;
use windlass_evidence::bundle::RecordError;

use super::error::{ServiceError, bad_request};
use super::project::Submitted;
use super::server::Shared;
use crate::leadership::Leadership;
use crate::run::RunError;
use crate::state::{StateError, StateStore};

/// The keys of all runs.
const RUNS: &str = "runs/";
/// The end of the keys of submissions.
const SUBMISSION: &str = "/submission";
/// The end of the keys of the schedules that runs have once they execute.
const SCHEDULE: &str = "/schedule";
/// The folder of the files, in the scheduler's home. No pipeline has a name that begins like this.
const FOLDER: &str = ".submissions";

/// What the state store keeps of a submission: enough for the run to wait without its files being read.
#[derive(Clone, PartialEq, Message)]
struct Kept {
    #[prost(message, optional, tag = "1")]
    request: Option<v1::SubmitRunRequest>,
    #[prost(string, tag = "2")]
    pipeline: String,
    /// The home that the project gives; empty for none.
    #[prost(string, tag = "3")]
    home: String,
}

/// The submission of a run that has not ended.
pub(super) struct Unfinished {
    pub(super) run: RunId,
    pub(super) request: v1::SubmitRunRequest,
    /// Where the run belongs.
    pub(super) scope: v1::Scope,
    /// Whether the run had begun to execute.
    pub(super) begun: bool,
}

/// What was submitted for one run, where it is kept.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    state: Arc<dyn StateStore>,
    leadership: Leadership,
    objects: Arc<dyn ObjectStore>,
    file: Path,
    run: RunId,
}

impl Submission {
    /// What was, or is to be, kept for a run.
    pub(super) fn of(shared: &Shared, run: &RunId) -> Result<Self, ServiceError> {
        let file = shared.config.home.join(FOLDER).join(&format!("{run}.json"));
        let objects = shared.scheduler.sessions.stores().store(&file).map_err(RecordError::from)?;
        let path = file.path().map_err(RecordError::from)?;
        let (state, leadership) = (Arc::clone(&shared.scheduler.state), shared.scheduler.leadership.clone());
        Ok(Self { state, leadership, objects, file: path, run: run.clone() })
    }

    /// Keeps the request of a project whose files are here.
    pub(super) async fn keep(
        &self,
        shared: &Shared,
        project: &Submitted,
        request: &v1::SubmitRunRequest,
    ) -> Result<(), ServiceError> {
        let listed = request.project.as_ref().map(|project| project.files.as_slice()).unwrap_or_default();
        let contents = shared.files.contents(listed);
        let texts: BTreeMap<&str, std::borrow::Cow<'_, str>> =
            contents.iter().map(|(digest, content)| (digest.as_str(), String::from_utf8_lossy(content))).collect();
        let json = serde_json::to_vec(&texts).map_err(|source| self.malformed(source))?;
        self.objects.put(&self.file, json.into()).await.map_err(|source| self.failed(source))?;
        let kept = Kept {
            request: Some(request.clone()),
            pipeline: project.graph.name.to_string(),
            home: project.graph.home.clone().unwrap_or_default(),
        };
        let (key, value) = (key_of(&self.run), Bytes::from(kept.encode_to_vec()));
        let current = self.state.get(&key).await.map_err(of_state)?.map(|current| current.revision);
        // Whoever was quicker has put the same: a run is one submission.
        self.state.compare_and_put(&key, current, value).await.map_err(of_state)?;
        Ok(())
    }

    /// The request, and the contents of its files by their digests.
    pub(super) async fn read(&self) -> Result<(v1::SubmitRunRequest, HashMap<String, Bytes>), ServiceError> {
        let kept = self.state.get(&key_of(&self.run)).await.map_err(of_state)?;
        let kept = kept.ok_or_else(|| bad_request("its submission is gone"))?;
        let kept = Kept::decode(kept.value).map_err(|error| bad_request(error.to_string()))?;
        let request = kept.request.ok_or_else(|| bad_request("its submission is empty"))?;
        let got = self.objects.get(&self.file).await.map_err(|source| self.failed(source))?;
        let json = got.bytes().await.map_err(|source| self.failed(source))?;
        let texts: BTreeMap<String, String> = serde_json::from_slice(&json).map_err(|source| self.malformed(source))?;
        let contents = texts.into_values().map(Bytes::from).map(|content| (digest(&content), content));
        Ok((request, contents.collect()))
    }

    /// Forgets it: the run has ended, or was never begun. Not while another scheduler may lead, which takes the run up.
    pub(super) async fn forget(&self) {
        self.leadership.sure().await;
        let key = key_of(&self.run);
        let removed = async {
            if let Some(kept) = self.state.get(&key).await? {
                self.state.compare_and_delete(&key, kept.revision).await?;
            }
            Ok::<_, StateError>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!(run = %self.run, "the submission of a run cannot be forgotten: {}", full_message(&error));
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

/// The submissions of runs that have not ended, in the order in which they were accepted.
pub(super) async fn unfinished(shared: &Shared) -> Result<Vec<Unfinished>, ServiceError> {
    let mut entries = shared.scheduler.state.list(RUNS).await.map_err(of_state)?;
    let run_of = |key: &str, end: &str| Some(key.strip_prefix(RUNS)?.strip_suffix(end)?.to_owned());
    let begun: BTreeSet<String> = entries.iter().filter_map(|entry| run_of(&entry.key, SCHEDULE)).collect();
    entries.sort_unstable_by_key(|entry| entry.revision);
    let mut found = Vec::new();
    for entry in entries {
        let Some(run) = run_of(&entry.key, SUBMISSION) else { continue };
        let (begun, id) = (begun.contains(&run), RunId::new(run));
        match Kept::decode(entry.value).map(|kept| (kept.request, kept.pipeline, kept.home)) {
            Ok((Some(request), pipeline, home)) => {
                found.push(Unfinished { run: id, request, scope: v1::Scope { pipeline, home }, begun });
            }
            _ => {
                tracing::error!(run = %id, "a run cannot be taken up: its submission cannot be read");
                Submission::of(shared, &id)?.forget().await;
            }
        }
    }
    Ok(found)
}

/// The runs of which submissions are kept: they wait or are under way, here or in the scheduler that leads.
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
