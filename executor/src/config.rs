//! The configuration of an executor.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// The configuration of an executor. Memory, the spill folder and the message size are settings of its sessions.
#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// The gRPC services of the schedulers as `host:port`: one, or all of those of which one leads.
    pub schedulers: Vec<String>,
    /// How many tasks may run in parallel; at least one.
    pub vcores: usize,
    /// The folder in which the executor creates its own folder for shuffle files, which is removed when it stops.
    pub work_dir: PathBuf,
    /// The address that its services listen on.
    pub bind: IpAddr,
    /// The port that serves shuffle files; 0 picks a free one.
    pub flight_port: u16,
    /// The port that the scheduler sends tasks to; 0 picks a free one.
    pub grpc_port: u16,
    /// The host under which the scheduler and other executors reach it; `None` is the bind address.
    pub advertised_host: Option<String>,
    /// The heartbeat interval, in seconds, at least one.
    pub heartbeat: Duration,
}

impl ExecutorConfig {
    /// An executor that is only reachable from this machine, on free ports.
    pub fn local(scheduler: impl Into<String>, vcores: usize, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            schedulers: vec![scheduler.into()],
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
