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

    /// That what was found of a name is what the earlier plan had pinned.
    ///
    /// # Errors
    /// [`PlanError::Moved`] if it is read from elsewhere, a source without versions has changed, or the version of a table is
    /// another commit than it was.
    pub(super) fn check(&self, name: &NodeName, found: &Input) -> Result<(), PlanError> {
        let (Some(before), Input::Pinned(now)) = (self.pins.get(name), found) else { return Ok(()) };
        match is_same(before, &now.pin) {
            true => Ok(()),
            false => Err(PlanError::Moved { node: name.clone() }),
        }
    }
}

/// Whether two pins of a source are of the same rows.
fn is_same(before: &PinRecord, now: &PinRecord) -> bool {
    // A table that was made anew has the same versions again, with other commits. A log that was cleaned does not tell when
    // an old version was committed.
    let other_commit = before.version == now.version
        && before.committed_at.zip(now.committed_at).is_some_and(|(before, now)| before != now);
    let same_rows = match before.version {
        Some(_) => now.version.is_some() && !other_commit,
        None => before.content_identity == now.content_identity,
    };
    same_rows && before.location == now.location
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn pin(changed: Value) -> PinRecord {
        let mut pin = json!({
            "source": "s", "kind": "delta", "location": "/lake/s", "version": 3, "committed_at": "2026-01-01T00:00:00Z",
            "chosen_by": "latest", "content_identity": null, "files": 1, "bytes": 1,
        });
        for (key, value) in changed.as_object().into_iter().flatten() {
            pin[key] = value.clone();
        }
        from_value(pin).unwrap()
    }

    #[test]
    fn rows_are_the_same_at_the_same_place_and_commit() {
        let before = pin(json!({}));
        assert!(is_same(&before, &pin(json!({ "chosen_by": "version", "files": 2 }))));
        assert!(is_same(&before, &pin(json!({ "committed_at": null }))), "the log was cleaned");
        // What the run has committed itself since is another version.
        assert!(is_same(&before, &pin(json!({ "version": 4, "committed_at": "2026-01-02T00:00:00Z" }))));
        assert!(!is_same(&before, &pin(json!({ "location": "/lake/other" }))));
        assert!(!is_same(&before, &pin(json!({ "committed_at": "2026-01-02T00:00:00Z" }))), "made anew");
        assert!(!is_same(&before, &pin(json!({ "version": null, "content_identity": "x" }))), "no table any more");
        let files =
            |identity: &str| pin(json!({ "version": null, "committed_at": null, "content_identity": identity }));
        assert!(is_same(&files("x"), &files("x")));
        assert!(!is_same(&files("x"), &files("y")));
    }
}
