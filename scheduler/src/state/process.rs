//! Which process holds something, and whether it still lives.

use std::fs;

use serde::{Deserialize, Serialize};

/// One process of one machine, told apart from a later one that got the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The machine's name, for people.
    pub host: String,
    /// The boot of the machine and the process-number namespace; none where the system does not tell.
    pub machine: Option<String>,
    /// The process number.
    pub pid: u32,
    /// When it started, in the kernel's ticks since the boot; none where the system does not tell.
    pub start_ticks: Option<u64>,
}

impl ProcessIdentity {
    /// This process.
    pub fn current() -> Self {
        Self::of(std::process::id())
    }

    /// The process of this machine that has the number `pid` now.
    pub fn of(pid: u32) -> Self {
        Self { host: host_name(), machine: machine(), pid, start_ticks: stat(pid).map(|s| s.start_ticks) }
    }

    /// Whether the process is known to have ended. False too if that cannot be known from here: because it runs, or
    /// ran, on another machine, before the last boot, or in another container.
    pub fn is_gone(&self) -> bool {
        let here = machine();
        if here.is_none() || here != self.machine {
            return false;
        }
        match stat(self.pid) {
            None => true,
            Some(now) => now.ended || self.start_ticks.is_some_and(|ticks| ticks != now.start_ticks),
        }
    }
}

impl std::fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// The machine's name.
pub fn host_name() -> String {
    let known = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let known = known.or_else(|| std::env::var("HOSTNAME").ok());
    known.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

struct ProcessStat {
    /// Dead, though its parent has not asked for its exit status.
    ended: bool,
    start_ticks: u64,
}

/// Reads `/proc/<pid>/stat` (proc_pid_stat(5)).
fn stat(pid: u32) -> Option<ProcessStat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the command in parentheses, may itself hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let state = fields.first()?;
    let start_ticks = fields.get(19)?.parse().ok()?;
    Some(ProcessStat { ended: matches!(*state, "Z" | "X" | "x"), start_ticks })
}
