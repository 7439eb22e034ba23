//! What one run reads, computes and writes, settled before anything runs.

use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::ParamValues;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::table::TableDefinition;
use windlass_evidence::artifact::{
    PinRecord, PinsRecord, PlanRecord, PlannedColumn, PlannedRun, PlannedTable, SavedCursor, SavedPlan, SavedRequest,
};
use windlass_project::spec::table::WriteMode;

use super::changes::KnownChanges;
use super::code::CodeVersion;
use super::error::PlanError;
use super::incremental_context::IncrementalContext;
use super::input::Inputs;
use super::request::PlanRequest;

/// What one run reads, computes and writes.
#[derive(Debug)]
pub struct RunPlan {
    /// What it was made from.
    pub request: PlanRequest,
    /// The parameters as the engine takes them.
    pub params: ParamValues,
    /// What each name stands for when the run begins.
    pub inputs: Inputs,
    /// The stages that write, each after those it reads.
    pub stages: Vec<PlannedStage>,
    /// How each selected stage's rows come about, and why.
    pub record: PlanRecord,
    /// The stages whose tables are used as they are.
    pub reused: Vec<ReusedStage>,
    /// Why stages may not be computed; they are among those that write, and fail.
    pub refused: Vec<PlanError>,
    /// The changes of inputs that were looked at.
    pub changes: KnownChanges,
    /// The hash of everything about the session that can change a plan.
    pub session_identity: String,
    /// What the stages' tables have applied before the run.
    pub cursors: Vec<SavedCursor>,
}

/// A stage that writes a table.
#[derive(Debug, Clone)]
pub struct PlannedStage {
    /// The stage.
    pub name: NodeName,
    /// The stages of this run that it waits for.
    pub depends_on: Vec<NodeName>,
    /// The table that it wants.
    pub table: TableDefinition,
    /// Its columns, in types that Delta has.
    pub columns: SchemaRef,
    /// Overwrite or append.
    pub mode: WriteMode,
    /// What is known of it as a table that lasts; `None` for a cache.
    pub table_context: Option<Box<IncrementalContext>>,
}

impl RunPlan {
    /// The stage of that name, if it writes in this run.
    pub fn stage(&self, name: &NodeName) -> Option<&PlannedStage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }

    /// The pins with which the run begins.
    pub fn pins(&self) -> PinsRecord {
        let mut pins: Vec<PinRecord> = self.inputs.pinned().map(|input| input.pin.clone()).collect();
        pins.sort_by(|a, b| a.source.cmp(&b.source));
        PinsRecord { pins }
    }

    /// The plan, if every stage of it may be computed.
    ///
    /// # Errors
    /// The first of those that stand against it.
    pub fn accepted(mut self) -> Result<Self, PlanError> {
        match self.refused.is_empty() {
            true => Ok(self),
            false => Err(self.refused.swap_remove(0)),
        }
    }

    /// The plan as a person or another process gets it.
    pub fn summary(&self) -> PlannedRun {
        PlannedRun {
            pipeline: self.request.graph.name.clone(),
            pins: self.pins().pins,
            stages: self.record.stages.clone(),
            tables: self.stages.iter().map(PlannedStage::summary).collect(),
            // Parameters are plain values: there is nothing in them that JSON refuses.
            params: serde_json::to_value(&self.request.params).unwrap_or_default(),
            session_identity: self.session_identity.clone(),
            cursors: self.cursors.clone(),
        }
    }
}

impl RunPlan {
    /// The plan in the form in which `approved` was saved, to be compared with it. Where sources were put is seen by
    /// what is pinned.
    pub fn as_saved(&self, approved: &SavedPlan) -> SavedPlan {
        let request = SavedRequest {
            target: self.request.graph.target.clone(),
            params: approved.request.params.clone(),
            sources: approved.request.sources.clone(),
            select: self.request.select.clone(),
            exclude: self.request.exclude.clone(),
            refresh: self.request.refresh.clone(),
        };
        SavedPlan::new(request, &self.summary())
    }
}

impl PlannedStage {
    /// Whether it may not be computed.
    pub fn is_refused(&self) -> bool {
        self.table_context.as_ref().is_some_and(|table_context| table_context.refusal.is_some())
    }

    fn summary(&self) -> PlannedTable {
        let column = |field: &FieldRef| PlannedColumn {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        };
        PlannedTable {
            stage: self.name.clone(),
            location: self.table.location.url().to_string(),
            mode: self.mode,
            partition_by: self.table.partition_by.clone(),
            columns: self.columns.fields().iter().map(column).collect(),
        }
    }
}

/// A stage whose table is used as it is.
#[derive(Debug, Clone)]
pub struct ReusedStage {
    /// The stage.
    pub name: NodeName,
    /// Its definition.
    pub code: CodeVersion,
    /// The version of its table.
    pub version: TableVersion,
    /// Where the table is.
    pub location: String,
    /// What it reads, views and caches seen through.
    pub inputs: Vec<NodeName>,
}
