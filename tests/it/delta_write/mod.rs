//! Writing and committing Delta tables: real tables, read back with deltalake itself.

mod commit;
pub(crate) mod faults;
pub(crate) mod lab;
mod plan;
mod refusals;
pub(crate) mod round_trip;
mod statistics;
mod table;
