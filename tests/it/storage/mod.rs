//! Object storage: requests of tasks, a table with many files, and pipelines with data on a real server of the S3
//! protocol, run by the command as a separate process with credentials from its environment.

mod commits;
mod kills;
pub(crate) mod lake;
mod many_files;
mod outages;
mod requests;
mod runs;
pub(crate) mod secrets;
