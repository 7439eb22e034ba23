//! The `session` of a project or a target.

use super::fields::{Fields, Keys};
use super::values::{boolean, filled_text, memory_size, whole};
use crate::spec::pipeline::SessionPatch;
use crate::spec::problem::Problem;
use crate::spec::yaml::Node;

const KEYS: Keys = Keys {
    what: "`session`",
    known: &[
        "target_partitions",
        "batch_size",
        "parquet_pushdown",
        "normalize_identifiers",
        "metadata_cache_bytes",
        "memory_limit_bytes",
        "spill_dir",
    ],
};

/// The minimum memory for running a query.
const MIN_MEMORY: u64 = 16 * 1024 * 1024;

pub(super) fn decode(node: &Node, problems: &mut Vec<Problem>) -> SessionPatch {
    let Some(fields) = Fields::open(node, &KEYS, problems) else { return SessionPatch::default() };
    SessionPatch {
        target_partitions: fields
            .get("target_partitions")
            .and_then(|node| whole(node, "`target_partitions`", 1..=1024, problems)),
        batch_size: fields.get("batch_size").and_then(|node| whole(node, "`batch_size`", 1..=1_048_576, problems)),
        parquet_pushdown: fields.get("parquet_pushdown").and_then(|node| boolean(node, "`parquet_pushdown`", problems)),
        normalize_identifiers: fields
            .get("normalize_identifiers")
            .and_then(|node| boolean(node, "`normalize_identifiers`", problems)),
        metadata_cache_bytes: fields
            .get("metadata_cache_bytes")
            .and_then(|node| memory_size(node, "`metadata_cache_bytes`", 0, problems)),
        memory_limit_bytes: fields
            .get("memory_limit_bytes")
            .and_then(|node| memory_size(node, "`memory_limit_bytes`", MIN_MEMORY, problems)),
        spill_dir: fields.get("spill_dir").and_then(|node| filled_text(node, "`spill_dir`", problems)),
    }
}
