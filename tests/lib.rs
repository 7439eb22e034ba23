//! Helpers that the tests and the benchmarks share.
