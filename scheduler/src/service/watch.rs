//! The lines of a run's log as a stream: while it is driven here, and from its bundle afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tonic::Status;
use windlass_api::v1;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::RunLayout;
use windlass_evidence::bundle::{BundleFiles, BundleReader, RecordError, complete_lines};

use super::error::ServiceError;
use super::live_run::{LiveRun, Progress};
use super::server::Shared;
use crate::record::BundleStore;

type Lines = BoxStream<'static, Result<v1::RunEvent, Status>>;

/// The lines from the one numbered `from` on, as they are written, until the run ends; before them, while the run waits, its
/// place in the queue. If it could not begin or be carried on, the last item is that error; if another scheduler goes on with
/// it, who that is.
pub(super) fn live(shared: Arc<Shared>, run: Arc<LiveRun>, from: u64) -> Lines {
    let progress = run.progress();
    let start = (shared, run, progress, from, None);
    let batches = stream::try_unfold(start, |(shared, run, mut progress, from, told)| async move {
        loop {
            // Looked at before the lines are taken: what comes after is seen the next time round.
            let Progress { position, ended, .. } = progress.borrow_and_update().clone();
            if position.is_some() && position != told {
                let state = (shared, run, progress, from, position);
                return Ok(Some((vec![in_queue(from, position)], state)));
            }
            let lines = run.lines_from(from);
            if let Some(last) = lines.last() {
                let next = last.seq + 1;
                return Ok(Some((lines, (shared, run, progress, next, told))));
            }
            if let Some((ending, _)) = ended {
                return match &*ending {
                    Ok(_) => Ok(None),
                    Err(error) => {
                        shared.check_leads()?;
                        Err(Status::from(ServiceError::Ended(Arc::clone(error))))
                    }
                };
            }
            if progress.changed().await.is_err() {
                return Ok(None);
            }
        }
    });
    batches.map_ok(|lines| stream::iter(lines.into_iter().map(Ok))).try_flatten().boxed()
}

/// Whether the bundle of a run says that it has ended.
pub(super) async fn is_over(bundles: &BundleStore, run_id: &RunId) -> Result<bool, ServiceError> {
    let reader = BundleReader::new(Arc::new(bundles.clone()));
    // As one that may be under way elsewhere.
    match reader.run(run_id, &BTreeSet::from([run_id.clone()])).await {
        Ok(record) => Ok(record.status.is_over()),
        Err(error) if error.is_no_such_run() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The place of a run in the queue, as an item among the lines.
fn in_queue(seq: u64, queue_position: Option<u32>) -> v1::RunEvent {
    v1::RunEvent { seq, json: String::new(), queue_position }
}

/// The lines that the bundle of a run holds, from the one numbered `from` on.
pub(super) async fn ended(bundles: &BundleStore, run_id: RunId, from: u64) -> Result<Lines, ServiceError> {
    let layout = RunLayout::new(run_id.clone());
    let content = bundles.get(&layout.log()).await?.ok_or(RecordError::NoSuchRun { run_id })?;
    let lines = complete_lines(&content).split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let events: Vec<v1::RunEvent> = lines
        .enumerate()
        .map(|(seq, line)| (seq as u64, String::from_utf8_lossy(line).into_owned()))
        .map(|(seq, json)| v1::RunEvent { seq, json, queue_position: None })
        .filter(|event| event.seq >= from)
        .collect();
    Ok(stream::iter(events.into_iter().map(Ok)).boxed())
}
