//! The executor: runs the tasks of a query and serves what they wrote to the next stage.

mod config;
mod embedded;
mod error;
mod failure;
mod requests;
mod task;
mod work_dir;

pub use config::ExecutorConfig;
pub use embedded::EmbeddedExecutor;
pub use error::ExecutorError;
