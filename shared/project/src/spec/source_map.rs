//! Source maps of generated texts: map a position in an expanded text back to the file that an author can change.
//!
//! ```text
//! subdags/profile/counts.sql ─substitution───→ subdags/profile/counts.sql@nodes      (Expanded)
//!            ↑                                        │ a problem points here
//!            └────────────── mappings ───────────────┘ and is shown there, and where `nodes` is instantiated
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::span::Span;

/// A range of a generated text and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// The bytes of the generated text.
    pub(super) generated: Range<usize>,
    /// The bytes of the origin.
    pub(super) origin: Range<usize>,
    /// Whether both texts are identical, so that each byte maps to one byte.
    pub(super) verbatim: bool,
}

/// A text generated from a file for one instance of a sub-DAG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The generated text.
    pub(crate) text: Arc<str>,
    /// The source file.
    pub(crate) origin: Arc<str>,
    /// The mappings, in the order of the generated text, without gaps.
    pub(crate) mappings: SourceMap,
    /// Where the instance is written.
    pub(crate) instance: Span,
    /// The text to show there.
    pub(crate) note: String,
}

impl Expanded {
    /// Maps a span of the generated text to the origin.
    pub(crate) fn original(&self, span: &Span) -> Span {
        let range = self.mappings.original(span.start..span.end);
        Span::new(&self.origin, range.start, range.end)
    }
}

/// The source map of a generated text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceMap(pub(super) Vec<Mapping>);

impl SourceMap {
    /// The map of an unchanged text.
    pub(super) fn identity(length: usize) -> Self {
        Self(vec![Mapping { generated: 0..length, origin: 0..length, verbatim: true }])
    }

    /// Maps a range of the generated text to the origin.
    pub(super) fn original(&self, generated: Range<usize>) -> Range<usize> {
        let start = self.mapping_at(generated.start).map_or(0, |mapping| match mapping.verbatim {
            true => mapping.origin.start + (generated.start - mapping.generated.start).min(mapping.origin.len()),
            // A position after the last mapping is after its origin.
            false if generated.start >= mapping.generated.end => mapping.origin.end,
            false => mapping.origin.start,
        });
        // The end is determined by the last byte inside, not by the first one after it.
        let end = match generated
            .end
            .checked_sub(1)
            .filter(|last| *last >= generated.start)
            .and_then(|last| self.mapping_at(last))
        {
            Some(mapping) if mapping.verbatim => {
                mapping.origin.start + (generated.end - mapping.generated.start).min(mapping.origin.len())
            }
            Some(mapping) => mapping.origin.end,
            None => start,
        };
        start..end.max(start)
    }

    /// The mapping that contains a byte of the generated text; the last one for positions after the end.
    fn mapping_at(&self, byte: usize) -> Option<&Mapping> {
        let index = self.0.partition_point(|mapping| mapping.generated.start <= byte).checked_sub(1)?;
        self.0.get(index)
    }

    /// The source map of a text generated in two steps: `self` is the first, `second` was applied to its result.
    pub(super) fn compose(&self, second: &Self) -> Self {
        let mut mappings = Vec::new();
        for mapping in &second.0 {
            if !mapping.verbatim {
                mappings.push(Mapping { origin: self.original(mapping.origin.clone()), ..mapping.clone() });
                continue;
            }
            for first in &self.0 {
                let start = first.generated.start.max(mapping.origin.start);
                let end = first.generated.end.min(mapping.origin.end);
                if start >= end {
                    continue;
                }
                let origin = match first.verbatim {
                    true => {
                        first.origin.start + start - first.generated.start
                            ..first.origin.start + end - first.generated.start
                    }
                    false => first.origin.clone(),
                };
                let shift = |byte: usize| mapping.generated.start + byte - mapping.origin.start;
                mappings.push(Mapping { generated: shift(start)..shift(end), origin, verbatim: first.verbatim });
            }
        }
        Self(mappings)
    }
}

/// `text` with some of its ranges replaced. Ranges that overlap an earlier one are not replaced.
pub(super) fn replace(text: &str, mut edits: Vec<(Range<usize>, String)>) -> (String, SourceMap) {
    edits.sort_by_key(|(range, _)| range.start);
    let (mut generated, mut mappings, mut copied) = (String::new(), Vec::new(), 0);
    let verbatim = |generated: &mut String, mappings: &mut Vec<Mapping>, from: usize, to: usize| {
        if from < to {
            let start = generated.len();
            generated.push_str(&text[from..to]);
            mappings.push(Mapping { generated: start..generated.len(), origin: from..to, verbatim: true });
        }
    };
    for (range, new) in edits {
        if range.start < copied {
            continue;
        }
        verbatim(&mut generated, &mut mappings, copied, range.start);
        let start = generated.len();
        generated.push_str(&new);
        copied = range.end;
        mappings.push(Mapping { generated: start..generated.len(), origin: range, verbatim: false });
    }
    verbatim(&mut generated, &mut mappings, copied, text.len());
    (generated, SourceMap(mappings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_after_a_replacement_is_mapped_back() {
        let edits = vec![(7..9, "'long text'".to_owned()), (15..19, "r".to_owned())];
        let (generated, mappings) = replace("SELECT $a FROM rows", edits);
        assert_eq!(generated, "SELECT 'long text' FROM r");
        assert_eq!(mappings.original(19..23), 10..14);
        assert_eq!(mappings.original(7..18), 7..9);
        assert_eq!(mappings.original(24..25), 15..19);
        assert_eq!(mappings.original(25..25), 19..19);
    }

    /// Mapping back through two steps equals mapping back through their composition, whatever was replaced.
    #[test]
    fn composition_applies_one_map_after_the_other() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut below = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % (limit as u64 + 1)).unwrap_or_default()
        };
        for _ in 0..2_000 {
            let text: String = "select a, b from some_table where c".chars().take(below(35)).collect();
            let mut step = |text: &str, letter: &str| {
                let edits = (0..below(4)).map(|_| {
                    let at = below(text.len());
                    (at..(at + below(4)).min(text.len()), letter.repeat(below(6)))
                });
                replace(text, edits.collect())
            };
            let (generated, first) = step(&text, "X");
            let (again, second) = step(&generated, "0");
            let both = first.compose(&second);
            for (at, c) in again.char_indices() {
                let direct = both.original(at..at + 1);
                assert_eq!(
                    direct,
                    first.original(second.original(at..at + 1)),
                    "{text} -> {generated} -> {again} at {at}"
                );
                if !matches!(c, 'X' | '0') {
                    assert_eq!(&text[direct], c.to_string());
                }
            }
        }
    }
}
