//! The Windlass client library.

pub mod project;
