//! One scheduler leads: of several that share a state store, one drives the runs, and the others stand by.
//!
//! ```text
//! Election ─attempt→ lease `scheduler/leader` ─keep→ renewed, lost or given back
//!    └── Leadership: what the parts of the process ask (API, engine port, drivers, probes)
//! ```

mod election;
mod handle;

pub(crate) use election::Election;
pub use handle::{LeaderAddress, Leadership, LeadershipLost};
