//! The types and the directory layout of a run bundle: the evidence that a run leaves behind.
//!
//! Plain data that serialises to JSON, without engine types; docs/run-bundle.md describes the files to a reader.
//! Unknown fields are ignored when reading, and fields that were added later have defaults, so that a bundle stays
//! readable by versions older and newer than the one that wrote it.

mod clean;
mod columns;
mod incremental;
mod layout;
mod lineage;
mod log;
mod maintenance;
mod pins;
mod plan;
mod refresh;
mod registration;
mod request;
mod run;
mod saved_plan;
mod stage;
mod status;
mod table;

pub use clean::{CLEAN_FORMAT, CleanItem, CleanKind, CleanRecord, CleanTotal, CleanTotals};
pub use columns::{ColumnLineage, ColumnOrigin, ColumnOrigins, ColumnUse};
pub use incremental::{ReuseVerdict, SourceChange, TouchedRows};
pub use layout::{PlanText, RUNS_PREFIX, RunLayout, segment};
pub use lineage::{LineageInput, LineageRecord, StageLineage};
pub use log::{LOG_VERSION, LogEvent, LogKind, LogLevel, RunTotals, log_schema};
pub use maintenance::{
    ActionOutcome, KeptVersion, MAINTENANCE_FORMAT, MaintenanceAction, MaintenanceEvent, MaintenanceKind,
    MaintenanceRecord, NewMark, PinHolder, TableMaintenance, TableSize, VersionMark,
};
pub use pins::{PinRecord, PinsRecord};
pub use plan::{Cause, PlanDecision, PlanRecord, PlannedColumn, PlannedRun, PlannedTable, StageDecision};
pub use refresh::Refresh;
pub use registration::{ColumnRecord, Registration, RegistrationsRecord, SortRecord, TableKind};
pub use request::RunRequestRecord;
pub use run::{BUNDLE_FORMAT, EngineVersions, Resumption, RunRecord, StageSummary};
pub use saved_plan::{
    Moved, PlanMoved, SAVED_PLAN_FORMAT, SavedCursor, SavedPlan, SavedPlanError, SavedRequest, SavedStage, moved,
};
pub use stage::{
    AttemptRecord, ExpectationRecord, MetricUnit, OperatorMetric, OperatorMetrics, OutputRecord, QuarantineRecord,
    StageRecord, TaskTiming,
};
pub use status::{AttemptStatus, ReceiptOutcome, RunStatus, StageReceipt, StageStatus};
pub use table::{CursorReset, CursorStatus, PinStatus, SourceCursor, TableStatus};
