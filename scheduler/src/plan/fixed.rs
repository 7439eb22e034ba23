//! What a run reads that does not take the newest of everything: one that is resumed, or that tries another's stages again.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::{PinRecord, StageDecision};
use windlass_project::spec::source::PinAt;

use super::error::PlanError;
use super::input::Input;

/// The state at which each name is read, as an earlier plan has settled it.
#[derive(Debug, Clone, Default)]
pub struct FixedPins {
    /// What that plan had pinned.
    pub pins: BTreeMap<NodeName, PinRecord>,
    /// Versions of tables that its run has committed since.
    pub committed: BTreeMap<NodeName, TableVersion>,
    /// The plan itself, if its run goes on.
    pub resumed: Option<ResumedPlan>,
}

/// The plan of a run that is resumed.
#[derive(Debug, Clone, Default)]
pub struct ResumedPlan {
    /// What was decided, by stage.
    pub decisions: BTreeMap<NodeName, StageDecision>,
    /// The stages that the run executes.
    pub scheduled: BTreeSet<NodeName>,
    /// Those that have ended, one way or another.
    pub ended: BTreeSet<NodeName>,
}

impl FixedPins {
    /// The version at which a name is read, if it has versions.
    pub(super) fn version(&self, name: &NodeName) -> Option<PinAt> {
        let pinned = || self.pins.get(name)?.version;
        self.committed.get(name).copied().or_else(pinned).map(|version| PinAt::Version(version.0))
    }

    /// Whether what was found of a name is what the earlier plan had pinned.
    ///
    /// # Errors
    /// [`PlanError::Moved`] if not, which only happens to sources without versions.
    pub(super) fn check(&self, name: &NodeName, found: &Input) -> Result<(), PlanError> {
        let (Some(before), Input::Pinned(now)) = (self.pins.get(name), found) else { return Ok(()) };
        match before.version.is_some() || before.content_identity == now.pin.content_identity {
            true => Ok(()),
            false => Err(PlanError::Moved { node: name.clone() }),
        }
    }
}
