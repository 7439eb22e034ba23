//! Planning: from a resolved pipeline to what one run does with each table, and why.
//!
//! ```text
//! PipelineGraph ─pin→ Inputs ─decide→ RunPlan                      (run_plan, input, stage_decision)
//!     per stage: query ─→ logical plan ─→ its code version         (query, code)
//!                          └─→ physical plan, so that what cannot run is known now   (physical, sliding)
//!     what its table remembers, what its inputs are ─→ Verdict     (decide)
//!     what has changed in them ─→ strategy and rows                (changes, feeds, incremental)
//! every stage's columns and what they are made of ─→ tables        (about, lineage)
//! ```

mod about;
mod changes;
mod code;
mod contract;
pub(crate) mod cursors;
pub mod decide;
mod error;
mod expect;
mod feeds;
mod fingerprint;
mod foresee;
pub mod incremental;
mod input;
mod interrupted;
mod lineage;
mod params;
mod physical;
mod query;
mod run_plan;
mod sliding;
mod stage_decision;
mod stored;
mod tables;

pub use about::{INFORMATION_SCHEMA, TABLES as ABOUT_TABLES, about};
pub use changes::{KnownChanges, count_changes, keep_listing, kept_listing};
pub use code::CodeVersion;
pub use cursors::cursors;
pub use error::PlanError;
pub use feeds::{Feeds, over_files, rows_of_files, strategy_for};
pub use fingerprint::plan_fingerprint;
pub use input::{Input, Inputs, PinnedInput, pin_source, pin_table};
pub use lineage::{Origin, column_lineage};
pub use params::engine_params;
pub use physical::{PhysicalQuery, Unplannable, physical_query};
pub use query::{Needs, QuerySession, logical_plan};
pub use run_plan::{PlanRequest, PlannedStage, RunPlan, pin_for_query, plan_all, plan_run, table_location};
pub use stage_decision::{ReusedStage, TableRole, executed_needs};
pub use tables::tables;
pub use windlass_evidence::artifact::Refresh;
