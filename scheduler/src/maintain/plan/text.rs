//! Parts of reasons.

use std::time::Duration;

use windlass_base::count::counted;
use windlass_evidence::artifact::PinHolder;

use super::MaintenanceFacts;
use super::files::Partitions;

/// Why no file of the table is ever rewritten, if none is.
pub(super) fn no_rewrites(facts: &MaintenanceFacts<'_>) -> Option<String> {
    let off = || (!facts.policy.optimize.enabled).then(|| "`optimize` is off".to_owned());
    facts.table.frozen.clone().or_else(off)
}

/// Names in backticks: `` `a`, `b` ``.
pub(super) fn names(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `one, two and three`.
pub(super) fn listed(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

/// The verb that agrees with a number of things.
pub(super) fn are(number: u64) -> &'static str {
    match number {
        1 => "is",
        _ => "are",
    }
}

/// In how many partitions something is, after what is there; nothing for a table without any.
pub(super) fn in_partitions(partitions: &Partitions<'_>, number: usize) -> String {
    match partitions.partitioned {
        true => format!(", in {number} of {}", counted(partitions.files.len(), "partition")),
        false => String::new(),
    }
}

/// A span of time in the largest unit that measures it: `7 days`, `36 hours`.
pub(super) fn span(span: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute")];
    let seconds = span.as_secs();
    let unit = UNITS.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "second"));
    counted(seconds / unit, name)
}

/// What keeps a version.
pub(super) fn holder(by: &PinHolder) -> String {
    match by {
        PinHolder::ActiveRun { run } => format!("active run `{run}`"),
        PinHolder::KeptRun { run } => format!("the bundle of run `{run}`"),
        PinHolder::Cursor { stage } => format!("the cursor of `{stage}`"),
        PinHolder::Pin { name } => format!("pin `{name}`"),
        PinHolder::Tag { name } => format!("tag `{name}`"),
        PinHolder::Policy => "`keep.versions`".to_owned(),
    }
}
