//! One attempt at a stage: which rows its table needs, computed, validated and staged for the commit.
//!
//! ```text
//! attempt: decide ─┬─ full, write_mode ───────────────────────────── all rows ─┐
//!                  └─ incremental, row_wise, maintained_aggregates ── rows ────┤ target_rows: those of the table
//!                                                                              ↓
//!                             validation, unique_keys ─ merge_plan ─→ staged ─commit→ outputs
//! ```

pub(super) mod attempt;
pub(super) mod failure;
mod full;
mod incremental;
mod job;
mod maintained_aggregates;
mod marks;
mod merge_plan;
pub(super) mod notes;
pub(super) mod outputs;
mod query;
mod row_wise;
mod target_rows;
mod unique_keys;
mod validation;
mod write_mode;
