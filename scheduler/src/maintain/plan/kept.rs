//! What must stay of a table, and on whose account.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use windlass_base::ids::TableVersion;
use windlass_delta::maintenance::{LogFacts, Retained};
use windlass_evidence::artifact::{KeptVersion, PinHolder};

use super::MaintenanceFacts;

/// What must stay of a table.
#[derive(Debug)]
pub(super) struct Needs {
    /// The versions.
    pub retained: Retained,
    /// Whether the log reaches back to when the retention began.
    pub is_old: bool,
    /// What keeps versions that the retention would let go, by version.
    pub kept: Vec<KeptVersion>,
    /// Those of them that the log still has.
    effective: Vec<KeptVersion>,
}

impl Needs {
    /// Adds up what keeps versions of a table.
    ///
    /// A version that the log cannot rebuild any more is reported as kept, and changes nothing else: there is nothing to
    /// keep of it, and nothing else may wait for it.
    pub(super) fn of(facts: &MaintenanceFacts<'_>) -> Self {
        let log = &facts.table.log;
        let old = log.version_at(before(facts.now, facts.policy.vacuum.retention));
        let by_retention = old.unwrap_or_else(|| oldest(log, facts.table.version)).min(facts.table.version);

        let by_policy = facts.policy.keep.versions.iter().map(|version| KeptVersion {
            version: TableVersion(*version),
            and_later: false,
            by: PinHolder::Policy,
        });
        let mut kept: Vec<_> =
            facts.held.iter().cloned().chain(by_policy).filter(|held| held.version < by_retention).collect();
        kept.sort_by(|one, other| order(one).cmp(&order(other)));
        kept.dedup();

        let first = first_readable(log, facts.table.version);
        let exists = |held: &KeptVersion| match held.and_later {
            // Its changes can be told by the commits alone.
            true => held.version >= first || log.commits.contains_key(&TableVersion(held.version.0.saturating_add(1))),
            false => held.version >= first,
        };
        let effective: Vec<_> = kept.iter().filter(|held| exists(held)).cloned().collect();
        let since = effective.iter().filter(|held| held.and_later).map(|held| held.version).min();
        let since = since.unwrap_or(by_retention);
        let versions: BTreeSet<_> = effective.iter().map(|held| held.version).filter(|held| *held < since).collect();
        Self { retained: Retained { versions, since }, is_old: old.is_some(), kept, effective }
    }

    /// What keeps everything from [`Retained::since`] on; `None` if it is the retention.
    pub(super) fn since(&self) -> Option<&KeptVersion> {
        self.effective.iter().find(|held| held.and_later)
    }

    /// What keeps the single versions.
    pub(super) fn single(&self) -> impl Iterator<Item = &KeptVersion> {
        self.effective.iter().filter(|held| held.version < self.retained.since)
    }

    /// What keeps the oldest version; `None` if it is the retention.
    pub(super) fn oldest(&self) -> Option<&KeptVersion> {
        self.single().next().or_else(|| self.since())
    }
}

/// By version; of one version, what keeps the later ones too comes first.
fn order(held: &KeptVersion) -> (TableVersion, bool, &PinHolder) {
    (held.version, !held.and_later, &held.by)
}

/// The time before another one by a span; the earliest there is if it would be before that.
pub(super) fn before(time: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    let span = TimeDelta::from_std(span).ok();
    span.and_then(|span| time.checked_sub_signed(span)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// The oldest version with a commit or a checkpoint.
pub(super) fn oldest(log: &LogFacts, newest: TableVersion) -> TableVersion {
    let commit = log.commits.keys().next();
    commit.into_iter().chain(&log.checkpoints).min().copied().unwrap_or(newest)
}

/// The oldest version that can be rebuilt: commits need a checkpoint below them, or all that come before.
fn first_readable(log: &LogFacts, newest: TableVersion) -> TableVersion {
    match log.commits.contains_key(&TableVersion(0)) {
        true => TableVersion(0),
        false => log.checkpoints.iter().min().copied().unwrap_or_else(|| oldest(log, newest)),
    }
}
