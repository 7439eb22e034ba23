//! The change feed: which rows changed between two versions of a table, exactly and once.

mod cluster;
mod golden;
mod histories;
mod query;
mod ranges;
mod support;
pub(crate) mod tables;
mod vectors;
