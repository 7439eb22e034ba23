//! Plan texts as trees, by their indentation.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::plan_detail;

/// The section of a stage that has only one query.
const ONLY: &str = "rows";

/// One query of a plan text.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Its heading; none if the stage has only one query.
    pub(super) name: Option<String>,
    /// Its operators, each before those below it.
    pub(super) nodes: Vec<PlanNode>,
    /// Those that are below no other: one, as a rule.
    pub(super) roots: Vec<usize>,
}

/// An operator of a plan.
#[derive(Debug)]
pub(super) struct PlanNode {
    /// Its kind, such as `HashJoinExec` or `Inner Join`.
    pub(super) operator: String,
    /// Its line.
    pub(super) line: String,
    /// The operators that it reads.
    pub(super) children: Vec<usize>,
    /// A hash of the tree from here on.
    pub(super) fingerprint: u64,
}

impl PlanNode {
    /// Whether it joins two inputs.
    pub(super) fn is_join(&self) -> bool {
        self.operator.contains("Join") && self.children.len() == 2
    }

    /// Whether it reads a table.
    pub(super) fn is_scan(&self) -> bool {
        matches!(self.operator.as_str(), "TableScan" | "DataSourceExec")
    }

    /// What tells the input apart from others, if it reads no other operator.
    fn label(&self) -> String {
        let mut parts = plan_detail::parts(self);
        let label = match self.operator.as_str() {
            "TableScan" => parts.remove(""),
            _ => parts.remove("projection"),
        };
        label.unwrap_or_else(|| self.operator.clone())
    }
}

impl Section {
    /// By which the same query of two runs is found.
    pub(super) fn key(&self) -> &str {
        self.name.as_deref().unwrap_or(ONLY)
    }

    /// The inputs below an operator, from the first to the last.
    pub(super) fn inputs(&self, from: usize) -> Vec<String> {
        let mut waiting = vec![from];
        let mut labels = Vec::new();
        while let Some(index) = waiting.pop() {
            let node = &self.nodes[index];
            if node.children.is_empty() {
                labels.push(node.label());
            }
            waiting.extend(node.children.iter().rev());
        }
        labels
    }

    fn add_fingerprints(&mut self) {
        for index in (0..self.nodes.len()).rev() {
            let mut hasher = DefaultHasher::new();
            let node = &self.nodes[index];
            node.line.hash(&mut hasher);
            node.children.len().hash(&mut hasher);
            for child in &node.children {
                self.nodes[*child].fingerprint.hash(&mut hasher);
            }
            self.nodes[index].fingerprint = hasher.finish();
        }
    }
}

/// The queries of a plan text.
pub(super) fn parse(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    // The operators above the next line, with their depths.
    let mut above: Vec<(usize, usize)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(name) = line.strip_prefix("-- ") {
            sections.push(Section { name: Some(name.trim().to_owned()), ..Section::default() });
            above.clear();
            continue;
        }
        if sections.is_empty() {
            sections.push(Section::default());
        }
        let Some(section) = sections.last_mut() else { continue };
        let body = line.trim();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let deepest = above.last().map_or(0, |(depth, _)| depth + 1);
        let operator = operator_of(body).filter(|_| indent.is_multiple_of(2) && indent / 2 <= deepest);
        if let Some(operator) = operator {
            add(section, &mut above, indent / 2, operator, body);
        } else if let Some(last) = section.nodes.last_mut() {
            // A literal with a line break.
            last.line.push(' ');
            last.line.push_str(body);
        }
    }
    sections.iter_mut().for_each(Section::add_fingerprints);
    sections
}

fn add(section: &mut Section, above: &mut Vec<(usize, usize)>, depth: usize, operator: &str, line: &str) {
    let index = section.nodes.len();
    while above.last().is_some_and(|(of, _)| *of >= depth) {
        above.pop();
    }
    match above.last() {
        Some((_, parent)) => section.nodes[*parent].children.push(index),
        None => section.roots.push(index),
    }
    above.push((depth, index));
    section.nodes.push(PlanNode {
        operator: operator.to_owned(),
        line: line.to_owned(),
        children: Vec::new(),
        fingerprint: 0,
    });
}

/// The operator with which a line begins: words before a colon, or the first word.
fn operator_of(line: &str) -> Option<&str> {
    if !line.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    let is_word = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == ' ');
    let before_colon = line.split_once(':').map(|(head, _)| head).filter(|head| is_word(head));
    before_colon.or_else(|| line.split([' ', ',']).next().filter(|word| is_word(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "\
-- rows
Projection: a.x [x:Int64]
  Full Join: a.x = b.x [x:Int64]
    TableScan: a projection=[x] [x:Int64]
    Filter: b.y = Utf8(\"one
two\") [x:Int64]
      TableScan: b projection=[x, y] [x:Int64]

-- duplicates
CoalescePartitionsExec
  Union [x:Int64]
    DataSourceExec: file_groups={1 group, 1 file}, projection=[x], file_type=parquet
";

    #[test]
    fn indentation_makes_a_tree() {
        let sections = parse(PLAN);
        assert_eq!(sections.iter().map(Section::key).collect::<Vec<_>>(), ["rows", "duplicates"]);
        let operators = |section: &Section| -> Vec<(String, Vec<usize>)> {
            section.nodes.iter().map(|node| (node.operator.clone(), node.children.clone())).collect()
        };
        let expected = [("Projection", vec![1]), ("Full Join", vec![2, 3]), ("TableScan", vec![])];
        let expected = expected.into_iter().chain([("Filter", vec![4]), ("TableScan", vec![])]);
        let expected: Vec<_> = expected.map(|(operator, children)| (operator.to_owned(), children)).collect();
        assert_eq!(operators(&sections[0]), expected);
        assert_eq!(sections[0].nodes[3].line, "Filter: b.y = Utf8(\"one two\") [x:Int64]");
        assert_eq!(sections[0].inputs(0), ["a", "b"]);
        assert_eq!(sections[1].inputs(0), ["[x]"]);
        assert_eq!(sections[1].nodes.len(), 3);
    }

    #[test]
    fn equal_trees_have_equal_fingerprints() {
        let of = |text: &str| parse(text)[0].nodes[0].fingerprint;
        assert_eq!(of(PLAN), of(PLAN));
        assert_ne!(of(PLAN), of(&PLAN.replace("TableScan: b", "TableScan: c")));
    }

    #[test]
    fn texts_that_are_no_plans_are_accepted() {
        assert!(parse("").is_empty());
        assert!(parse("nothing\n  of it")[0].nodes.is_empty());
        assert_eq!(parse("A\n        TooDeep\n")[0].nodes.len(), 1);
    }
}
