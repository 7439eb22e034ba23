//! What differs between two runs besides their stages: what they were asked, what they ran on, what they read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use windlass_base::ids::NodeName;

use super::document::{CodeDiff, InputChange, PinChange, ValueChange};
use super::evidence::RunEvidence;
use crate::artifact::{LineageInput, PinRecord, Refresh, RunRecord, StageDecision};

/// The settings that only say where a run was driven from.
pub(super) const HOST: &str = "host";
/// The hash of everything about the session that can change a plan.
pub(super) const SESSION: &str = "session";

/// The values that differ.
pub(super) fn values<const N: usize>(values: [(&str, Option<String>, Option<String>); N]) -> Vec<ValueChange> {
    let differing = values.into_iter().filter(|(_, before, after)| before != after);
    differing.map(|(name, before, after)| ValueChange { name: name.to_owned(), before, after }).collect()
}

/// What the runs were asked to do and ran on.
pub(super) fn settings(before: &RunRecord, after: &RunRecord) -> Vec<ValueChange> {
    let some = |one: &str, other: &str| (Some(one.to_owned()), Some(other.to_owned()));
    let (session, host) = (some(&before.session_identity, &after.session_identity), some(&before.host, &after.host));
    let (old, new) = (&before.versions, &after.versions);
    let (windlass, ballista) = (some(&old.windlass, &new.windlass), some(&old.ballista, &new.ballista));
    let (datafusion, deltalake) = (some(&old.datafusion, &new.datafusion), some(&old.deltalake, &new.deltalake));
    values([
        ("target", before.target.clone(), after.target.clone()),
        ("select", before.select.clone(), after.select.clone()),
        ("exclude", before.exclude.clone(), after.exclude.clone()),
        ("refresh", refresh(&before.refresh), refresh(&after.refresh)),
        (SESSION, session.0, session.1),
        ("windlass", windlass.0, windlass.1),
        ("ballista", ballista.0, ballista.1),
        ("datafusion", datafusion.0, datafusion.1),
        ("deltalake", deltalake.0, deltalake.1),
        (HOST, host.0, host.1),
    ])
}

fn refresh(refresh: &Refresh) -> Option<String> {
    (!refresh.is_empty()).then(|| serde_json::to_string(refresh).unwrap_or_default())
}

/// The parameters that differ.
pub(super) fn params(before: &RunRecord, after: &RunRecord) -> Vec<ValueChange> {
    let names: BTreeSet<&String> = before.params.keys().chain(after.params.keys()).collect();
    let differing = names.into_iter().filter(|name| before.params.get(*name) != after.params.get(*name));
    let value = |params: &BTreeMap<String, Value>, name: &String| params.get(name).map(as_text);
    differing
        .map(|name| ValueChange {
            name: name.clone(),
            before: value(&before.params, name),
            after: value(&after.params, name),
        })
        .collect()
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The sources that were read at another state. A table that one of the runs has written, or found as it should be, is none.
pub(super) fn pins(before: &RunEvidence, after: &RunEvidence) -> Vec<PinChange> {
    let is_own = |name: &NodeName| before.decision(name).is_some() || after.decision(name).is_some();
    let by_name = |run: &RunEvidence| -> BTreeMap<NodeName, PinRecord> {
        let pins = run.pins.iter().flat_map(|pins| &pins.pins).filter(|pin| !is_own(&pin.source));
        pins.map(|pin| (pin.source.clone(), pin.clone())).collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let names: BTreeSet<&NodeName> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| PinChange {
            source: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// The code of a stage, if it differs.
pub(super) fn code(before: Option<&StageDecision>, after: Option<&StageDecision>) -> Option<CodeDiff> {
    let (before, after) = (before?, after?);
    let known = !before.code_version.is_empty() && !after.code_version.is_empty();
    if !known || before.code_version == after.code_version {
        return None;
    }
    let mut parts = Vec::new();
    let mut only_settings = false;
    if let (Some(old), Some(new)) = (&before.code_parts, &after.code_parts) {
        parts = new.changed_since(old);
        let mut as_set_before = new.clone();
        as_set_before.settings.clone_from(&old.settings);
        as_set_before.engine.clone_from(&old.engine);
        only_settings = !parts.is_empty() && as_set_before.changed_since(old).is_empty();
    }
    if parts.is_empty() {
        parts.push("a value that is computed when it is planned".to_owned());
    }
    Some(CodeDiff { before: before.code_version.clone(), after: after.code_version.clone(), parts, only_settings })
}

/// The inputs of a stage that were read at another state.
pub(super) fn inputs(before: &RunEvidence, after: &RunEvidence, stage: &NodeName) -> Vec<InputChange> {
    let by_name = |inputs: &[LineageInput]| -> BTreeMap<NodeName, String> {
        inputs.iter().map(|input| (input.name.clone(), state(input))).collect()
    };
    let (before, after) = (by_name(before.inputs(stage)), by_name(after.inputs(stage)));
    let names: BTreeSet<&NodeName> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| InputChange {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// Which state of an input was read.
fn state(input: &LineageInput) -> String {
    match (input.version, &input.identity) {
        (Some(version), _) => format!("version {version}"),
        (None, Some(identity)) => format!("content {identity}"),
        (None, None) => "unknown".to_owned(),
    }
}
