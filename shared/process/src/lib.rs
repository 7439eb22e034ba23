//! Shared by the processes of a cluster: settings, logs, probes, signals.
//!
//! ```text
//! flags > environment > one TOML file > defaults ─Program→ Values ─get→ a process's own settings
//!                                                     └─ --print-config, --healthcheck
//! ```
//!
//! A process defines its settings in one table of [`Setting`]s; flags, variables, keys of the file, `--help` and
//! `--print-config` are all derived from it.

mod defaults;
mod error;
mod failure;
mod file;
mod health_check;
mod http;
mod layers;
mod logs;
pub mod memory;
mod print;
mod program;
mod redact;
mod setting;
mod signals;
mod value;
mod work_dir;

pub use defaults::{advertised_host, machine_name};
pub use error::ProcessError;
pub use failure::ProcessFailure;
pub use http::{HttpPort, HttpServer, Probes, Readiness};
pub use layers::Values;
pub use logs::{LogGuard, LogSettings};
pub use program::Program;
pub use redact::redacted;
pub use setting::{Fallback, Origin, Setting};
pub use signals::Signals;
pub use value::{HostPort, HostPorts, LogFilter, LogFormat, Period, SettingValue, Size};
pub use work_dir::{WorkDir, WorkDirError, abandoned_work_folders, remove_abandoned_work_folder};
