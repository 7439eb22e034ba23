//! The executor: runs the tasks of queries and serves their shuffle files to the next stage.
//!
//! [`ExecutorNode`] is an executor in any process; [`EmbeddedExecutor`] is one in the process of its scheduler, and
//! [`server`] makes one a process of its own, `windlass executor`.

mod config;
mod drain;
mod embedded;
mod error;
mod failure;
mod membership;
mod metrics;
mod node;
mod running_jobs;
pub mod server;
mod services;
mod shuffle_service;
mod task;

/// What the folders of executors begin with.
const EXECUTOR: &str = "executor";

pub use config::ExecutorConfig;
pub use drain::Drained;
pub use embedded::EmbeddedExecutor;
pub use error::ExecutorError;
pub use metrics::TaskMetrics;
pub use node::{ExecutorNode, ExecutorStatus};
