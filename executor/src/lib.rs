//! The executor: runs the tasks of a query and serves what they wrote to the next stage.
//!
//! [`ExecutorNode`] is an executor wherever it lives; [`EmbeddedExecutor`] is one next to its scheduler in one process,
//! and the binary `windlass-executor` one in a separate process.

mod config;
mod drain;
mod embedded;
mod error;
mod failure;
mod membership;
pub mod memory;
mod metrics;
mod node;
mod requests;
mod running_jobs;
mod services;
mod shuffle_service;
mod task;
mod work_dir;
mod yielding;

pub use config::ExecutorConfig;
pub use drain::Drained;
pub use embedded::EmbeddedExecutor;
pub use error::ExecutorError;
pub use metrics::TaskMetrics;
pub use node::{ExecutorNode, ExecutorStatus};
pub use work_dir::WorkDir;
