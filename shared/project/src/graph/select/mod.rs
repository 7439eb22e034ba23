//! Selection of nodes by name and tag, with dbt's grammar.
//!
//! | written | selects |
//! |---|---|
//! | `m`, `cpg_*` | the node of that name, or those that the glob matches |
//! | `source:x` | the same among sources only |
//! | `tag:layer=semantic`, `tag:layer=sem*` | nodes that carry the tag with that value |
//! | `tag:core` | nodes that carry the tag `core`, or any tag with the value `core` |
//! | `+m`, `m+`, `2+m`, `m+3` | also what `m` reads, or what reads `m`, up to so many steps |
//! | `@m` | `m`, everything that reads it, and everything that those read |
//! | `a,b` | nodes in both |
//! | `a b` | nodes in either |

mod term;

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_base::ids::NodeName;

use term::Term;

use super::{Direction, PipelineGraph};
use crate::spec::{Problem, Problems, ProjectFiles, Span};

/// The file name used for a selection's text in problems.
const SELECT: &str = "--select";
/// The file name used for an exclusion's text in problems.
const EXCLUDE: &str = "--exclude";

impl PipelineGraph {
    /// The nodes that any of `select` selects (all nodes if there is none) and none of `exclude` does: sources and stages.
    ///
    /// A part that matches nothing is a problem, because it is most likely mistyped.
    pub fn select<S: AsRef<str>>(&self, select: &[S], exclude: &[S]) -> Result<BTreeSet<NodeName>, Problems> {
        let mut texts = ProjectFiles::new();
        let mut problems = Vec::new();
        let mut selected = if select.is_empty() {
            self.nodes().map(|node| node.name().clone()).collect()
        } else {
            self.union(SELECT, select, &mut texts, &mut problems)
        };
        let excluded = self.union(EXCLUDE, exclude, &mut texts, &mut problems);
        Problems::check(problems, &texts)?;
        selected.retain(|name| !excluded.contains(name));
        Ok(selected)
    }

    fn union<S: AsRef<str>>(
        &self,
        option: &str,
        texts: &[S],
        files: &mut ProjectFiles,
        problems: &mut Vec<Problem>,
    ) -> BTreeSet<NodeName> {
        // Several options are equivalent to one with spaces in between.
        let text = texts.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        let file: Arc<str> = option.into();
        files.insert(Arc::clone(&file), &text);
        let mut selected = BTreeSet::new();
        for (start, intersection) in words(&text, char::is_whitespace) {
            selected.extend(self.intersection(&file, start, intersection, problems));
        }
        if !texts.is_empty() && text.trim().is_empty() {
            problems.push(term::syntax(&Span::new(&file, 0, 0), "the selection is empty"));
        }
        selected
    }

    fn intersection(
        &self,
        file: &Arc<str>,
        start: usize,
        text: &str,
        problems: &mut Vec<Problem>,
    ) -> BTreeSet<NodeName> {
        let mut common: Option<BTreeSet<NodeName>> = None;
        let mut at = start;
        for part in text.split(',') {
            match Term::parse(file, at, part).and_then(|term| self.nodes_of(&term)) {
                Ok(nodes) => {
                    common = Some(match common {
                        Some(others) => others.intersection(&nodes).cloned().collect(),
                        None => nodes,
                    });
                }
                Err(problem) => problems.push(*problem),
            }
            at += part.len() + 1;
        }
        common.unwrap_or_default()
    }

    /// The nodes that a term matches, and those it reaches from them.
    fn nodes_of(&self, term: &Term) -> Result<BTreeSet<NodeName>, Box<Problem>> {
        let matched: BTreeSet<NodeName> =
            self.nodes().filter(|node| term.matches(*node)).map(|node| node.name().clone()).collect();
        if matched.is_empty() {
            return Err(Box::new(term.matched_nothing(self)));
        }
        let mut selected = matched.clone();
        if let Some(hops) = term.reads {
            selected.extend(self.reach(&matched, Direction::Reads, hops));
        }
        if let Some(hops) = term.readers {
            selected.extend(self.reach(&matched, Direction::Readers, hops));
        }
        if term.at {
            let readers = self.reach(&matched, Direction::Readers, None);
            selected.extend(self.reach(&readers, Direction::Reads, None));
        }
        Ok(selected)
    }
}

/// The parts of a text between separators, each with the byte it starts at; empty ones omitted.
fn words(text: &str, separator: fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split(separator).filter_map(move |word| {
        let start = at;
        // Every separator is found by `char`, so the next word starts behind the one at `start + word.len()`.
        at = start + word.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
        (!word.is_empty()).then_some((start, word))
    })
}
