//! The only place that builds a session or registers a table or a function.

mod builder;
mod error;

pub use builder::{ENGINE_MESSAGE_BYTES, Sessions};
pub use error::SessionError;
