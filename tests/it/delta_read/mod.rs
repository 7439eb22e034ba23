//! Pinning Delta tables and scanning them the way a cluster does.

mod cluster_like;
mod golden;
mod mapping;
mod pin;
mod scan;
mod tables;
mod vectors;
