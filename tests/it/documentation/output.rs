//! Printed text compared with that of a page.
//!
//! A line `…` stands for any lines. What differs from run to run (times, sizes, ids) is not compared, and neither are spaces and line
//! breaks, which depend on its width.

use std::sync::LazyLock;

use regex::Regex;

/// The line for lines that are left out.
const ANYTHING: &str = "…";

/// What differs from run to run, and what is compared instead.
static VARIABLE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?Z( on \S+)?", "<date>"),
        (r"\b\d\d:\d\d:\d\dZ", "<time>"),
        (r"\b\d+(\.\d+)? (ms|s)\b", "<duration>"),
        (r"\b\d+(\.\d+)? (B|KiB|MiB|GiB)(\s|$)", "<size>$3"),
        (r"\b([0-9a-f]{32}|[0-9a-f]{12})\b", "<id>"),
        (r"\b\d+\.\d+\.\d+\b", "<version>"),
        (r"\s+", " "),
    ];
    patterns.into_iter().map(|(pattern, instead)| (Regex::new(pattern).unwrap(), instead)).collect()
});

/// A line without what differs from run to run.
fn comparable(line: &str) -> String {
    let mut line = line.to_owned();
    for (pattern, instead) in VARIABLE.iter() {
        line = pattern.replace_all(&line, *instead).into_owned();
    }
    line.trim_end().to_owned()
}

fn all_comparable(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| comparable(line)).collect()
}

/// The words of some lines, however the lines are wrapped: that depends on the length of paths and times.
fn words(lines: &[String]) -> Vec<String> {
    comparable(&lines.join(" ")).split_whitespace().map(str::to_owned).collect()
}

/// Whether the page shows what was printed.
pub(super) fn shows(page: &[String], printed: &[String]) -> bool {
    let mut parts = page.split(|line| line == ANYTHING).map(words).peekable();
    let printed = words(printed);
    let mut rest = printed.as_slice();
    let mut is_first = true;
    while let Some(part) = parts.next() {
        let begin = match (is_first, parts.peek().is_none()) {
            (true, true) => (part == rest).then_some(0),
            (true, false) => rest.starts_with(&part).then_some(0),
            (false, true) => rest.ends_with(&part).then(|| rest.len() - part.len()),
            (false, false) => (0..=rest.len()).find(|begin| rest[*begin..].starts_with(&part)),
        };
        let Some(begin) = begin else { return false };
        rest = &rest[begin + part.len()..];
        is_first = false;
    }
    true
}

/// What the page should show: what was printed, shortened as on the page.
pub(super) fn renewed(page: &[String], printed: &[String]) -> Vec<String> {
    let mut renewed = Vec::new();
    let mut add = |shown: &[String], found: &[String]| {
        let first = shown.iter().position(|line| line == ANYTHING);
        let last = shown.iter().rposition(|line| line == ANYTHING);
        let (Some(first), Some(last)) = (first, last) else { return renewed.extend_from_slice(found) };
        let head = first.min(found.len());
        let tail = (shown.len() - 1 - last).min(found.len() - head);
        renewed.extend_from_slice(&found[..head]);
        renewed.push(ANYTHING.to_owned());
        renewed.extend_from_slice(&found[found.len() - tail..]);
    };
    let (mut shown, mut found) = (0, 0);
    for (line, same) in common(&all_comparable(page), &all_comparable(printed)) {
        add(&page[shown..line], &printed[found..same]);
        add(&[], &printed[same..=same]);
        (shown, found) = (line + 1, same + 1);
    }
    add(&page[shown..], &printed[found..]);
    renewed
}

/// The longest common subsequence, as pairs of places.
fn common(left: &[String], right: &[String]) -> Vec<(usize, usize)> {
    let mut longest = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            longest[i][j] = match left[i] == right[j] {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_differs_from_run_to_run_is_not_compared() {
        let page = "a     1.71 KiB  579 ms  1\nrun 01a22eee3d9173039c4aabb80fd78349 at 00:08:15Z\nstarted 2026-12-01 00:08:30Z on vm";
        let printed = "a  900 B  1.2 s  1\nrun 01a22eee3d9173039c4aabb80fd78340 at 10:08:15Z\nstarted 2027-12-01 00:08:30Z on other";
        assert!(shows(&lines(page), &lines(printed)));
        assert!(!shows(&lines("2 rows"), &lines("3 rows")));
        assert!(!shows(&lines("2026-03-01"), &lines("2026-03-02")));
    }

    #[test]
    fn dots_stand_for_any_lines() {
        let printed = lines("a\nb\nc\nd\ne");
        for page in ["a\nb\nc\nd\ne", "…\ne", "a\n…", "a\n…\nc\n…\ne", "…", "a\nb\nc\n…\nd\ne"] {
            assert!(shows(&lines(page), &printed), "{page}");
        }
        for page in ["a\nb", "…\nd", "b\n…", "a\n…\nd\n…\nc\n…", ""] {
            assert!(!shows(&lines(page), &printed), "{page}");
        }
    }

    #[test]
    fn a_renewed_block_is_shortened_as_before() {
        let printed = lines("a\nb\nX\nd\ne");
        assert_eq!(renewed(&lines("a\nb\nc\nd\ne"), &printed), printed);
        assert_eq!(renewed(&lines("…\nc\nd\ne"), &printed), lines("…\nX\nd\ne"));
        assert_eq!(renewed(&lines("a\n…\nd\nf"), &printed), lines("a\n…\nd\ne"));
        assert_eq!(renewed(&lines("a\nc\n…"), &printed), lines("a\nb\n…"));
    }
}
