//! The parts of an operator's line: `mode=Partitioned, on=[(a@0, b@0)]`.

use std::collections::{BTreeMap, BTreeSet};

use super::document::DetailChange;
use super::plan_tree::PlanNode;

/// The part with the columns that come out of an operator of a logical plan.
const COLUMNS: &str = "columns";
/// The parts with the filters that a scan applies.
pub(super) const PUSHED: [&str; 3] = ["predicate", "full_filters", "partial_filters"];

/// The parts of an operator's line by name; what has no name is together under an empty one.
pub(super) fn parts(node: &PlanNode) -> BTreeMap<String, String> {
    let rest = node.line.strip_prefix(node.operator.as_str()).unwrap_or(&node.line);
    let mut rest = rest.trim_start_matches([':', ',']).trim();
    let mut parts = BTreeMap::new();
    if !node.operator.ends_with("Exec")
        && let Some(begin) = columns(rest)
    {
        parts.insert(COLUMNS.to_owned(), rest[begin..].to_owned());
        rest = rest[..begin].trim_end();
    }
    let mut unnamed: Vec<&str> = Vec::new();
    for chunk in split(rest, ", ") {
        match named(chunk) {
            Some((before, name, value)) => {
                unnamed.extend(Some(before.trim()).filter(|text| !text.is_empty()));
                parts.insert(name.to_owned(), value.to_owned());
            }
            None => unnamed.extend(Some(chunk.trim()).filter(|text| !text.is_empty())),
        }
    }
    if !unnamed.is_empty() {
        parts.insert(String::new(), unnamed.join(", "));
    }
    parts
}

/// The parts that differ between two lines of the same operator.
pub(super) fn changes(before: &PlanNode, after: &PlanNode) -> Vec<DetailChange> {
    let (before, after) = (parts(before), parts(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| DetailChange {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// The filters that a scan applies, each once; those that only come about while it runs are none.
pub(super) fn pushed_filters(node: &PlanNode) -> BTreeSet<String> {
    let parts = parts(node);
    let mut filters = BTreeSet::new();
    for text in PUSHED.iter().filter_map(|name| parts.get(*name)) {
        let list = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let separated = match list {
            Some(list) => split(list, ", "),
            None => vec![text.as_str()],
        };
        let each = separated.into_iter().flat_map(|text| split(text, " AND "));
        filters.extend(each.filter(|text| !text.starts_with("DynamicFilter")).map(|text| text.trim().to_owned()));
    }
    filters.remove("");
    filters
}

/// Where the columns begin with which a line of a logical plan ends.
fn columns(text: &str) -> Option<usize> {
    if !text.ends_with(']') {
        return None;
    }
    let mut depth = 0_usize;
    for (index, letter) in text.char_indices().rev() {
        match letter {
            ']' => depth += 1,
            '[' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return (index == 0 || text[..index].ends_with(' ')).then_some(index);
        }
    }
    None
}

/// The pieces of a text between separators that are in no brackets.
fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let mut pieces = Vec::new();
    let (mut depth, mut begin) = (0_usize, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && index >= begin && text[index..].starts_with(separator) {
            pieces.push(&text[begin..index]);
            begin = index + separator.len();
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

/// A piece as what is before a name, the name and its value: `orders projection=[id]`.
fn named(piece: &str) -> Option<(&str, &str, &str)> {
    let (head, value) = piece.split_once('=')?;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let begin = head.char_indices().rev().take_while(|(_, letter)| is_part(*letter)).last().map(|(index, _)| index)?;
    let is_comparison = value.starts_with([' ', '=']) || head[..begin].contains(['(', '[', '@']);
    (!is_comparison).then(|| (&head[..begin], &head[begin..], value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::plan_tree::parse;

    fn of(line: &str) -> BTreeMap<String, String> {
        parts(&parse(line)[0].nodes[0])
    }

    fn expected(parts: &[(&str, &str)]) -> BTreeMap<String, String> {
        parts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lines_have_parts() {
        let cases: [(&str, &[(&str, &str)]); 6] = [
            ("CoalescePartitionsExec", &[]),
            (
                "HashJoinExec: mode=Partitioned, join_type=Inner, on=[(a@0, b@1)]",
                &[("mode", "Partitioned"), ("join_type", "Inner"), ("on", "[(a@0, b@1)]")],
            ),
            ("FilterExec: a@0 = 1 AND b@1 IN (2, 3), fetch=5", &[("", "a@0 = 1 AND b@1 IN (2, 3)"), ("fetch", "5")]),
            (
                "TableScan: orders projection=[id, day], full_filters=[day = 1] [id:Int64, day:Int64]",
                &[
                    ("", "orders"),
                    ("projection", "[id, day]"),
                    ("full_filters", "[day = 1]"),
                    ("columns", "[id:Int64, day:Int64]"),
                ],
            ),
            ("Union [id:Int64]", &[("columns", "[id:Int64]")]),
            ("Filter: a >= Int64(0) [a:Int64]", &[("", "a >= Int64(0)"), ("columns", "[a:Int64]")]),
        ];
        for (line, parts) in cases {
            assert_eq!(of(line), expected(parts), "{line}");
        }
    }

    #[test]
    fn the_filters_of_a_scan_are_known() {
        let of = |line: &str| pushed_filters(&parse(line)[0].nodes[0]).into_iter().collect::<Vec<_>>();
        assert_eq!(of("TableScan: t full_filters=[a = 1], partial_filters=[b > 2 AND c]"), ["a = 1", "b > 2", "c"]);
        assert_eq!(of("DataSourceExec: predicate=a@0 = 1 AND DynamicFilter [ empty ], x=1"), ["a@0 = 1"]);
        assert_eq!(of("DataSourceExec: projection=[a]"), Vec::<String>::new());
    }
}
