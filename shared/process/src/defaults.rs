//! Defaults derived from the machine.

use std::net::IpAddr;

/// The machine's name on its network, if it has one.
pub fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok())?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The default host under which a process that listens on `bind` is reachable: that address, or the machine's name if
/// it listens on all of them.
pub fn advertised_host(bind: IpAddr) -> String {
    match bind {
        ip if ip.is_unspecified() => machine_name().unwrap_or_else(|| ip.to_string()),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
