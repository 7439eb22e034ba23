//! Writing and committing Delta tables: real tables, read back with deltalake itself.

mod commit;
mod faults;
pub(crate) mod lab;
mod plan;
mod refusals;
mod round_trip;
mod statistics;
mod table;
