//! The change feed: exactly the rows that changed between two versions of a table, each once.

mod cluster;
mod golden;
mod histories;
mod query;
mod ranges;
mod support;
pub(crate) mod tables;
mod vectors;
