//! How an executor is set up.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// How an executor is set up. Memory, the folder for spilling and the size of messages are its sessions' settings.
#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// The scheduler's gRPC service as `host:port`.
    pub scheduler: String,
    /// How many tasks may run in parallel; at least one.
    pub vcores: usize,
    /// The folder in which the executor makes a separate folder for shuffle files; that one is removed when it stops.
    pub work_dir: PathBuf,
    /// The address that its services listen on.
    pub bind: IpAddr,
    /// The port that serves shuffle files; 0 takes a free one.
    pub flight_port: u16,
    /// The port that the scheduler sends tasks to; 0 takes a free one.
    pub grpc_port: u16,
    /// The host under which the scheduler and other executors reach it; `None` is the bind address.
    pub advertised_host: Option<String>,
    /// How often it tells the scheduler that it lives. Counted in whole seconds, at least one.
    pub heartbeat: Duration,
}

impl ExecutorConfig {
    /// An executor for this machine only, on free ports.
    pub fn local(scheduler: impl Into<String>, vcores: usize, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            scheduler: scheduler.into(),
            vcores,
            work_dir: work_dir.into(),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            flight_port: 0,
            grpc_port: 0,
            advertised_host: None,
            heartbeat: Duration::from_secs(10),
        }
    }
}
