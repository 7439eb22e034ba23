//! The operators of a stage in two runs: which belong together, and what they measured.
//!
//! Operators with the same line belong together, in their order; then, of those that are left, those of the same kind. So the
//! same pairs are found in both directions.

use std::collections::{BTreeMap, VecDeque};

use super::document::OperatorDiff;
use super::measure::Measure;
use super::measures::{changes, of_operator};
use crate::artifact::OperatorMetrics;

/// An operator in the earlier and in the later run.
pub(super) type Paired<'o> = (Option<&'o OperatorMetrics>, Option<&'o OperatorMetrics>);

/// By what operators are told apart.
type Key = fn(&OperatorMetrics) -> (&str, &str);

/// The operators of both runs: those of the later one in their order, then those that only the earlier one has.
pub(super) fn pairs<'o>(before: &'o [OperatorMetrics], after: &'o [OperatorMetrics]) -> Vec<Paired<'o>> {
    let mut partners: Vec<Option<usize>> = vec![None; after.len()];
    let mut is_taken = vec![false; before.len()];
    let keys: [Key; 2] = [by_line, by_kind];
    for key in keys {
        let mut waiting: BTreeMap<(&str, &str), VecDeque<usize>> = BTreeMap::new();
        for (index, operator) in before.iter().enumerate().filter(|(index, _)| !is_taken[*index]) {
            waiting.entry(key(operator)).or_default().push_back(index);
        }
        for (index, operator) in after.iter().enumerate() {
            if partners[index].is_none() {
                partners[index] = waiting.get_mut(&key(operator)).and_then(VecDeque::pop_front);
            }
        }
        for partner in partners.iter().flatten() {
            is_taken[*partner] = true;
        }
    }
    let later = after.iter().zip(&partners).map(|(operator, partner)| (partner.map(|at| &before[at]), Some(operator)));
    let gone = before.iter().zip(&is_taken).filter(|(_, is_taken)| !**is_taken);
    later.chain(gone.map(|(operator, _)| (Some(operator), None))).collect()
}

/// The operators that measured something else, those with the greatest difference of time first.
pub(super) fn diffs(before: &[OperatorMetrics], after: &[OperatorMetrics]) -> Vec<OperatorDiff> {
    let mut diffs: Vec<OperatorDiff> = pairs(before, after).into_iter().filter_map(diff).collect();
    diffs.sort_by_key(|diff| std::cmp::Reverse(time(diff)));
    diffs
}

fn diff((before, after): Paired<'_>) -> Option<OperatorDiff> {
    let shown = after.or(before)?;
    let measures = |operator: Option<&OperatorMetrics>| operator.map(of_operator).unwrap_or_default();
    let measures = changes(&measures(before), &measures(after));
    let (in_before, in_after) = (before.is_some(), after.is_some());
    (!measures.is_empty() || in_before != in_after).then(|| OperatorDiff {
        operator: shown.operator.clone(),
        detail: shown.detail.clone(),
        in_before,
        in_after,
        measures,
    })
}

fn time(diff: &OperatorDiff) -> u64 {
    let times = diff.measures.iter().filter(|change| matches!(change.measure, Measure::Compute | Measure::ScanTime));
    times.map(|change| change.after.unwrap_or_default().abs_diff(change.before.unwrap_or_default())).max().unwrap_or(0)
}

fn by_line(operator: &OperatorMetrics) -> (&str, &str) {
    (&operator.operator, stable(&operator.detail))
}

fn by_kind(operator: &OperatorMetrics) -> (&str, &str) {
    (&operator.operator, "")
}

/// The line without what depends on the number of files.
fn stable(detail: &str) -> &str {
    match detail.split_once("file_groups={") {
        Some((_, rest)) => rest.split_once('}').map_or(detail, |(_, rest)| rest),
        None => detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{MetricUnit, OperatorMetric};

    fn operator(name: &str, detail: &str, rows: u64) -> OperatorMetrics {
        let rows = OperatorMetric { name: "output_rows".to_owned(), unit: MetricUnit::Rows, value: rows };
        OperatorMetrics {
            engine_stage: 1,
            position: 0,
            depth: 0,
            operator: name.to_owned(),
            detail: detail.to_owned(),
            metrics: vec![rows],
        }
    }

    #[test]
    fn operators_with_the_same_line_belong_together() {
        let before = [operator("F", "F: a", 1), operator("F", "F: b", 2), operator("S", "S: x", 3)];
        let after = [operator("F", "F: b", 2), operator("F", "F: c", 5), operator("L", "L: 1", 7)];
        let pairs: Vec<_> = pairs(&before, &after)
            .into_iter()
            .map(|(before, after)| (before.map(|it| it.detail.as_str()), after.map(|it| it.detail.as_str())))
            .collect();
        assert_eq!(
            pairs,
            [(Some("F: b"), Some("F: b")), (Some("F: a"), Some("F: c")), (None, Some("L: 1")), (Some("S: x"), None)]
        );
        assert_eq!(diffs(&before, &after).len(), 3, "the same rows are no difference");
    }

    #[test]
    fn the_number_of_files_does_not_tell_scans_apart() {
        let scan = |files: &str| format!("DataSourceExec: file_groups={{1 group, {files}}}, projection=[a]");
        assert_eq!(stable(&scan("1 file")), stable(&scan("7 files")));
    }
}
