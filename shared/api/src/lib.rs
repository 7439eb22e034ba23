//! The gRPC API `windlass.v1`: the generated messages and services, and conversions to and from our types.
//!
//! ```text
//! ProjectFiles ─manifest→ v1::ProjectFile (path, digest, size) ─assemble→ ProjectFiles
//! Failure, Problems ─status→ tonic::Status ─decode_status→ Failure, Problems
//! ```
//!
//! `shared/api/proto/windlass/v1/windlass.proto` documents every message.

mod project;
mod status;
mod values;

pub use project::{FILES_MISSING, TransferError, assemble, check_path, digest, manifest};
pub use status::{
    DecodedStatus, Standby, decode_status, status, status_of_moved, status_of_problems, status_of_standby,
};
pub use values::{cursor_from_wire, cursor_to_wire, refresh_from_wire, refresh_to_wire};

/// The version of the API that this library implements.
pub const API_VERSION: u32 = 1;
/// The header with the client's API version.
pub const API_HEADER: &str = "windlass-api";
/// The largest message of the API: a project file plus overhead.
pub const API_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// The messages and services as generated from the proto.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("windlass.v1");
}
