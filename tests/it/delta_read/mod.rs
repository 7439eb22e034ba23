//! Pinning Delta tables and scanning them the way a cluster does.

pub(crate) mod cluster_like;
mod golden;
pub(crate) mod golden;
pub(crate) mod mapping;
mod mapping;
mod pin;
mod scan;
pub(crate) mod tables;
pub(crate) mod vectors;
