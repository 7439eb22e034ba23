//! Helpers shared by the tests and the benchmarks.
#![allow(clippy::expect_used)]

mod cluster;
mod embedded;
mod etcd_servers;
pub mod plain;
pub mod processes;
mod requirements;
mod storage_proxy;
mod storage_server;

pub use cluster::{EmbeddedCluster, embedded_cluster, shared_cluster};
pub use embedded::embedded;
pub use etcd_servers::EtcdServers;
pub use requirements::{Requirement, skip};
pub use storage_proxy::{Answer, ProxiedRequest, StorageProxy};
pub use storage_server::StorageServer;
