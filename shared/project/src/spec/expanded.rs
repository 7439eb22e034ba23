//! Texts that were made of others, and the way back: a place in the made text to the place that an author can change.
//!
//! ```text
//! subdags/profile/counts.sql ──values put in──→ subdags/profile/counts.sql@nodes      (Expanded)
//!            ↑                                        │ a problem points here
//!            └────────────── pieces ──────────────────┘ and is shown there, and where `nodes` is instantiated
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::span::Span;

/// A stretch of a made text and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The bytes of the made text.
    pub(super) made: Range<usize>,
    /// The bytes of the origin.
    pub(super) origin: Range<usize>,
    /// Whether both are the same text, so that each byte has its own place.
    pub(super) verbatim: bool,
}

/// A text that was made of a file for one instance of a sub-DAG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The made text.
    pub(crate) text: Arc<str>,
    /// The file that it was made of.
    pub(crate) origin: Arc<str>,
    /// What is where; in the order of the made text, without gaps.
    pub(crate) pieces: Pieces,
    /// Where the instance is written.
    pub(crate) instance: Span,
    /// What to say there.
    pub(crate) note: String,
}

impl Expanded {
    /// The place of the origin that a place of the made text comes from.
    pub(crate) fn original(&self, span: &Span) -> Span {
        let range = self.pieces.original(span.start..span.end);
        Span::new(&self.origin, range.start, range.end)
    }
}

/// The pieces of a made text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pieces(pub(super) Vec<Piece>);

impl Pieces {
    /// Those of a text that is its origin.
    pub(super) fn same(length: usize) -> Self {
        Self(vec![Piece { made: 0..length, origin: 0..length, verbatim: true }])
    }

    /// The range of the origin that a range of the made text comes from.
    pub(super) fn original(&self, made: Range<usize>) -> Range<usize> {
        let start = self.at(made.start).map_or(0, |piece| match piece.verbatim {
            true => piece.origin.start + (made.start - piece.made.start).min(piece.origin.len()),
            // Behind the last piece is behind what it was made of.
            false if made.start >= piece.made.end => piece.origin.end,
            false => piece.origin.start,
        });
        // The last byte that is inside, not the first behind it, says where the end is.
        let end = match made.end.checked_sub(1).filter(|last| *last >= made.start).and_then(|last| self.at(last)) {
            Some(piece) if piece.verbatim => piece.origin.start + (made.end - piece.made.start).min(piece.origin.len()),
            Some(piece) => piece.origin.end,
            None => start,
        };
        start..end.max(start)
    }

    /// The piece that a byte of the made text is in; the last one for those behind the end.
    fn at(&self, byte: usize) -> Option<&Piece> {
        let index = self.0.partition_point(|piece| piece.made.start <= byte).checked_sub(1)?;
        self.0.get(index)
    }

    /// The pieces of a text that was made in two steps: `self` is the first, `second` made more of its outcome.
    pub(super) fn then(&self, second: &Self) -> Self {
        let mut pieces = Vec::new();
        for piece in &second.0 {
            if !piece.verbatim {
                pieces.push(Piece { origin: self.original(piece.origin.clone()), ..piece.clone() });
                continue;
            }
            for first in &self.0 {
                let start = first.made.start.max(piece.origin.start);
                let end = first.made.end.min(piece.origin.end);
                if start >= end {
                    continue;
                }
                let origin = match first.verbatim {
                    true => first.origin.start + start - first.made.start..first.origin.start + end - first.made.start,
                    false => first.origin.clone(),
                };
                let shift = |byte: usize| piece.made.start + byte - piece.origin.start;
                pieces.push(Piece { made: shift(start)..shift(end), origin, verbatim: first.verbatim });
            }
        }
        Self(pieces)
    }
}

/// `text` with other texts in place of some of its ranges. Ranges that overlap an earlier one are left as they are.
pub(super) fn replace(text: &str, mut edits: Vec<(Range<usize>, String)>) -> (String, Pieces) {
    edits.sort_by_key(|(range, _)| range.start);
    let (mut made, mut pieces, mut copied) = (String::new(), Vec::new(), 0);
    let verbatim = |made: &mut String, pieces: &mut Vec<Piece>, from: usize, to: usize| {
        if from < to {
            let start = made.len();
            made.push_str(&text[from..to]);
            pieces.push(Piece { made: start..made.len(), origin: from..to, verbatim: true });
        }
    };
    for (range, new) in edits {
        if range.start < copied {
            continue;
        }
        verbatim(&mut made, &mut pieces, copied, range.start);
        let start = made.len();
        made.push_str(&new);
        copied = range.end;
        pieces.push(Piece { made: start..made.len(), origin: range, verbatim: false });
    }
    verbatim(&mut made, &mut pieces, copied, text.len());
    (made, Pieces(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_behind_a_replaced_one_is_found_again() {
        let edits = vec![(7..9, "'long text'".to_owned()), (15..19, "r".to_owned())];
        let (made, pieces) = replace("SELECT $a FROM rows", edits);
        assert_eq!(made, "SELECT 'long text' FROM r");
        assert_eq!(pieces.original(19..23), 10..14);
        assert_eq!(pieces.original(7..18), 7..9);
        assert_eq!(pieces.original(24..25), 15..19);
        assert_eq!(pieces.original(25..25), 19..19);
    }

    /// Two steps, one after the other, lead back as their composition does, whatever was replaced.
    #[test]
    fn composition_is_one_way_after_the_other() {
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
            let (made, first) = step(&text, "X");
            let (again, second) = step(&made, "0");
            let both = first.then(&second);
            for (at, c) in again.char_indices() {
                let direct = both.original(at..at + 1);
                assert_eq!(direct, first.original(second.original(at..at + 1)), "{text} -> {made} -> {again} at {at}");
                if !matches!(c, 'X' | '0') {
                    assert_eq!(&text[direct], c.to_string());
                }
            }
        }
    }
}
