//! Helpers shared by the tests and the benchmarks.
#![allow(clippy::expect_used)]

mod cluster;
pub mod plain;
pub mod processes;
mod storage_proxy;
mod storage_server;
mod surroundings;

pub use cluster::{EmbeddedCluster, embedded_cluster, shared_cluster};
pub use storage_proxy::{Answer, ProxiedRequest, StorageProxy};
pub use storage_server::StorageServer;
pub use surroundings::{Surroundings, skip};
