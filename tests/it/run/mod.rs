//! Runs: the state machine by example and by simulation, the event log, the bundle, the example project.

mod about;
mod bundle;
pub(crate) mod code_graph;
mod code_versions;
mod column_lineage;
mod cursors;
mod datasets;
mod event_log;
mod expectations;
mod exports;
#[cfg(debug_assertions)]
mod failpoints;
mod foreign;
mod machine;
mod pipeline;
mod plan_text;
mod planning;
mod run_log;
mod saved_plan;
mod simulation;
mod sources;
mod subdags;
mod subqueries;
mod system_tables;
mod unreadable_changes;
