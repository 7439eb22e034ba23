//! Checkpoints, and what is removed of the log.

use windlass_base::count::counted;
use windlass_base::ids::TableVersion;
use windlass_evidence::artifact::MaintenanceKind;

use super::kept::{Needs, before, oldest};
use super::{MaintenanceFacts, PlannedAction, Work, text};

/// Fewer commits than this are not worth removing.
const FEWEST_COMMITS: u64 = 10;

/// Decides about a checkpoint of the newest version.
pub(super) fn checkpoint(facts: &MaintenanceFacts<'_>) -> PlannedAction {
    let (log, version, every) = (&facts.table.log, facts.table.version, facts.policy.checkpoint_every.max(1));
    let not_due = |reason: String| PlannedAction::not_due(MaintenanceKind::Checkpoint, reason);
    if version.0 == 0 {
        return not_due("the table has only one version".to_owned());
    }
    let commits = log.since_checkpoint();
    let follow = if commits == 1 { "follows" } else { "follow" };
    let since = match log.checkpoints.iter().max() {
        Some(last) => format!("{} {follow} the checkpoint of version {last}", counted(commits, "commit")),
        None => format!("the log has {} and no checkpoint", counted(commits, "commit")),
    };
    let reason = format!("{since}, and `checkpoint_every` is {every}");
    match commits >= every {
        true => {
            PlannedAction::due(MaintenanceKind::Checkpoint, reason, Work::Checkpoint(version)).with_estimate(commits, 0)
        }
        false => not_due(reason),
    }
}

/// Decides which commits and checkpoints are removed, and about the checkpoint that has to be made first, if one has.
/// `checkpoint` is what was decided about the newest version.
pub(super) fn clean(
    facts: &MaintenanceFacts<'_>,
    needs: &Needs,
    checkpoint: &PlannedAction,
) -> (Option<PlannedAction>, PlannedAction) {
    let log = &facts.table.log;
    let (floor, limit) = floor(facts, needs);
    let planned = match &checkpoint.work {
        Some(Work::Checkpoint(version)) => Some(version),
        _ => None,
    };
    let base = log.checkpoints.iter().chain(planned).filter(|version| **version <= floor).max().copied();
    let not_due = |reason: String| (None, PlannedAction::not_due(MaintenanceKind::CleanLog, reason));
    if let Some(base) = base {
        let (commits, checkpoints) = older(facts, base);
        if commits < FEWEST_COMMITS && checkpoints == 0 {
            let are = text::are(commits);
            let few = counted(commits, "commit");
            return not_due(format!(
                "{limit}; there {are} {few} before the checkpoint of version {base}, too few to remove"
            ));
        }
        let reason = format!("{limit}; what is before the checkpoint of version {base} is not needed");
        return (None, removal(facts, base, reason));
    }
    let (commits, _) = older(facts, floor);
    if commits < FEWEST_COMMITS {
        let are = text::are(commits);
        return not_due(format!("{limit}; there {are} {} before, too few to remove", counted(commits, "commit")));
    }
    // Without a checkpoint below it, a version is made of all commits from the first one on.
    if log.commits.range(..=floor).count() as u64 != floor.0.saturating_add(1) {
        return not_due(format!(
            "{limit}; the log has neither a checkpoint up to there nor all commits, so nothing is removed"
        ));
    }
    let reason = format!("the log is to begin with version {floor}, and has no checkpoint up to there");
    let made =
        PlannedAction::due(MaintenanceKind::Checkpoint, reason, Work::Checkpoint(floor)).with_estimate(floor.0 + 1, 0);
    let reason = format!("{limit}; what is before it is not needed once it has a checkpoint");
    (Some(made), removal(facts, floor, reason))
}

/// The newest version that the log may begin with, and what does not let it be a newer one.
fn floor(facts: &MaintenanceFacts<'_>, needs: &Needs) -> (TableVersion, String) {
    let log = &facts.table.log;
    let span = text::span(facts.policy.log_retention);
    // Each commit before that version was followed by another one so long ago.
    let by_age = match log.version_at(before(facts.now, facts.policy.log_retention)) {
        Some(version) => (version, format!("version {version} was the newest {span} ago (`log_retention`)")),
        None => {
            let reason = format!("no commit is older than {span} (`log_retention`)");
            (oldest(log, facts.table.version), reason)
        }
    };
    let newest = facts.table.version;
    let mut limits = vec![by_age, by_versions(facts, needs)];
    limits.extend(log.last_run.map(|run| (run, format!("version {run} is the last commit of a run"))));
    limits.push((newest, format!("version {newest} is the newest")));
    let first = limits.into_iter().min_by_key(|(version, _)| *version);
    first.unwrap_or((newest, String::new()))
}

/// The oldest version that must stay readable, and why it must.
fn by_versions(facts: &MaintenanceFacts<'_>, needs: &Needs) -> (TableVersion, String) {
    let version = needs.retained.oldest();
    let span = text::span(facts.policy.vacuum.retention);
    let reason = match needs.oldest() {
        Some(held) if held.and_later => format!("{} needs what follows version {version}", text::holder(&held.by)),
        Some(held) => format!("version {version} is kept by {}", text::holder(&held.by)),
        None if needs.is_old => format!("version {version} was the newest {span} ago (`retention`)"),
        None => format!("no version is older than {span} (`retention`)"),
    };
    (version, reason)
}

/// How many commits and checkpoints are older than a version.
fn older(facts: &MaintenanceFacts<'_>, version: TableVersion) -> (u64, u64) {
    let log = &facts.table.log;
    let checkpoints = log.checkpoints.iter().filter(|checkpoint| **checkpoint < version).count();
    (log.commits.range(..version).count() as u64, checkpoints as u64)
}

/// The removal of what is before a version, with the part of the log's bytes that its files have on average.
fn removal(facts: &MaintenanceFacts<'_>, version: TableVersion, reason: String) -> PlannedAction {
    let log = &facts.table.log;
    let (commits, checkpoints) = older(facts, version);
    let (files, all) = (commits + checkpoints, log.commits.len() as u64 + log.checkpoints.len() as u64);
    let bytes = u128::from(log.bytes) * u128::from(files) / u128::from(all.max(1));
    let bytes = u64::try_from(bytes).unwrap_or(log.bytes);
    PlannedAction::due(MaintenanceKind::CleanLog, reason, Work::CleanLog(version)).with_estimate(files, bytes)
}
