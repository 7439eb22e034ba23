//! What the bundle says of a stage besides what the machine knows.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{
    ColumnLineage, ExpectationRecord, LineageInput, OutputRecord, QuarantineRecord, Registration, ReuseVerdict,
    SourceChange, TouchedRows,
};
use windlass_project::strategy::Strategy;

use crate::execute::JobEvidence;
use crate::plan::Inputs;

/// What is known of a stage besides the machine's state.
#[derive(Debug, Default)]
pub(in crate::run) struct StageNotes {
    pub(in crate::run) registrations: Vec<Registration>,
    pub(in crate::run) inputs: Vec<LineageInput>,
    pub(in crate::run) plan_fingerprint: String,
    /// What the columns of its query depend on.
    pub(in crate::run) columns: Option<ColumnLineage>,
    /// The engine's evidence of each attempt.
    pub(in crate::run) jobs: BTreeMap<u32, JobEvidence>,
    /// How the table was brought up to date.
    pub(in crate::run) strategy: Option<Strategy>,
    /// How much of the table the changes touched, if that was looked at.
    pub(in crate::run) touched: Option<TouchedRows>,
    /// Whether affected keys got their new rows from the changes and the table alone.
    pub(in crate::run) from_changes: bool,
    /// Why all rows were computed although changes were to be applied.
    pub(in crate::run) fallback: Option<String>,
    /// What of each input was applied.
    pub(in crate::run) changes: Vec<SourceChange>,
    /// Whether the table was used as it was, and if not why.
    pub(in crate::run) reuse: ReuseVerdict,
    /// How the rows kept to what the stage expects.
    pub(in crate::run) expectations: Vec<ExpectationRecord>,
    /// Where those were committed that did not, if some did.
    pub(in crate::run) quarantine: Option<QuarantineRecord>,
    /// What was saved.
    pub(in crate::run) outputs: Vec<OutputRecord>,
}

/// What a stage reads, at which version.
pub(in crate::run) fn lineage_inputs(names: &[NodeName], inputs: &Inputs) -> Vec<LineageInput> {
    let input = |name: &NodeName| LineageInput {
        name: name.clone(),
        version: inputs.pin(name).and_then(|pin| pin.version),
        identity: inputs.pin(name).and_then(|pin| pin.content_identity.clone()),
    };
    names.iter().map(input).collect()
}
