//! Settings shared by the scheduler and the executors.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// All user-defined settings of a session. Only `windlass_engine::session` turns it into a session.
///
/// The first group can change a plan or a result and is part of the `session_identity`; the second concerns the machine
/// of a process and is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSettings {
    /// How many partitions a query is planned into; 0 is as many as tasks can run in parallel.
    pub target_partitions: usize,
    /// Rows in a record batch.
    pub batch_size: usize,
    /// Evaluate filters inside the Parquet reader, row by row, not only by row group and page.
    pub parquet_pushdown: bool,
    /// Fold unquoted identifiers to lower case, as PostgreSQL does. If off, names are used as written.
    pub normalize_identifiers: bool,

    /// Bytes of Parquet metadata that a process may cache.
    pub metadata_cache_bytes: usize,
    /// Bytes that the queries of a process may hold before they spill; `None` is not a limit.
    pub memory_limit_bytes: Option<usize>,
    /// Where operators spill; `None` is the operating system's temporary folder.
    pub spill_dir: Option<PathBuf>,
    /// The largest message between the engine's processes, in bytes. A task whose plan is larger cannot be launched.
    #[serde(default = "default_message_limit")]
    pub message_limit_bytes: usize,
    /// Bytes of inputs for which an incremental stage is planned into one more partition, up to `target_partitions`:
    /// launching a task costs more than reading a small input.
    #[serde(default = "default_partition_bytes")]
    pub partition_bytes: u64,
}

/// About as much as a task reads in a second.
const PARTITION_BYTES: u64 = 32 * 1024 * 1024;

fn default_partition_bytes() -> u64 {
    PARTITION_BYTES
}

/// The largest message between a scheduler and executors in one process.
const EMBEDDED_MESSAGE_BYTES: usize = 128 * 1024 * 1024;

fn default_message_limit() -> usize {
    EMBEDDED_MESSAGE_BYTES
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            target_partitions: 0,
            batch_size: 8192,
            parquet_pushdown: true,
            normalize_identifiers: true,
            metadata_cache_bytes: 50 * 1024 * 1024,
            memory_limit_bytes: None,
            spill_dir: None,
            message_limit_bytes: EMBEDDED_MESSAGE_BYTES,
            partition_bytes: PARTITION_BYTES,
        }
    }
}
