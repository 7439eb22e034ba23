//! The executor: runs the tasks of queries and serves their shuffle files to the next stage.
//!
//! [`ExecutorNode`] is an executor in any process; [`EmbeddedExecutor`] is one in the process of its scheduler, and the
//! binary `windlass-executor` one in a separate process.

mod config;
mod drain;
mod embedded;
mod error;
mod failure;
mod membership;
pub mod memory;
mod metrics;
mod node;
mod running_jobs;
mod services;
mod shuffle_service;
mod task;
mod work_dir;

pub use config::ExecutorConfig;
pub use drain::Drained;
pub use embedded::EmbeddedExecutor;
pub use error::ExecutorError;
pub use metrics::TaskMetrics;
pub use node::{ExecutorNode, ExecutorStatus};
pub use work_dir::WorkDir;
