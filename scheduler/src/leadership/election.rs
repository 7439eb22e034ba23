//! Who leads: the holder of a short lease in the state store.
//!
//! A lease is over for the others when it has not been renewed for its whole time by their own clocks, counted from when
//! they last saw it change: so clocks that differ make nobody take over from a leader that renews its lease.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use windlass_base::error::full_message;

use super::handle::{LeaderAddress, Leadership, LeadershipLost, Term};
use crate::state::{
    Lease, LeaseHolder, LeaseOutcome, LeaseView, ProcessIdentity, RenewOutcome, StateError, StateStore,
};

/// The name of the lease.
const LEASE: &str = "scheduler/leader";
/// How many times a lease is renewed in its time.
const RENEWALS: u32 = 3;
/// How many times in that time the others look at it.
const LOOKS: u32 = 6;
/// How long the state store may be out of reach until a leader gives up although nobody is known to have taken over: shorter
/// than the leases of runs, so that these are not lost before.
const PATIENCE: Duration = Duration::from_secs(20);

/// This process as a candidate.
#[derive(Debug)]
pub(crate) struct Election {
    state: Arc<dyn StateStore>,
    leadership: Leadership,
    holder: LeaseHolder,
    ttl: Duration,
    patience: Duration,
    /// Another's lease as it was last seen to change: its end, and when that was.
    seen: Option<(LeaseHolder, DateTime<Utc>, Instant)>,
}

/// The lease of the leader, which is this process.
#[derive(Debug)]
pub(crate) struct LeaderLease {
    lease: Lease,
    taken: Instant,
}

impl Election {
    /// A candidate that is reached at `address`, for a lease of `ttl`.
    pub(crate) fn new(
        state: Arc<dyn StateStore>,
        leadership: Leadership,
        address: &LeaderAddress,
        ttl: Duration,
    ) -> Self {
        // Two texts: there is nothing in them that JSON refuses.
        let note = serde_json::to_string(address).unwrap_or_default();
        let holder = LeaseHolder { who: ProcessIdentity::current(), run_id: None, note };
        Self { state, leadership, holder, ttl, patience: PATIENCE, seen: None }
    }

    /// Waits until this process leads.
    pub(crate) async fn win(&mut self) -> LeaderLease {
        loop {
            match self.attempt().await {
                Ok(Some(lease)) => return lease,
                Ok(None) => {}
                Err(error) => tracing::warn!("it cannot be told who leads: {}", full_message(&error)),
            }
            sleep(self.ttl / LOOKS).await;
        }
    }

    /// Takes the lease if it is to be had. If it is not, it is known who leads.
    async fn attempt(&mut self) -> Result<Option<LeaderLease>, StateError> {
        let held = self.state.leases(LEASE).await?.into_iter().find(|view| view.name == LEASE);
        if let Some(view) = held
            && self.keeps_out(&view)
        {
            self.stand_by(&view.holder);
            return Ok(None);
        }
        let (taken, by_clock) = (Instant::now(), Utc::now());
        match self.state.acquire_lease(LEASE, &self.holder, self.ttl).await? {
            LeaseOutcome::Granted(lease) => {
                self.leadership.begin(Term::new(taken, by_clock, self.ttl));
                Ok(Some(LeaderLease { lease, taken }))
            }
            LeaseOutcome::HeldBy(held) => {
                self.stand_by(&held.holder);
                Ok(None)
            }
        }
    }

    fn stand_by(&self, leader: &LeaseHolder) {
        self.leadership.stand_by(serde_json::from_str(&leader.note).ok());
    }

    /// Whether another process has the lease.
    fn keeps_out(&mut self, view: &LeaseView) -> bool {
        if view.holder.who.is_gone() || view.holder.who == self.holder.who {
            return false;
        }
        let unchanged = self.seen.as_ref().filter(|(holder, end, _)| (holder, end) == (&view.holder, &view.expires_at));
        match unchanged {
            Some((_, _, since)) => since.elapsed() < self.ttl,
            None => {
                self.seen = Some((view.holder.clone(), view.expires_at, Instant::now()));
                true
            }
        }
    }

    /// Renews the lease until it is lost, or until `stop` fires: then it is given back.
    pub(crate) async fn keep(self, held: LeaderLease, stop: CancellationToken) {
        let LeaderLease { mut lease, taken: mut renewed } = held;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(self.ttl / RENEWALS) => {}
            }
            let (asked, by_clock) = (Instant::now(), Utc::now());
            let trouble = match timeout(self.ttl, self.state.renew_lease(&lease, self.ttl)).await {
                Ok(Ok(RenewOutcome::Renewed(again))) => {
                    (lease, renewed) = (again, asked);
                    self.leadership.extend(Term::new(asked, by_clock, self.ttl));
                    continue;
                }
                Ok(Ok(RenewOutcome::Lost)) => return self.leadership.depose(LeadershipLost::Taken),
                Ok(Err(error)) => full_message(&error),
                Err(_) => "the state store does not answer".to_owned(),
            };
            tracing::warn!("it cannot be renewed that this scheduler leads: {trouble}");
            if renewed.elapsed() >= self.ttl.max(self.patience) {
                let seconds = renewed.elapsed().as_secs();
                return self.leadership.depose(LeadershipLost::OutOfReach { seconds });
            }
        }
        if let Err(error) = self.state.release_lease(&lease).await {
            tracing::warn!("the leader's lease ends by itself: {}", full_message(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::stream::BoxStream;

    use windlass_base::error::Coded;

    use super::*;
    use crate::state::{Change, DeleteOutcome, Entry, MemoryStore, PutOutcome, Revision, Versioned};

    /// A store that cannot be reached.
    #[derive(Debug)]
    struct Silent;

    fn silent<T>() -> Result<T, StateError> {
        Err(StateError::Unreachable { store: "silent".to_owned(), source: "no answer".into() })
    }

    #[async_trait]
    impl StateStore for Silent {
        async fn get(&self, _: &str) -> Result<Option<Versioned>, StateError> {
            silent()
        }

        async fn compare_and_put(&self, _: &str, _: Option<Revision>, _: Bytes) -> Result<PutOutcome, StateError> {
            silent()
        }

        async fn compare_and_delete(&self, _: &str, _: Revision) -> Result<DeleteOutcome, StateError> {
            silent()
        }

        async fn list(&self, _: &str) -> Result<Vec<Entry>, StateError> {
            silent()
        }

        async fn watch(&self, _: &str) -> Result<BoxStream<'static, Result<Change, StateError>>, StateError> {
            silent()
        }

        async fn acquire_lease(&self, _: &str, _: &LeaseHolder, _: Duration) -> Result<LeaseOutcome, StateError> {
            silent()
        }

        async fn renew_lease(&self, _: &Lease, _: Duration) -> Result<RenewOutcome, StateError> {
            silent()
        }

        async fn release_lease(&self, _: &Lease) -> Result<(), StateError> {
            silent()
        }

        async fn leases(&self, _: &str) -> Result<Vec<LeaseView>, StateError> {
            silent()
        }
    }

    /// A candidate of another machine, of whose process nothing is known here.
    fn candidate(state: &MemoryStore, name: &str, ttl: Duration) -> Election {
        let address = LeaderAddress { api: format!("http://{name}:50051"), engine: format!("{name}:50050") };
        let mut election = Election::new(Arc::new(state.clone()), Leadership::standby(), &address, ttl);
        election.holder.who.host = name.to_owned();
        election.holder.who.machine = None;
        election
    }

    #[tokio::test]
    async fn one_leads_and_the_others_know_it() {
        let state = MemoryStore::default();
        let ttl = Duration::from_secs(3600);
        let (mut first, mut second) = (candidate(&state, "a", ttl), candidate(&state, "b", ttl));
        let lease = first.attempt().await.unwrap().unwrap();
        assert!(second.attempt().await.unwrap().is_none());
        assert_eq!(second.leadership.leader().unwrap().api, "http://a:50051");
        assert!(first.leadership.is_sure() && !second.leadership.is_elected());

        // It is given back, and taken at once.
        let stop = CancellationToken::new();
        stop.cancel();
        first.keep(lease, stop).await;
        assert!(second.attempt().await.unwrap().is_some());
        assert!(second.leadership.is_sure());
    }

    #[tokio::test]
    async fn a_lease_that_is_not_renewed_is_taken_and_its_holder_deposed() {
        let state = MemoryStore::default();
        let ttl = Duration::from_millis(50);
        let (mut first, mut second) = (candidate(&state, "a", ttl), candidate(&state, "b", ttl));
        let lease = first.attempt().await.unwrap().unwrap();
        assert!(second.attempt().await.unwrap().is_none(), "it was not seen for its whole time");
        second.win().await;
        assert!(!first.leadership.is_sure());
        let leadership = first.leadership.clone();
        first.keep(lease, CancellationToken::new()).await;
        assert_eq!(leadership.lost().await, LeadershipLost::Taken);
    }

    #[tokio::test]
    async fn a_leader_that_cannot_renew_its_lease_gives_up() {
        let mut election = candidate(&MemoryStore::default(), "a", Duration::from_millis(30));
        let lease = election.attempt().await.unwrap().unwrap();
        (election.state, election.patience) = (Arc::new(Silent), Duration::from_millis(60));
        let leadership = election.leadership.clone();
        election.keep(lease, CancellationToken::new()).await;
        assert!(!leadership.is_elected());
        let lost = leadership.lost().await;
        assert!(matches!(lost, LeadershipLost::OutOfReach { .. }));
        assert_eq!(lost.code().0, "WL0641");
    }
}
