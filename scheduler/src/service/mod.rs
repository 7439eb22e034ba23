//! The API `windlass.v1` and its Arrow Flight half: what clients on other machines talk to.
//!
//! ```text
//! gRPC call ─api→ project (files by digest → graph, sessions) ─→ start ─queue→ runs (live runs, their log lines) ─→ run/
//!                                                             └→ bundle, tables, plan, maintenance, clean
//! Flight ticket ─flight→ query / run metrics ─→ record batches, as fast as the reader takes them
//! ```

mod api;
mod bundle;
mod clean;
mod error;
mod file_cache;
mod flight;
mod live_run;
mod maintenance;
mod project;
pub mod queue;
mod runs;
mod server;
mod start;
mod submission;
mod tables;
mod watch;

pub use error::ServiceError;
pub use server::{ApiConfig, ApiServer};
