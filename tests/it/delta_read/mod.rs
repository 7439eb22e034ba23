//! Pinning Delta tables and scanning them the way a cluster does.

pub(crate) mod cluster_like;
pub(crate) mod golden;
pub(crate) mod mapping;
mod pin;
mod scan;
pub(crate) mod tables;
pub(crate) mod vectors;
