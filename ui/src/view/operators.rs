//! The operators of a stage's plan as a tree, with what they measured.

use windlass_evidence::artifact::{MetricUnit, OperatorMetrics};

use super::text::{NONE, bytes, count, counted, nanoseconds};

/// As many operators are marked as the hottest.
const HOT: usize = 3;
/// Deeper operators are not indented further.
const MAX_DEPTH: u32 = 24;
/// The width of the longest bar.
const BAR: u64 = 90;

/// The plan of an engine stage.
#[derive(Debug)]
pub(crate) struct OperatorTree {
    /// The engine's stage.
    pub(crate) engine_stage: u32,
    /// Its operators, each before those that it reads.
    pub(crate) operators: Vec<Operator>,
}

/// An operator.
#[derive(Debug)]
pub(crate) struct Operator {
    /// How far it is indented.
    pub(crate) depth: u32,
    /// Its name.
    pub(crate) name: String,
    /// Its line of the plan.
    pub(crate) detail: String,
    /// Rows that it put out.
    pub(crate) rows: String,
    /// The time that it computed.
    pub(crate) elapsed: String,
    /// The width of that time's bar.
    pub(crate) bar: u64,
    /// What it wrote to disk for lack of memory.
    pub(crate) spilled: String,
    /// Its place among the hottest, from 1.
    pub(crate) hot: Option<usize>,
    /// Everything else that it measured.
    pub(crate) others: String,
}

/// What the operators of a stage wrote to disk for lack of memory; none if nothing.
pub(crate) fn spills(operators: &[OperatorMetrics]) -> Option<String> {
    let sum = |name: &str| operators.iter().filter_map(|operator| metric(operator, name)).sum::<u64>();
    let (files, written) = (sum("spill_count"), sum("spilled_bytes"));
    (files > 0 || written > 0).then(|| format!("{} of {}", counted(files, "spill"), bytes(written)))
}

/// The operators by engine stage.
pub(crate) fn operator_trees(operators: &[OperatorMetrics]) -> Vec<OperatorTree> {
    let elapsed = |operator: &OperatorMetrics| metric(operator, "elapsed_compute").unwrap_or_default();
    let mut hottest: Vec<(u64, u32, u32)> =
        operators.iter().map(|operator| (elapsed(operator), operator.engine_stage, operator.position)).collect();
    hottest.retain(|(elapsed, ..)| *elapsed > 0);
    hottest.sort_by_key(|(elapsed, stage, position)| (std::cmp::Reverse(*elapsed), *stage, *position));
    let most = hottest.first().map_or(1, |(elapsed, ..)| *elapsed);
    hottest.truncate(HOT);

    let mut ordered: Vec<&OperatorMetrics> = operators.iter().collect();
    ordered.sort_by_key(|operator| (operator.engine_stage, operator.position));
    let mut trees: Vec<OperatorTree> = Vec::new();
    for operator in ordered {
        let place = (elapsed(operator), operator.engine_stage, operator.position);
        let hot = hottest.iter().position(|hot| *hot == place).map(|index| index + 1);
        let shown = shown(operator, most, hot);
        match trees.last_mut().filter(|tree| tree.engine_stage == operator.engine_stage) {
            Some(tree) => tree.operators.push(shown),
            None => trees.push(OperatorTree { engine_stage: operator.engine_stage, operators: vec![shown] }),
        }
    }
    trees
}

fn shown(operator: &OperatorMetrics, most: u64, hot: Option<usize>) -> Operator {
    const APART: [&str; 3] = ["output_rows", "elapsed_compute", "spilled_bytes"];
    let elapsed = metric(operator, "elapsed_compute");
    let others = operator.metrics.iter().filter(|metric| !APART.contains(&metric.name.as_str()) && metric.value > 0);
    let others: Vec<String> = others
        .map(|metric| {
            let value = match metric.unit {
                MetricUnit::Count | MetricUnit::Rows => count(metric.value),
                MetricUnit::Bytes => bytes(metric.value),
                MetricUnit::Nanoseconds => nanoseconds(metric.value),
            };
            format!("{} {value}", metric.name)
        })
        .collect();
    let or_none = |value: Option<u64>, form: fn(u64) -> String| value.map_or_else(|| NONE.to_owned(), form);
    Operator {
        depth: operator.depth.min(MAX_DEPTH),
        name: operator.operator.clone(),
        detail: operator.detail.clone(),
        rows: or_none(metric(operator, "output_rows"), count),
        elapsed: or_none(elapsed, nanoseconds),
        bar: elapsed.map_or(0, |elapsed| share(elapsed, most)),
        spilled: or_none(metric(operator, "spilled_bytes").filter(|spilled| *spilled > 0), bytes),
        hot,
        others: others.join(", "),
    }
}

fn share(part: u64, of: u64) -> u64 {
    u64::try_from(u128::from(part) * u128::from(BAR) / u128::from(of.max(1))).unwrap_or(BAR)
}

fn metric(operator: &OperatorMetrics, name: &str) -> Option<u64> {
    operator.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value)
}

#[cfg(test)]
mod tests {
    use windlass_evidence::artifact::OperatorMetric;

    use super::*;

    fn operator(engine_stage: u32, position: u32, elapsed: u64, spilled: u64) -> OperatorMetrics {
        let metric = |name: &str, unit, value| OperatorMetric { name: name.to_owned(), unit, value };
        OperatorMetrics {
            engine_stage,
            position,
            depth: position,
            operator: format!("Exec{position}"),
            detail: String::new(),
            metrics: vec![
                metric("output_rows", MetricUnit::Rows, 1_200),
                metric("elapsed_compute", MetricUnit::Nanoseconds, elapsed),
                metric("spill_count", MetricUnit::Count, u64::from(spilled > 0)),
                metric("spilled_bytes", MetricUnit::Bytes, spilled),
            ],
        }
    }

    #[test]
    fn the_three_hottest_operators_of_all_are_marked() {
        let operators = [
            operator(2, 0, 0, 0),
            operator(1, 1, 40_000_000, 0),
            operator(1, 0, 10_000_000, 0),
            operator(2, 1, 20_000_000, 0),
            operator(2, 2, 30_000_000, 2_048),
        ];
        let trees = operator_trees(&operators);
        let shown: Vec<_> = trees
            .iter()
            .flat_map(|tree| tree.operators.iter().map(|operator| (tree.engine_stage, operator.depth, operator.hot)))
            .collect();
        let expected = [(1, 0, None), (1, 1, Some(1)), (2, 0, None), (2, 1, Some(3)), (2, 2, Some(2))];
        assert_eq!(shown, expected);
        let hottest = &trees[0].operators[1];
        assert_eq!((hottest.rows.as_str(), hottest.elapsed.as_str(), hottest.bar), ("1,200", "40 ms", BAR));
        assert_eq!(trees[1].operators[2].spilled, "2.0 KiB");
        assert_eq!(spills(&operators).as_deref(), Some("1 spill of 2.0 KiB"));
        assert_eq!(spills(&operators[..2]), None);
    }
}
