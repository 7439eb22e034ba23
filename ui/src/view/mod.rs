//! What pages show, computed from records: pure, without reading anything.

pub(crate) mod gantt;
pub(crate) mod log;
pub(crate) mod operators;
pub(crate) mod picture;
pub(crate) mod stages;
pub(crate) mod state;
pub(crate) mod tasks;
pub(crate) mod text;
