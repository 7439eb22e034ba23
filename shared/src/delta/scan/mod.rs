//! A pinned snapshot as a distributed scan.
