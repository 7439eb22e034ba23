//! The chain of stages that decided how long a run took.

use std::collections::BTreeMap;

use windlass_base::ids::NodeName;

use super::stages::StageFacts;

/// Stages that waited for one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CriticalPath {
    /// The stages, the first one first.
    pub(crate) stages: Vec<NodeName>,
    /// How long they took together.
    pub(crate) duration_ms: u64,
}

/// The longest chain of durations along the dependencies. `stages` are in the order of a plan, each after those it waits
/// for; stages that took no time are no part of a chain.
pub(crate) fn critical_path(stages: &[StageFacts]) -> CriticalPath {
    // Of each stage: the duration of the longest chain that ends with it, and the stage before it in that chain.
    let mut chains: BTreeMap<&NodeName, (u64, Option<&NodeName>)> = BTreeMap::new();
    for stage in stages {
        let before = stage.depends_on.iter().filter_map(|name| chains.get_key_value(name));
        let before = before.max_by_key(|(_, (duration, _))| *duration);
        let (duration, before) = before.map_or((0, None), |(name, (duration, _))| (*duration, Some(*name)));
        chains.insert(&stage.name, (duration + stage.duration_ms, before));
    }
    let took: BTreeMap<&NodeName, u64> = stages.iter().map(|stage| (&stage.name, stage.duration_ms)).collect();
    // Of several chains that take equally long, the one that ends first in the plan.
    let last = stages.iter().rev().max_by_key(|stage| chains.get(&stage.name).map(|(duration, _)| *duration));
    let mut path = CriticalPath::default();
    let mut next = last.map(|stage| &stage.name);
    while let Some(name) = next {
        let Some((duration, before)) = chains.remove(name) else { break };
        path.duration_ms = path.duration_ms.max(duration);
        if took.get(name).is_some_and(|took| *took > 0) {
            path.stages.insert(0, name.clone());
        }
        next = before;
    }
    path
}

#[cfg(test)]
mod tests {
    use windlass_evidence::artifact::{Cause, PlanDecision, PlanRecord, StageDecision};

    use super::*;
    use crate::view::stages::stages_of;

    fn path(stages: &[(&str, u64, &[&str])]) -> (Vec<String>, u64) {
        let decisions = stages.iter().map(|(name, _, depends_on)| StageDecision {
            depends_on: depends_on.iter().copied().map(NodeName::from).collect(),
            ..StageDecision::new((*name).into(), PlanDecision::Full, Cause::NotBuilt, String::new())
        });
        let plan = PlanRecord { stages: decisions.collect() };
        let record = serde_json::json!({
            "format": 1, "run_id": "r", "sequence": 1, "pipeline": "p", "project_fingerprint": "",
            "versions": { "windlass": "", "ballista": "", "datafusion": "", "deltalake": "" },
            "session_identity": "", "host": "", "started_at": "2026-01-01T00:00:00Z", "status": "succeeded",
        });
        let record = serde_json::from_value(record).unwrap();
        let mut facts = stages_of(&record, Some(&plan), &[], chrono::DateTime::UNIX_EPOCH);
        for (facts, (_, duration, _)) in facts.iter_mut().zip(stages) {
            facts.duration_ms = *duration;
        }
        let path = critical_path(&facts);
        (path.stages.iter().map(ToString::to_string).collect(), path.duration_ms)
    }

    #[test]
    fn the_longest_chain_is_found_along_the_dependencies() {
        let diamond: [(&str, u64, &[&str]); 4] =
            [("a", 10, &[]), ("slow", 50, &["a"]), ("quick", 5, &["a"]), ("end", 7, &["slow", "quick"])];
        assert_eq!(path(&diamond), (vec!["a".to_owned(), "slow".to_owned(), "end".to_owned()], 67));
        // A long stage alone outweighs a chain of short ones.
        let apart: [(&str, u64, &[&str]); 3] = [("a", 10, &[]), ("b", 10, &["a"]), ("alone", 30, &[])];
        assert_eq!(path(&apart), (vec!["alone".to_owned()], 30));
    }

    #[test]
    fn stages_without_a_duration_are_no_part_of_it() {
        let reused: [(&str, u64, &[&str]); 3] = [("a", 0, &[]), ("b", 4, &["a"]), ("c", 0, &["b"])];
        assert_eq!(path(&reused), (vec!["b".to_owned()], 4));
        let nothing: [(&str, u64, &[&str]); 1] = [("a", 0, &["unknown"])];
        assert_eq!(path(&nothing), (Vec::new(), 0));
        assert_eq!(path(&[]), (Vec::new(), 0));
    }
}
