//! Helpers that the tests and the benchmarks share.

pub mod plain;
