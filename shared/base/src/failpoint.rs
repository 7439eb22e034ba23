//! Points before and after everything durable that runs and maintenance do, at which a test ends the process as a kill
//! would: nothing is flushed, and nothing is given back.
//!
//! ```text
//! WINDLASS_FAILPOINT=run.commit.after*2 ─arm→ the second time that point is reached:
//!     a line in the file WINDLASS_FAILPOINT_LOG, and the process aborts
//! ```
//!
//! Builds without debug assertions, as releases are, have none of them.

/// The variable that names the point at which the process ends, as `NAME`, or `NAME*3` for the third time that it is
/// reached.
pub const VARIABLE: &str = "WINDLASS_FAILPOINT";
/// The variable with the file to which a line is written before the process ends.
pub const LOG_VARIABLE: &str = "WINDLASS_FAILPOINT_LOG";

/// The steps of a run that succeeds, in about the order in which they are taken. Each has a point before and one after it.
pub const RUN: &[&str] = &[
    "run.sequence",
    "run.bundle",
    "run.request",
    "run.pins",
    "run.plan",
    "run.schedule",
    "run.event.started",
    "run.event.execution_succeeded",
    "run.quarantine",
    "run.commit",
    "run.checkpoint",
    "run.export_begun",
    "run.export_saved",
    "run.export_completed",
    "run.export_tidied",
    "run.event.stage_committed",
    "run.stage_record",
    "run.cache_dropped",
    "run.lineage",
    "run.registrations",
    "run.sealed",
    "run.schedule_removed",
    "run.events_removed",
];
/// The events of runs that are resumed, fail or are stopped. Simulated runs end there, too.
pub const RUN_TROUBLE: &[&str] = &[
    "run.event.resumed",
    "run.event.stage_failed",
    "run.event.retry_due",
    "run.event.cancel_requested",
    "run.event.stage_cancelled",
    "run.event.lease_lost",
];
/// What runs, turns of maintenance and cleanings take first and give back last.
pub const LEASES: &[&str] =
    &["lease.pipeline_taken", "lease.home_taken", "lease.home_released", "lease.pipeline_released"];
/// The put of an entry into the log of a table.
pub const LOG: &[&str] = &["delta.put"];
/// The steps of a turn of maintenance.
pub const MAINTENANCE: &[&str] = &[
    "maintain.table_lease_taken",
    "maintain.rewrite_staged",
    "maintain.rewrite_committed",
    "maintain.checkpoint",
    "maintain.vacuum",
    "delta.vacuum_file",
    "maintain.clean_log",
    "delta.log_file",
    "maintain.memory",
    "maintain.mark",
    "maintain.table_lease_released",
    "maintain.record",
];
/// Pins and tags.
pub const MARKS: &[&str] = &["marks.set", "marks.released"];
/// The removal of the bundle of a run.
pub const CLEAN: &[&str] = &["clean.run_record", "clean.bundle"];

/// All steps.
pub const ALL: [&[&str]; 7] = [RUN, RUN_TROUBLE, LEASES, LOG, MAINTENANCE, MARKS, CLEAN];

/// A point, whose name is that of a listed step with `.before` or `.after`: evaluated only with debug assertions.
#[cfg(debug_assertions)]
#[macro_export]
macro_rules! failpoint {
    ($name:expr) => {
        $crate::failpoint::reached($name)
    };
}

/// A point, of which nothing is left without debug assertions.
#[cfg(not(debug_assertions))]
#[macro_export]
macro_rules! failpoint {
    ($name:expr) => {{}};
}

/// Whether `name` is that of a point of a listed step.
pub fn is_listed(name: &str) -> bool {
    let step = name.strip_suffix(".before").or_else(|| name.strip_suffix(".after"));
    step.is_some_and(|step| ALL.iter().any(|steps| steps.contains(&step)))
}

#[cfg(debug_assertions)]
pub use armed::{arm, reached};

#[cfg(debug_assertions)]
mod armed {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{LOG_VARIABLE, VARIABLE, is_listed};

    /// Arms the point that the environment names, if it names one. Called once, at the start of the process.
    ///
    /// # Errors
    /// What is wrong with the variable.
    pub fn arm() -> Result<(), String> {
        let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
        let (name, time) = parse(&text).ok_or_else(|| format!("{VARIABLE} names no point: `{text}`"))?;
        let log = std::env::var_os(LOG_VARIABLE).map(PathBuf::from);
        let (line, reached) = (format!("failpoint {name}\n"), AtomicU64::new(0));
        fail::cfg_callback(name, move || {
            if reached.fetch_add(1, Ordering::SeqCst) + 1 == time {
                end(&line, log.as_deref());
            }
        })
    }

    /// Ends the process if the point of that name is armed, and its time has come.
    pub fn reached(name: &str) {
        debug_assert!(is_listed(name), "`{name}` is not the name of a point of a listed step");
        fail::fail_point!(name);
    }

    /// The name of a point, and the how many-th time that it is reached; `None` if there is no such point.
    pub(super) fn parse(text: &str) -> Option<(&str, u64)> {
        let (name, time) = match text.split_once('*') {
            Some((name, time)) => (name, time.parse::<u64>().ok().filter(|time| *time > 0)?),
            None => (text, 1),
        };
        is_listed(name).then_some((name, time))
    }

    /// Says that the point was reached, and ends the process.
    fn end(line: &str, log: Option<&Path>) {
        if let Some(log) = log {
            let file = OpenOptions::new().create(true).append(true).open(log);
            if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
                eprintln!("{}: {error}", log.display());
            }
        }
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_step_is_listed_once() {
        let all: Vec<&str> = ALL.iter().flat_map(|steps| steps.iter().copied()).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[cfg(debug_assertions)]
    #[test]
    fn a_point_is_named_with_its_step_and_its_time() {
        assert_eq!(armed::parse("run.commit.before"), Some(("run.commit.before", 1)));
        assert_eq!(armed::parse("delta.put.after*3"), Some(("delta.put.after", 3)));
        for wrong in
            ["", "run.commit", "run.commit.during", "commit.before", "run.commit.before*0", "run.commit.before*"]
        {
            assert_eq!(armed::parse(wrong), None, "{wrong}");
        }
    }
}
