//! Planning: from a resolved pipeline to what one run does with each table, and why.
//!
//! ```text
//! PlanRequest ─→ Scope ─pin→ Inputs ─remember→ memories ─decide→ RunPlan   (request, scope, fixed, pins, memories, planner)
//!     per stage: query ─→ logical plan ─→ its code version                        (plan_stage, query, code)
//!                          └─→ physical plan, so that what cannot run is known now   (physical, sliding, checks)
//!     what its table remembers, what its inputs are ─→ Verdict ─→ StageDecision   (incremental_context, decide, stage_decision)
//!     what has changed in them ─→ strategy and rows                               (changes, forecast, incremental)
//! every stage's columns and what they are made of ─→ tables                       (information_schema, lineage)
//! ```

mod changes;
mod checks;
mod code;
mod complaint;
mod contract;
pub(crate) mod cursor_status;
pub mod decide;
mod definition;
mod error;
mod expect;
mod fingerprint;
mod fixed;
mod forecast;
pub mod incremental;
mod incremental_context;
mod information_schema;
mod input;
mod interrupted;
mod lineage;
mod lost_file;
mod memories;
mod params;
mod physical;
mod pins;
mod plan_stage;
mod planner;
mod problem;
pub(crate) mod quarantine;
mod query;
mod request;
mod run_plan;
mod scope;
mod sliding;
mod stage_decision;
mod stage_error;
mod stored;
mod tables;

pub use changes::{
    ChangeFeeds, ChangeReader, ChangedData, ChangesSince, KnownChanges, ReadChange, keep_listing, over_files,
    rows_of_files, strategy_for,
};
pub use code::CodeVersion;
pub use cursor_status::cursors;
pub use error::PlanError;
pub use fingerprint::plan_fingerprint;
pub use fixed::{FixedPins, ResumedPlan};
pub use incremental_context::IncrementalContext;
pub use information_schema::{INFORMATION_SCHEMA, TABLES as INFORMATION_TABLES, information_tables};
pub use input::{Input, Inputs, PinnedInput, pin_source, pin_table};
pub use lineage::column_lineage;
pub use lost_file::with_table;
pub use params::engine_params;
pub use physical::{PhysicalQuery, Unplannable, physical_query};
pub use pins::pin_for_query;
pub use planner::{plan_all, plan_run};
pub use problem::question_problem;
pub use query::{QueryInputs, QuerySession, executed_inputs, logical_plan};
pub use request::{PlanRequest, table_location};
pub use run_plan::{PlannedStage, ReusedStage, RunPlan};
pub use stage_error::StageError;
pub use tables::tables;
pub use windlass_evidence::artifact::Refresh;
