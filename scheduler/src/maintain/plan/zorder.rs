//! Which files are laid out along a Z-order curve. Files that are laid out already stay, so that only what is new is sorted.

use std::collections::BTreeSet;

use bytesize::ByteSize;
use windlass_base::count::counted;
use windlass_delta::maintenance::layout_mark;
use windlass_evidence::artifact::MaintenanceKind;

use super::bins::{Budget, Capacity, Packed, pack};
use super::files::{DataFile, Partition, Partitions, is_below_half};
use super::{MaintenanceFacts, PlannedAction, text};

/// How many files of the target's size are sorted by one task: more make a finer layout, and need more memory and disk.
const FILES_OF_A_BIN: u64 = 8;

/// The partitions that are laid out; `None` if none ever is.
pub(super) type LaidOut<'f> = Option<BTreeSet<Partition<'f>>>;

/// Decides about the layout. What is laid out here, in this turn or a later one, is not compacted.
pub(super) fn plan<'f>(
    facts: &MaintenanceFacts<'f>,
    partitions: &Partitions<'f>,
    budget: &mut Budget,
) -> (PlannedAction, LaidOut<'f>) {
    let not_due = |reason: String| PlannedAction::not_due(MaintenanceKind::Zorder, reason);
    if let Some(reason) = obstacle(facts) {
        return (not_due(reason), None);
    }
    let columns = &facts.policy.optimize.zorder;
    let by = text::names(columns);
    let mark = layout_mark(columns);
    let mut due = BTreeSet::new();
    let mut packed = Vec::new();
    for (partition, files) in &partitions.files {
        let bins = bins_of(facts, files, partitions.target, &mark);
        if !bins.is_empty() {
            due.insert(*partition);
            packed.extend(bins);
        }
    }
    let action = match packed.is_empty() {
        true => not_due(still(partitions, &mark, &by)),
        false => {
            let reason = why(partitions, &packed, due.len(), &mark, &by);
            budget.take(&packed).planned(MaintenanceKind::Zorder, reason, columns, partitions.target)
        }
    };
    (action, Some(due))
}

/// Why no file is ever laid out, if none is.
fn obstacle(facts: &MaintenanceFacts<'_>) -> Option<String> {
    let (table, optimize) = (facts.table, &facts.policy.optimize);
    if let Some(reason) = text::no_rewrites(facts) {
        return Some(reason);
    }
    if optimize.zorder.is_empty() {
        return Some("`zorder` names no columns".to_owned());
    }
    let column = optimize.zorder.iter().find(|column| !table.sortable_columns.contains(column))?;
    Some(match table.partition_columns.contains(column) {
        true => format!("rows cannot be laid out by `{column}`, which partitions the table: remove it from `zorder`"),
        false => format!(
            "rows cannot be laid out by `{column}`: the table has no such column, or its type has no order that files keep"
        ),
    })
}

/// Whether the file is laid out by the columns of the policy.
fn is_laid_out(file: &DataFile<'_>, mark: &str) -> bool {
    file.facts.layout.as_deref() == Some(mark)
}

/// The bins of a partition; none if it is not due.
fn bins_of<'f>(facts: &MaintenanceFacts<'f>, files: &[DataFile<'f>], target: u64, mark: &str) -> Vec<Packed<'f>> {
    let allowed = facts.policy.optimize.small_files;
    let missing = |file: &DataFile<'_>| !is_laid_out(file, mark);
    let count = |wanted: &dyn Fn(&DataFile<'_>) -> bool| files.iter().filter(|file| wanted(file)).count() as u64;
    let missing_bytes =
        files.iter().filter(|file| missing(file)).fold(0, |sum: u64, file| sum.saturating_add(file.facts.bytes));
    // A file whose deleted rows are dropped would lose its layout if it were compacted, and be sorted later anyway.
    let shrinks = |file: &DataFile<'_>| is_laid_out(file, mark) && file.shrinks;
    let is_due = count(&missing) > allowed
        || (missing_bytes > 0 && !is_below_half(missing_bytes, target))
        || count(&|file| file.small) > allowed
        || files.iter().any(shrinks);
    if !is_due {
        return Vec::new();
    }
    let capacity = Capacity::of(facts, target.saturating_mul(FILES_OF_A_BIN));
    let candidates = files.iter().copied().filter(|file| missing(file) || file.small || file.shrinks);
    let mut bins = pack(candidates, capacity);
    // One file that is laid out and keeps its rows would be written as it is.
    bins.retain(|bin| bin.files.len() > 1 || bin.files.iter().any(|file| missing(file) || file.shrinks));
    bins
}

/// Why files are laid out.
fn why(partitions: &Partitions<'_>, bins: &[Packed<'_>], due: usize, mark: &str, by: &str) -> String {
    let files = || bins.iter().flat_map(|bin| &bin.files);
    let missing = files().filter(|file| !is_laid_out(file, mark));
    let (count, bytes) =
        missing.fold((0_u64, 0_u64), |(count, bytes), file| (count + 1, bytes.saturating_add(file.facts.bytes)));
    let shrinking = files().filter(|file| is_laid_out(file, mark) && file.shrinks).count() as u64;
    let small = files().filter(|file| is_laid_out(file, mark) && file.small && !file.shrinks).count() as u64;
    let mut parts = Vec::new();
    if count > 0 {
        let are = text::are(count);
        parts.push(format!("{}, {}, {are} not laid out by {by}", counted(count, "file"), ByteSize(bytes)));
    }
    if shrinking > 0 {
        let have = if shrinking == 1 { "has" } else { "have" };
        let files = counted(shrinking, "file");
        parts.push(format!("{files} that {} laid out {have} deleted rows", text::are(shrinking)));
    }
    if small > 0 {
        let are = text::are(small);
        parts.push(format!("{} that {are} laid out {are} small", counted(small, "file")));
    }
    format!("{}{}", text::listed(&parts), text::in_partitions(partitions, due))
}

/// Why none is.
fn still(partitions: &Partitions<'_>, mark: &str, by: &str) -> String {
    let missing = partitions.files.values().flatten().filter(|file| !is_laid_out(file, mark)).count() as u64;
    match missing {
        0 => format!("all files are laid out by {by}"),
        _ => format!("{} {} not laid out by {by}, too few to matter", counted(missing, "file"), text::are(missing)),
    }
}
