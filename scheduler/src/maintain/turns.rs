//! The turns of maintenance that this process works on, so that runs do not wait for them: a run comes first.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use windlass_base::ids::PipelineName;

/// The turns of this process, one a pipeline at most. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    active: Arc<Mutex<HashMap<PipelineName, ActiveTurn>>>,
}

#[derive(Debug, Clone)]
struct ActiveTurn {
    stop: CancellationToken,
    ended: watch::Receiver<()>,
}

/// A turn that is listed as long as this exists.
pub(super) struct ListedTurn {
    turns: Turns,
    pipeline: PipelineName,
    /// Dropped with this, which tells those who wait.
    _alive: watch::Sender<()>,
}

impl Turns {
    /// Lists a turn that ends when `stop` fires. A later one of the same pipeline takes its place: only one of them gets
    /// the leases.
    pub(super) fn list(&self, pipeline: &PipelineName, stop: CancellationToken) -> ListedTurn {
        let (alive, ended) = watch::channel(());
        self.active.lock().insert(pipeline.clone(), ActiveTurn { stop, ended });
        ListedTurn { turns: self.clone(), pipeline: pipeline.clone(), _alive: alive }
    }

    /// Stops the turn of a pipeline, if there is one, and waits for its end.
    pub(crate) async fn give_way(&self, pipeline: &PipelineName) {
        let active = self.active.lock().get(pipeline).cloned();
        if let Some(mut turn) = active {
            tracing::info!(%pipeline, "maintenance gives way to a run");
            turn.stop.cancel();
            // It fails when the turn has ended.
            while turn.ended.changed().await.is_ok() {}
        }
    }
}

impl Drop for ListedTurn {
    fn drop(&mut self) {
        self.turns.active.lock().remove(&self.pipeline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_stops_the_turn_of_its_pipeline_and_waits_for_its_end() {
        let turns = Turns::default();
        let (stop, other) = (CancellationToken::new(), CancellationToken::new());
        let listed = turns.list(&"shop".into(), stop.clone());
        let _other = turns.list(&"lake".into(), other.clone());
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.give_way(&"shop".into()).await }
        });
        stop.cancelled().await;
        assert!(!waiting.is_finished() && !other.is_cancelled());
        drop(listed);
        waiting.await.unwrap();
        // Nothing is left to wait for.
        turns.give_way(&"shop".into()).await;
    }
}
