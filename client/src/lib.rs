//! The Windlass client library: load or build a project, run it, follow the run, query its tables.
//!
//! ```text
//! folder ─Project::open──┐
//! code ─ProjectBuilder────┴──→ Project ─┐
//!            Windlass::embedded(…) ─┐     │
//!            Windlass::connect(url) ┴─────┴─ plan → PlannedRun · run → RunHandle (events, record) · query → QueryResult (Arrow)
//!                                            runs → Runs (bundles: plans and metrics of each stage, as types and as Arrow)
//!                                            maintain → MaintainHandle (events, record)
//! ```
//!
//! The same type represents a scheduler and an executor in this process or a remote cluster, so a program written for
//! one runs with the other:
//!
//! ```no_run
//! use windlass_client::{Project, RunOptions, Windlass};
//!
//! # async fn job() -> Result<(), Box<dyn std::error::Error>> {
//! let project = Project::open("pipelines/sales".as_ref(), Some("prod"), &[])?;
//! let windlass = Windlass::connect("http://windlass-scheduler:50051").await?;
//! let mut run = windlass.run(&project, &RunOptions::default()).await?;
//! while let Some(event) = run.events.recv().await {
//!     println!("{} {:?}", event.ts, event.kind);
//! }
//! let record = run.wait().await?;
//! println!("{}", record.status.as_str());
//! # Ok(())
//! # }
//! ```

pub mod builder;
mod clean;
pub mod document;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
#[cfg(feature = "embedded")]
pub mod fixture_runner;
mod maintenance;
pub mod project;
mod query_result;
mod remote;
mod run;
mod runs;
mod windlass;

pub use builder::{ProjectBuilder, StageBuilder};
pub use clean::CleanOptions;
pub use error::ClientError;
pub use maintenance::{MaintainHandle, MaintainOptions};
pub use project::Project;
pub use query_result::QueryResult;
pub use remote::ConnectOptions;
pub use run::{QueryOptions, RunBegin, RunHandle, RunOptions};
pub use runs::{QueuedRun, Runs};
pub use windlass::{CursorReset, CursorStatus, NewMark, PinStatus, TableStatus, VersionMark, Windlass};
