//! The turns of maintenance that this process works on, so that runs do not wait for them: a run comes first.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use windlass_base::ids::{PipelineName, RunId};

use super::holds::EndedRuns;
use crate::state::{LeaseHolder, ProcessIdentity};

/// Why a turn takes place. What comes first gives way last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// It follows a run.
    AfterRun,
    /// Somebody asks for it.
    Asked,
}

impl Origin {
    /// What its leases are for, as those read who find them taken.
    pub(super) fn note(self) -> &'static str {
        match self {
            Self::AfterRun => "maintenance after a run",
            Self::Asked => "windlass maintain",
        }
    }
}

/// The turns of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    active: Arc<Mutex<HashMap<RunId, ActiveTurn>>>,
    /// What turns have read of runs that had ended.
    pub(super) ended: EndedRuns,
}

#[derive(Debug, Clone)]
struct ActiveTurn {
    pipeline: PipelineName,
    origin: Origin,
    stop: CancellationToken,
    ended: watch::Receiver<()>,
}

/// A turn that is listed as long as this exists.
pub(super) struct ListedTurn {
    turns: Turns,
    turn: RunId,
    /// Dropped with this, which tells those who wait.
    _alive: watch::Sender<()>,
}

impl Turns {
    /// Lists a turn that ends when `stop` fires. It takes its leases only then, so that what finds them taken finds it here.
    pub(super) fn list(
        &self,
        turn: &RunId,
        pipeline: &PipelineName,
        origin: Origin,
        stop: CancellationToken,
    ) -> ListedTurn {
        let (alive, ended) = watch::channel(());
        let active = ActiveTurn { pipeline: pipeline.clone(), origin, stop, ended };
        self.active.lock().insert(turn.clone(), active);
        ListedTurn { turns: self.clone(), turn: turn.clone(), _alive: alive }
    }

    /// Stops the turns of a pipeline that come last, up to those of `most`, and waits for their end.
    pub(crate) async fn give_way(&self, pipeline: &PipelineName, most: Origin) {
        let is_behind = |turn: &&ActiveTurn| turn.pipeline == *pipeline && turn.origin <= most;
        let active: Vec<ActiveTurn> = self.active.lock().values().filter(is_behind).cloned().collect();
        for mut turn in active {
            tracing::info!(%pipeline, "maintenance gives way");
            turn.stop.cancel();
            // It fails when the turn has ended.
            while turn.ended.changed().await.is_ok() {}
        }
    }

    /// Whether a lease was taken for a turn of this process that [`Turns::give_way`] stops.
    pub(crate) fn is_of_turn(holder: &LeaseHolder, most: Origin) -> bool {
        let of_turn = [Origin::AfterRun, Origin::Asked].into_iter().any(|of| of <= most && of.note() == holder.note);
        of_turn && holder.who == ProcessIdentity::current()
    }
}

impl Drop for ListedTurn {
    fn drop(&mut self) {
        self.turns.active.lock().remove(&self.turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(turns: &Turns, pipeline: &str, origin: Origin) -> (ListedTurn, CancellationToken) {
        let stop = CancellationToken::new();
        (turns.list(&RunId::generate(), &pipeline.into(), origin, stop.clone()), stop)
    }

    #[tokio::test]
    async fn a_run_stops_the_turns_of_its_pipeline_and_waits_for_their_end() {
        let turns = Turns::default();
        let (listed, stop) = list(&turns, "shop", Origin::Asked);
        // One that has no leases yet: it is told as well.
        let (late, late_stop) = list(&turns, "shop", Origin::AfterRun);
        let (_other, other) = list(&turns, "lake", Origin::Asked);
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.give_way(&"shop".into(), Origin::Asked).await }
        });
        tokio::spawn(async move {
            late_stop.cancelled().await;
            drop(late);
        });
        stop.cancelled().await;
        assert!(!waiting.is_finished() && !other.is_cancelled());
        drop(listed);
        waiting.await.unwrap();
        // Nothing is left to wait for.
        turns.give_way(&"shop".into(), Origin::Asked).await;
    }

    #[tokio::test]
    async fn a_turn_that_is_asked_for_stops_only_one_that_follows_a_run() {
        let turns = Turns::default();
        let (_asked, stop) = list(&turns, "shop", Origin::Asked);
        turns.give_way(&"shop".into(), Origin::AfterRun).await;
        assert!(!stop.is_cancelled());

        let holder = |note: &str| LeaseHolder { who: ProcessIdentity::current(), run_id: None, note: note.to_owned() };
        assert!(Turns::is_of_turn(&holder(Origin::AfterRun.note()), Origin::AfterRun));
        assert!(!Turns::is_of_turn(&holder(Origin::Asked.note()), Origin::AfterRun));
        assert!(Turns::is_of_turn(&holder(Origin::Asked.note()), Origin::Asked));
        assert!(!Turns::is_of_turn(&holder("windlass run"), Origin::Asked));
    }
}
