//! Which files are removed unless they are retained.

use windlass_base::count::counted;
use windlass_evidence::artifact::{KeptVersion, MaintenanceKind};

use super::kept::{Needs, before};
use super::{MaintenanceFacts, PlannedAction, Vacuum, Work, text};

/// Decides what is removed. Whether there are such files is known only when the log is read, so it is always due for a table
/// that has changed.
pub(super) fn plan(facts: &MaintenanceFacts<'_>, needs: &Needs) -> PlannedAction {
    let policy = &facts.policy.vacuum;
    if !policy.enabled {
        return PlannedAction::not_due(MaintenanceKind::Vacuum, "`vacuum` is off");
    }
    if facts.table.version.0 == 0 {
        return PlannedAction::not_due(MaintenanceKind::Vacuum, "the table has only one version");
    }
    // A listing that is said to come from the future is no reason to list again.
    let age = facts.last_full_vacuum.map(|last| (facts.now - last).to_std().unwrap_or_default());
    let is_full = age.is_none_or(|age| age >= policy.full_every);
    if !is_full && needs.retained.since.0 == 0 {
        let reason = format!("all versions are needed: {}", limit(facts, needs));
        return PlannedAction::not_due(MaintenanceKind::Vacuum, reason);
    }
    let unnamed_before = is_full.then(|| before(facts.now, policy.retention));
    let kind = if is_full { MaintenanceKind::FullVacuum } else { MaintenanceKind::Vacuum };
    let mut reason = reason(facts, needs);
    if is_full {
        let last = match age {
            None => "it never was".to_owned(),
            Some(_) => format!("that is done every {}", text::span(policy.full_every)),
        };
        reason.push_str(&format!("; the folder is listed for files that no commit names: {last}"));
    }
    let work = Work::Vacuum(Vacuum { retained: needs.retained.clone(), unnamed_before });
    PlannedAction::due(kind, reason, work)
}

/// Which versions are not needed, and what keeps others.
fn reason(facts: &MaintenanceFacts<'_>, needs: &Needs) -> String {
    let (since, limit) = (needs.retained.since, limit(facts, needs));
    if since.0 == 0 {
        return format!("all versions are needed: {limit}");
    }
    let mut single: Vec<&KeptVersion> = needs.single().collect();
    single.dedup_by_key(|held| held.version);
    let Some((first, rest)) = single.split_first() else {
        return format!("versions before {since} are not needed: {limit}");
    };
    let more = match rest.len() {
        0 => String::new(),
        more => format!(", and {} {} kept", counted(more, "more version"), text::are(more as u64)),
    };
    let kept = format!("version {} is kept by {}{more}", first.version, text::holder(&first.by));
    format!("{kept}; files that only other versions before {since} need are removed: {limit}")
}

/// What does not let later versions go.
fn limit(facts: &MaintenanceFacts<'_>, needs: &Needs) -> String {
    let span = text::span(facts.policy.vacuum.retention);
    match needs.since() {
        Some(held) => format!("{} needs what follows", text::holder(&held.by)),
        None if needs.is_old => format!("`retention` is {span}"),
        None => format!("none of the log is older than {span} (`retention`)"),
    }
}
