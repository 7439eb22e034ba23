//! What a run tells other tools of its lineage while it goes on: that it and its stages begin, and how they have ended.

use std::collections::BTreeSet;

use chrono::Utc;
use parking_lot::Mutex;
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{RunRecord, SourceChange, StageRecord};
use windlass_evidence::openlineage::{
    InputFacts, RunEvent, RunFacts, StageFacts, run_begins, run_ended, run_goes_on, stage_begins, stage_ended,
};
use windlass_project::strategy::Strategy;

use crate::openlineage::Events;
use crate::plan::{Inputs, executed_inputs};
use crate::run::context::RunContext;

/// The lineage events of one run.
pub(super) struct LineageEvents {
    events: Events,
    run: RunFacts,
    /// The stages of which was said that they begin.
    begun: Mutex<BTreeSet<NodeName>>,
}

impl LineageEvents {
    /// As the environment says, or none at all.
    pub(super) fn of(run: &RunContext, are_sent: bool) -> Self {
        let events = if are_sent { Events::from_env() } else { Events::none() };
        let run = events.facts(&run.identity.run_id, &run.identity.pipeline);
        Self { events, run, begun: Mutex::default() }
    }

    /// The run begins, or goes on in this process.
    pub(super) fn run_begins(&self, is_resumed: bool) {
        let now = Utc::now();
        self.events.send(&if is_resumed { run_goes_on(&self.run, now) } else { run_begins(&self.run, now) });
    }

    /// A stage begins; said once, however often it is tried.
    pub(super) fn stage_begins(&self, run: &RunContext, inputs: &Inputs, stage: &NodeName) {
        if self.events.are_sent() && self.begun.lock().insert(stage.clone()) {
            let event = about(run, inputs, stage, &[], |facts| stage_begins(&self.run, facts, Utc::now()));
            event.iter().for_each(|event| self.events.send(event));
        }
    }

    /// A stage has ended.
    pub(super) fn stage_ended(&self, run: &RunContext, inputs: &Inputs, record: &StageRecord) {
        if !self.events.are_sent() {
            return;
        }
        let lineage = record.lineage.as_ref();
        let is_whole = lineage.is_none_or(|lineage| matches!(lineage.strategy, None | Some(Strategy::Full)));
        let changes = lineage.filter(|_| !is_whole).map(|lineage| lineage.changes.as_slice()).unwrap_or_default();
        let event = about(run, inputs, &record.stage, changes, |facts| stage_ended(&self.run, facts, record));
        event.flatten().iter().for_each(|event| self.events.send(event));
    }

    /// The run has ended: waits a little for what is under way. Gives a warning if not everything was sent.
    pub(super) async fn run_ended(&self, record: &RunRecord) -> Option<String> {
        let event: Option<RunEvent> = run_ended(&self.run, record);
        event.iter().for_each(|event| self.events.send(event));
        self.events.finish().await
    }
}

/// What `tell` makes of the facts of a stage; nothing if it is none of the run.
fn about<T>(
    run: &RunContext,
    inputs: &Inputs,
    name: &NodeName,
    changes: &[SourceChange],
    tell: impl FnOnce(&StageFacts<'_>) -> T,
) -> Option<T> {
    let (stage, planned) = run.stage(name).ok()?;
    let reads = executed_inputs(run.graph(), stage);
    let read = reads.base_tables.iter().chain(&reads.rows).map(|name| input_facts(name, inputs, changes));
    let location = planned.table.location.to_string();
    Some(tell(&StageFacts {
        stage: &stage.name,
        sql: stage.query.sql().map(|sql| &*sql.text),
        description: stage.description.as_deref(),
        tags: &stage.tags,
        inputs: read.collect(),
        location: &location,
        output: inputs.pinned_input(name).map(|pinned| &pinned.registration),
    }))
}

fn input_facts<'f>(name: &'f NodeName, inputs: &'f Inputs, changes: &'f [SourceChange]) -> InputFacts<'f> {
    let pinned = inputs.pinned_input(name);
    InputFacts {
        name,
        registration: pinned.map(|pinned| &pinned.registration),
        version: inputs.pin(name).and_then(|pin| pin.version),
        rows: pinned.and_then(|pinned| pinned.table.as_ref()?.pin().rows),
        change: changes.iter().find(|change| change.source == *name),
    }
}
