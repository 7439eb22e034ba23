//! What a run holds while it changes tables: the pipeline, against other runs that share the state store, and the home,
//! against other processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use windlass_base::error::full_message;
use windlass_base::failpoint;
use windlass_base::ids::{PipelineName, RunId};

use crate::Scheduler;
use crate::maintain::{Origin, Turns};
use crate::plan::PlanRequest;
use crate::run::error::RunError;
use crate::state::{Lease, LeaseHolder, ProcessIdentity, RenewOutcome, StateStore};
use crate::writer::{HomeWriter, WriterError};

/// How long a lease lasts without being renewed.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// How often it is renewed.
const LEASE_PERIOD: Duration = Duration::from_secs(8);
/// How often turns of maintenance are stopped until they count as others that are in the way.
const GIVEN_WAY: u32 = 3;

/// How often it is looked whether the leases of a process that is gone have ended.
const TAKE_OVER_POLL: Duration = Duration::from_millis(500);

/// The lease under which the tables of a pipeline are changed.
fn lease_name(pipeline: &PipelineName) -> String {
    format!("pipelines/{pipeline}")
}

/// What a run, or a reset of cursors, holds. Renewed until it is released.
pub(crate) struct Leases {
    state: Arc<dyn StateStore>,
    pipeline: Lease,
    home: Arc<HomeWriter>,
    keeper: JoinHandle<()>,
}

impl Leases {
    /// Takes them; `lost` fires if they are lost before they are released. `note` says what for.
    pub(crate) async fn take(
        scheduler: &Scheduler,
        request: &PlanRequest,
        note: &str,
        lost: CancellationToken,
    ) -> Result<Self, RunError> {
        let run = request.run.clone();
        let holder = LeaseHolder { who: ProcessIdentity::current(), run_id: Some(run.clone()), note: note.to_owned() };
        let name = lease_name(&request.graph.name);
        let state = Arc::clone(&scheduler.state);
        failpoint!("lease.pipeline_taken.before");
        let lease = state.acquire_lease(&name, &holder, LEASE_TTL).await?;
        failpoint!("lease.pipeline_taken.after");
        let pipeline = lease.granted().map_err(|held| RunError::Busy(held.into()))?;
        failpoint!("lease.home_taken.before");
        let held = HomeWriter::hold(&request.home, run, note, scheduler.sessions.stores()).await;
        failpoint!("lease.home_taken.after");
        match held {
            Ok(home) => {
                let home = Arc::new(home);
                let keeper = tokio::spawn(keep(Arc::clone(&state), pipeline.clone(), Arc::clone(&home), lost));
                Ok(Self { state, pipeline, home, keeper })
            }
            Err(error) => {
                if let Err(error) = state.release_lease(&pipeline).await {
                    tracing::warn!(%error, "a lease cannot be released; it ends by itself");
                }
                Err(error.into())
            }
        }
    }

    /// As [`Leases::take`], but turns of maintenance of this process, up to those of `turns`, give way.
    pub(crate) async fn take_before(
        turns: Origin,
        scheduler: &Scheduler,
        request: &PlanRequest,
        note: &str,
        lost: CancellationToken,
    ) -> Result<Self, RunError> {
        for _ in 1..GIVEN_WAY {
            scheduler.turns.give_way(&request.graph.name, turns).await;
            match Self::take(scheduler, request, note, lost.clone()).await {
                // A turn was quicker. It can be stopped, too.
                Err(RunError::Busy(held)) if Turns::is_of_turn(&held.holder, turns) => {}
                outcome => return outcome,
            }
        }
        scheduler.turns.give_way(&request.graph.name, turns).await;
        Self::take(scheduler, request, note, lost).await
    }

    /// As [`Leases::take_before`], for a run of a process that is gone: its leases are waited for, at most for `patience`.
    pub(crate) async fn take_over(
        scheduler: &Scheduler,
        request: &PlanRequest,
        note: &str,
        lost: CancellationToken,
        patience: Duration,
    ) -> Result<Self, RunError> {
        let until = Instant::now() + patience;
        loop {
            match Self::take_before(Origin::Asked, scheduler, request, note, lost.clone()).await {
                Err(RunError::Busy(_) | RunError::Writer(WriterError::Busy { .. })) if Instant::now() < until => {
                    tokio::time::sleep(TAKE_OVER_POLL).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// The runs of this process that write to the home.
    pub(crate) fn runs(&self) -> BTreeSet<RunId> {
        self.home.runs()
    }

    /// Gives them back. What was done stands whether or not that works: answers with what went wrong.
    pub(crate) async fn release(self) -> Vec<String> {
        self.keeper.abort();
        // What it holds of the home is gone with it.
        let _ = self.keeper.await;
        let mut trouble = Vec::new();
        failpoint!("lease.home_released.before");
        if let Some(home) = Arc::into_inner(self.home)
            && let Err(error) = home.release().await
        {
            trouble.push(format!("the home could not be released for other processes: {}", full_message(&error)));
        }
        failpoint!("lease.home_released.after");
        failpoint!("lease.pipeline_released.before");
        let released = self.state.release_lease(&self.pipeline).await;
        failpoint!("lease.pipeline_released.after");
        if let Err(error) = released {
            trouble.push(format!("the pipeline's lease could not be released: {}", full_message(&error)));
        }
        for trouble in &trouble {
            tracing::warn!("{trouble}");
        }
        trouble
    }
}

/// Renews leases until one is lost.
async fn keep(state: Arc<dyn StateStore>, mut lease: Lease, home: Arc<HomeWriter>, lost: CancellationToken) {
    loop {
        tokio::time::sleep(LEASE_PERIOD).await;
        match state.renew_lease(&lease, LEASE_TTL).await {
            Ok(RenewOutcome::Renewed(renewed)) => lease = renewed,
            Ok(RenewOutcome::Lost) => return lost.cancel(),
            // The store may be back in time; if not, the lease is lost by then.
            Err(_) if Utc::now() < lease.expires_at => {}
            Err(_) => return lost.cancel(),
        }
        match home.renew().await {
            Ok(true) => {}
            Ok(false) => return lost.cancel(),
            Err(error) if home.is_in_force() => tracing::warn!(%error, "the lease of the home cannot be renewed"),
            Err(_) => return lost.cancel(),
        }
    }
}
