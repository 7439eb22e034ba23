//! Errors of a process's settings or environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use windlass_base::coded;

use super::setting::Origin;

/// Errors of a process's settings or environment.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The settings file cannot be read.
    #[error("the settings file {} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The settings file is not valid TOML.
    #[error("{}:{line}: {message}", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The settings file has an unknown key.
    #[error("{}:{line}: no setting is called `{key}`", .path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// The key.
        key: String,
        /// The most similar key.
        hint: String,
    },
    /// A value is malformed for its setting.
    #[error("`{name}` cannot be `{value}` ({origin}){}", because(.reason))]
    BadValue {
        /// The setting.
        name: &'static str,
        /// The value, without secrets.
        value: String,
        /// Where it was given.
        origin: Origin,
        /// Why not; may be empty.
        reason: String,
        /// The expected form.
        expected: &'static str,
    },
    /// A required setting is missing.
    #[error("`{name}` is not set")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What a value looks like.
        expected: &'static str,
    },
    /// Settings are well-formed but invalid, alone or in combination.
    #[error("{message}")]
    Unusable {
        /// What is invalid.
        message: String,
        /// What to do instead.
        help: String,
    },
    /// Logs cannot be written or exported.
    #[error("logs and traces cannot be set up: {reason}")]
    Logs {
        /// Why not.
        reason: String,
    },
    /// The port for probes and metrics is not available.
    #[error("cannot listen on {address} for probes and metrics")]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The operating system denies something that the process needs.
    #[error("the process cannot {what}")]
    System {
        /// What the process cannot do.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

impl ProcessError {
    /// Whether the process was started with wrong arguments or settings.
    pub(super) fn is_usage(&self) -> bool {
        !matches!(self, Self::Logs { .. } | Self::Http { .. } | Self::System { .. })
    }
}

coded! {
    ProcessError {
        Unreadable => "WL0901", "check `--config` and `WINDLASS_CONFIG`";
        Toml => "WL0902", "write one `key = value` per line; quote texts";
        UnknownKey { hint } => "WL0903", hint;
        BadValue { expected } => "WL0904", format!("write {expected}");
        Missing { name, expected } => "WL0905",
            format!("give `--{name}`, {} or `{}` in the settings file: {expected}", variable(name), key(name));
        Unusable { help } => "WL0906", help;
        Logs => "WL0907", "check `--log` and `--otlp-endpoint`";
        Http => "WL0908",
            "choose another `--http-bind`: the address must belong to this machine and the port be free";
        System => "WL0909", "check the limits on threads and open files";
    }
}

/// The environment variable of the setting `name`.
pub(super) fn variable(name: &str) -> String {
    format!("WINDLASS_{}", key(name).to_uppercase())
}

/// The key of the setting `name` in a file.
pub(super) fn key(name: &str) -> String {
    name.replace('-', "_")
}
