//! From a stage's plan and what changed in its inputs to the rows that have to be computed again.
//!
//! ```text
//! optimized logical plan ─strategy→ append, row-wise, affected keys or partition replace; or what stands against it
//!     change feeds ─inputs→ net changes of each scan
//!         ─row_wise→ the rows that the changes become                        (plans that work row by row)
//!         ─preserved_key→ the input's keys that changed, if they tell which rows those had become
//!         ─maintained_aggregates→ by how much the counts and sums of each group have changed (one aggregation of such plans)
//!         ─trace→ the keys of every row that can differ ─restrict→ the query over just those keys
//! ```
//!
//! Everything here builds logical plans and runs none. The rule that all of it obeys: what comes out is never less than
//! what changed. More is harmless, since the rows of all keys that come out are computed again and compared.

mod blocker;
mod bounds;
mod columns;
mod grouping_sets;
mod groups;
mod inputs;
mod join;
mod maintained_aggregates;
mod preserved_key;
mod restrict;
mod row_wise;
mod strategy;
mod trace;

pub use blocker::{Blocker, TraceError};
pub use bounds::Bounds;
pub use groups::{TouchedGroups, has_all_groups, spans_all, touched_groups};
pub use inputs::{ChangedInputs, InputChanges};
pub use maintained_aggregates::MaintainedAggregates;
pub use preserved_key::PreservedKey;
pub use restrict::{Keys, restrict};
pub use row_wise::{RowChange, changed_rows, is_row_wise};
pub use strategy::{
    Choice, StrategyRequest, affected_keys, choose, first_volatile, rows_of_keys, rows_of_null_keys, volatile_function,
};
pub use trace::Tracer;
