//! Which files are written as fewer and larger ones, and which without their deleted rows.

use bytesize::ByteSize;
use windlass_base::count::counted;
use windlass_evidence::artifact::MaintenanceKind;
use windlass_project::maintenance::Readers;

use super::bins::{Budget, Capacity, Packed, pack};
use super::files::{DataFile, Partitions, is_below_half};
use super::zorder::LaidOut;
use super::{MaintenanceFacts, PlannedAction, text};

/// Decides what is compacted. In a table that is laid out, that is only what is not worth sorting: the layout takes care of
/// small files.
pub(super) fn plan<'f>(
    facts: &MaintenanceFacts<'f>,
    partitions: &Partitions<'f>,
    laid_out: &LaidOut<'f>,
    budget: &mut Budget,
) -> PlannedAction {
    let not_due = |reason: String| PlannedAction::not_due(MaintenanceKind::Compact, reason);
    if let Some(reason) = text::no_rewrites(facts) {
        return not_due(reason);
    }
    let capacity = Capacity::of(facts, partitions.target);
    let mut due = 0;
    let mut packed = Vec::new();
    for (partition, files) in &partitions.files {
        let bins = match laid_out {
            Some(laid_out) if laid_out.contains(partition) => continue,
            Some(_) => pack(files.iter().copied().filter(|file| file.shrinks), capacity),
            None => bins_of(facts, files, partitions.target, capacity),
        };
        due += usize::from(!bins.is_empty());
        packed.extend(bins);
    }
    if packed.is_empty() {
        return not_due(still(facts, partitions, laid_out));
    }
    let reason = why(facts, partitions, &packed, due);
    budget.take(&packed).planned(MaintenanceKind::Compact, reason, &[], partitions.target)
}

/// The bins of a partition; none if it is not due.
fn bins_of<'f>(
    facts: &MaintenanceFacts<'f>,
    files: &[DataFile<'f>],
    target: u64,
    capacity: Capacity,
) -> Vec<Packed<'f>> {
    let allowed = facts.policy.optimize.small_files;
    let small = files.iter().filter(|file| file.small).count() as u64;
    let others = files.iter().filter(|file| file.small && !file.shrinks).count() as u64;
    let shrunk = pack(files.iter().copied().filter(|file| file.shrinks), capacity);
    // Files become small by losing rows. If there are too many afterwards, they are combined at once.
    let left = shrunk.iter().filter(|bin| bin.live > 0 && is_below_half(bin.live, target)).count() as u64;
    if small <= allowed && others + left <= allowed {
        return shrunk;
    }
    let mut bins = pack(files.iter().copied().filter(|file| file.small || file.shrinks), capacity);
    // One file that keeps its rows would be written as it is.
    bins.retain(|bin| bin.files.len() > 1 || bin.files.iter().any(|file| file.shrinks));
    bins
}

/// Why files are rewritten.
fn why(facts: &MaintenanceFacts<'_>, partitions: &Partitions<'_>, bins: &[Packed<'_>], due: usize) -> String {
    let files = || bins.iter().flat_map(|bin| &bin.files);
    let small = files().filter(|file| !file.shrinks).count() as u64;
    let shrinking = files().filter(|file| file.shrinks).count() as u64;
    let mut parts = Vec::new();
    if small > 0 {
        parts.push(format!("{} below {}", counted(small, "file"), ByteSize(partitions.half())));
    }
    if shrinking > 0 {
        let with = match facts.policy.readers {
            Readers::Any => "a deletion vector, which not all `readers` know".to_owned(),
            Readers::DeletionVectors => format!("deleted rows, {} of all or more", facts.policy.optimize.deleted_ratio),
        };
        parts.push(format!("{} with {with}", counted(shrinking, "file")));
    }
    let are = text::are(if small > 0 { small } else { shrinking });
    format!("there {are} {}{}", text::listed(&parts), text::in_partitions(partitions, due))
}

/// Why none is.
fn still(facts: &MaintenanceFacts<'_>, partitions: &Partitions<'_>, laid_out: &LaidOut<'_>) -> String {
    let optimize = &facts.policy.optimize;
    let deleted = match facts.policy.readers {
        Readers::Any => "a deletion vector".to_owned(),
        Readers::DeletionVectors => format!("deleted rows, {} of all or more", optimize.deleted_ratio),
    };
    if laid_out.is_some() {
        return format!("small files are combined when rows are laid out, and no other file has {deleted}");
    }
    let most = partitions.files.values().map(|files| files.iter().filter(|file| file.small).count() as u64).max();
    let half = ByteSize(partitions.half());
    let small = match (most.unwrap_or(0) > optimize.small_files, partitions.partitioned) {
        (true, _) => format!("no file below {half} has another to be combined with"),
        (false, true) => format!("no partition has more than {} below {half}", counted(optimize.small_files, "file")),
        (false, false) => format!("not more than {} are below {half}", counted(optimize.small_files, "file")),
    };
    format!("{small}, and none has {deleted}")
}
