//! Where the time of a run went: the chain of stages that decided how long it took, and the operators that computed longest.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use windlass_base::ids::NodeName;

use crate::artifact::{OperatorMetrics, StageRecord};

/// The metric of the time that an operator computed, in nanoseconds, summed over its tasks.
const ELAPSED: &str = "elapsed_compute";

/// What is known of the time of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedStage<'s> {
    /// The stage.
    pub name: &'s NodeName,
    /// The stages that it waits for.
    pub depends_on: &'s [NodeName],
    /// How long it took.
    pub duration_ms: u64,
}

/// Stages that waited for one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// The stages, the first one first.
    pub stages: Vec<NodeName>,
    /// How long they took together.
    pub duration_ms: u64,
}

/// The longest chain of durations along the dependencies. `stages` are in the order of a plan, each after those it waits
/// for; stages that took no time are no part of a chain.
pub fn critical_path(stages: &[TimedStage<'_>]) -> CriticalPath {
    // Of each stage: the duration of the longest chain that ends with it, and the stage before it in that chain.
    let mut chains: BTreeMap<&NodeName, (u64, Option<&NodeName>)> = BTreeMap::new();
    for stage in stages {
        let before = stage.depends_on.iter().filter_map(|name| chains.get_key_value(name));
        let before = before.max_by_key(|(_, (duration, _))| *duration);
        let (duration, before) = before.map_or((0, None), |(name, (duration, _))| (*duration, Some(*name)));
        chains.insert(stage.name, (duration + stage.duration_ms, before));
    }
    let took: BTreeMap<&NodeName, u64> = stages.iter().map(|stage| (stage.name, stage.duration_ms)).collect();
    // Of several chains that take equally long, the one that ends first in the plan.
    let last = stages.iter().rev().max_by_key(|stage| chains.get(stage.name).map(|(duration, _)| *duration));
    let mut path = CriticalPath::default();
    let mut next = last.map(|stage| stage.name);
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

/// An operator that computed long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostlyOperator {
    /// The stage that it is part of.
    pub stage: NodeName,
    /// Its name.
    pub operator: String,
    /// Its line of the plan.
    pub detail: String,
    /// How long it computed, in nanoseconds, summed over its tasks.
    pub elapsed_ns: u64,
    /// Of what all operators of the run computed, the part that it did, in percent.
    pub percent: u64,
}

/// The operators of a run that computed longest, the longest first, at most `most`.
pub fn costliest_operators(stages: &[StageRecord], most: usize) -> Vec<CostlyOperator> {
    let all = stages.iter().flat_map(|stage| stage.operators.iter().map(move |operator| (stage, operator)));
    let mut timed: Vec<(&StageRecord, &OperatorMetrics, u64)> = all
        .map(|(stage, operator)| (stage, operator, elapsed(operator)))
        .filter(|(.., elapsed)| *elapsed > 0)
        .collect();
    let total = timed.iter().map(|(.., elapsed)| *elapsed).sum::<u64>().max(1);
    timed.sort_by_key(|(stage, operator, elapsed)| {
        (Reverse(*elapsed), stage.stage.clone(), operator.engine_stage, operator.position)
    });
    let costly = timed.into_iter().take(most).map(|(stage, operator, elapsed)| CostlyOperator {
        stage: stage.stage.clone(),
        operator: operator.operator.clone(),
        detail: operator.detail.clone(),
        elapsed_ns: elapsed,
        percent: u64::try_from(u128::from(elapsed) * 100 / u128::from(total)).unwrap_or(100),
    });
    costly.collect()
}

fn elapsed(operator: &OperatorMetrics) -> u64 {
    operator.metrics.iter().find(|metric| metric.name == ELAPSED).map_or(0, |metric| metric.value)
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn path(stages: &[(&str, u64, &[&str])]) -> (Vec<String>, u64) {
        let owned: Vec<(NodeName, u64, Vec<NodeName>)> = stages
            .iter()
            .map(|(name, took, before)| ((*name).into(), *took, before.iter().copied().map(NodeName::from).collect()))
            .collect();
        let timed: Vec<TimedStage<'_>> = owned
            .iter()
            .map(|(name, duration_ms, depends_on)| TimedStage { name, depends_on, duration_ms: *duration_ms })
            .collect();
        let path = critical_path(&timed);
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

    #[test]
    fn the_costliest_operators_of_all_stages_come_first() {
        let stage = |name: &str, elapsed: &[u64]| -> StageRecord {
            let operators: Vec<_> = elapsed
                .iter()
                .enumerate()
                .map(|(position, elapsed)| {
                    let metric = json!({ "name": ELAPSED, "unit": "nanoseconds", "value": elapsed });
                    json!({
                        "engine_stage": 1, "position": position, "depth": position, "operator": "O", "detail": "O: x",
                        "metrics": [metric],
                    })
                })
                .collect();
            from_value(json!({ "stage": name, "status": "committed", "attempts": [], "operators": operators })).unwrap()
        };
        let costly = costliest_operators(&[stage("a", &[10, 0, 60]), stage("b", &[30])], 2);
        let seen: Vec<_> = costly.iter().map(|one| (one.stage.as_str(), one.elapsed_ns, one.percent)).collect();
        assert_eq!(seen, [("a", 60, 60), ("b", 30, 30)]);
        assert!(costliest_operators(&[], 3).is_empty());
    }
}
