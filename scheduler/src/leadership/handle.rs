//! Whether this process leads, as its parts ask it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use windlass_base::coded;

/// Where a scheduler is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderAddress {
    /// The URL of its API.
    pub api: String,
    /// Host and port of its engine port.
    pub engine: String,
}

/// Why a scheduler leads no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeadershipLost {
    /// Another one does.
    #[error("another scheduler has taken over")]
    Taken,
    /// The state store was out of reach for so long that another one may.
    #[error("the state store could not be told for {seconds} s that this scheduler leads")]
    OutOfReach {
        /// How long.
        seconds: u64,
    },
}

coded! {
    LeadershipLost {
        Taken => "WL0640" retry, "start it again: it stands by then, and its runs go on in the scheduler that leads";
        OutOfReach => "WL0641" retry,
            "check the state store, and start it again: whichever scheduler leads takes up the runs";
    }
}

/// Until when nobody else can lead. The one clock stands still while the machine sleeps, the other may be set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    end: Instant,
    end_by_clock: DateTime<Utc>,
}

impl Term {
    /// `length` from `start` on, which was before the lease was asked for.
    pub(super) fn new(start: Instant, start_by_clock: DateTime<Utc>, length: Duration) -> Self {
        Self { end: start + length, end_by_clock: start_by_clock + length }
    }

    fn is_in_force(&self) -> bool {
        Instant::now() < self.end && Utc::now() < self.end_by_clock
    }
}

/// What the process is among the schedulers.
#[derive(Debug, Clone)]
enum Role {
    Standby { leader: Option<LeaderAddress> },
    Leader { term: Term, is_open: bool },
    Deposed(LeadershipLost),
}

impl Role {
    fn is_sure(&self) -> bool {
        matches!(self, Self::Leader { term, .. } if term.is_in_force())
    }
}

/// Whether this process leads. Clones tell the same. By default it does, for ever: nobody else is there.
#[derive(Debug, Clone, Default)]
pub struct Leadership(Option<Arc<watch::Sender<Role>>>);

impl Leadership {
    /// Of a process that stands by until it is elected.
    pub fn standby() -> Self {
        Self(Some(Arc::new(watch::Sender::new(Role::Standby { leader: None }))))
    }

    /// Whether it leads, and accepts work of clients.
    pub fn leads(&self) -> bool {
        self.role_is(|role| role.is_sure() && matches!(role, Role::Leader { is_open: true, .. }))
    }

    /// Whether no other process can lead at this moment.
    #[cfg(test)]
    pub(super) fn is_sure(&self) -> bool {
        self.role_is(Role::is_sure)
    }

    /// Whether it was elected and knows of no other. Another one may lead by now.
    pub(crate) fn is_elected(&self) -> bool {
        self.role_is(|role| matches!(role, Role::Leader { .. }))
    }

    /// The leader, if it is another one and known.
    pub fn leader(&self) -> Option<LeaderAddress> {
        match &*self.0.as_ref()?.borrow() {
            Role::Standby { leader } => leader.clone(),
            Role::Leader { .. } | Role::Deposed(_) => None,
        }
    }

    /// Waits until no other process can lead. It may be too late for that: then for ever.
    pub(crate) async fn sure(&self) {
        let Some(role) = &self.0 else { return };
        // The sender is here.
        let _ = role.subscribe().wait_for(Role::is_sure).await;
    }

    /// Waits until it leads no more after it did.
    pub async fn lost(&self) -> LeadershipLost {
        let Some(role) = &self.0 else { return std::future::pending().await };
        let mut role = role.subscribe();
        loop {
            if let Role::Deposed(reason) = *role.borrow_and_update() {
                return reason;
            }
            if role.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    pub(super) fn stand_by(&self, leader: Option<LeaderAddress>) {
        self.change(|role| match role {
            Role::Standby { leader: known } => std::mem::replace(known, leader.clone()) != leader,
            Role::Leader { .. } | Role::Deposed(_) => false,
        });
    }

    /// It was elected.
    pub(super) fn begin(&self, term: Term) {
        self.change(|role| {
            *role = Role::Leader { term, is_open: false };
            true
        });
    }

    /// The lease was renewed.
    pub(super) fn extend(&self, renewed: Term) {
        self.change(|role| match role {
            Role::Leader { term, .. } => {
                *term = renewed;
                true
            }
            Role::Standby { .. } | Role::Deposed(_) => false,
        });
    }

    /// From now on it accepts work of clients: what the leader before has left is known.
    pub(crate) fn open(&self) {
        self.change(|role| match role {
            Role::Leader { is_open, .. } => !std::mem::replace(is_open, true),
            Role::Standby { .. } | Role::Deposed(_) => false,
        });
    }

    pub(super) fn depose(&self, reason: LeadershipLost) {
        self.change(|role| {
            *role = Role::Deposed(reason);
            true
        });
    }

    fn change(&self, change: impl FnOnce(&mut Role) -> bool) {
        if let Some(role) = &self.0 {
            role.send_if_modified(change);
        }
    }

    fn role_is(&self, test: impl FnOnce(&Role) -> bool) -> bool {
        self.0.as_ref().is_none_or(|role| test(&role.borrow()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(length: Duration) -> Term {
        Term::new(Instant::now(), Utc::now(), length)
    }

    #[tokio::test]
    async fn a_leader_is_sure_as_long_as_its_lease_lasts() {
        let leadership = Leadership::standby();
        let other = LeaderAddress { api: "http://a:1".to_owned(), engine: "a:2".to_owned() };
        leadership.stand_by(Some(other.clone()));
        assert!(!leadership.leads() && !leadership.is_elected());
        assert_eq!(leadership.leader(), Some(other));

        leadership.begin(term(Duration::ZERO));
        assert!(leadership.is_elected() && !leadership.is_sure());
        let waiting = leadership.clone();
        let waiting = tokio::spawn(async move { waiting.sure().await });
        leadership.extend(term(Duration::from_secs(3600)));
        waiting.await.unwrap();
        assert!(!leadership.leads(), "it takes up the runs first");
        leadership.open();
        assert!(leadership.leads());
        assert_eq!(leadership.leader(), None);

        leadership.depose(LeadershipLost::Taken);
        assert!(!leadership.leads() && !leadership.is_elected());
        assert_eq!(leadership.lost().await, LeadershipLost::Taken);
        leadership.extend(term(Duration::from_secs(3600)));
        assert!(!leadership.is_sure(), "it does not come back");
    }

    #[tokio::test]
    async fn a_process_alone_leads() {
        let leadership = Leadership::default();
        leadership.sure().await;
        assert!(leadership.leads() && leadership.is_elected());
    }
}
