//! Helpers that the tests and the benchmarks share.
#![allow(clippy::expect_used)]

mod cluster;
pub mod plain;
pub mod processes;

pub use cluster::{EmbeddedCluster, embedded_cluster, shared_cluster};
