//! Wraps text at a number of columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Words that are too long are broken after one of these, if there is one.
const BREAKS: [char; 7] = ['_', '/', ',', ':', '-', '=', '&'];

/// The columns that the longest line of a text takes.
pub(crate) fn width_of(text: &str) -> usize {
    text.lines().map(UnicodeWidthStr::width).max().unwrap_or_default()
}

/// The lines of `text`, none wider than `width` columns unless a single character is.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.width() <= width {
            lines.push(line.trim_end().to_owned());
        } else {
            wrap_line(line, width.max(1), &mut lines);
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

fn wrap_line(line: &str, width: usize, lines: &mut Vec<String>) {
    let mut current = String::new();
    for word in line.split_whitespace() {
        let with_word = current.width() + usize::from(!current.is_empty()) + word.width();
        if with_word <= width {
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
            continue;
        }
        if !current.is_empty() {
            lines.push(std::mem::take(&mut current));
        }
        let mut rest = word;
        while rest.width() > width {
            let (piece, remainder) = rest.split_at(break_at(rest, width));
            lines.push(piece.to_owned());
            rest = remainder;
        }
        current.push_str(rest);
    }
    if !current.is_empty() {
        lines.push(current);
    }
}

/// Where a word that is wider than `width` is broken; never at its beginning.
fn break_at(word: &str, width: usize) -> usize {
    let (mut columns, mut end, mut preferred) = (0, 0, None);
    for (index, character) in word.char_indices() {
        columns += character.width().unwrap_or_default();
        if columns > width && index > 0 {
            break;
        }
        end = index + character.len_utf8();
        if BREAKS.contains(&character) {
            preferred = Some((end, columns));
        }
    }
    match preferred {
        // A break near the beginning would leave most of the line empty.
        Some((at, columns)) if columns * 3 >= width => at,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_where_they_have_parts() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("file:///tmp/shop/.windlass/tables", 18), ["file:///tmp/shop/", ".windlass/tables"]);
        assert_eq!(wrap("orders_of_customers", 10), ["orders_of_", "customers"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a\nb", 10), ["a", "b"]);
        assert_eq!(wrap("", 10), [""]);
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        assert_eq!(width_of("数据"), 4);
        assert_eq!(wrap("数据数据", 5), ["数据", "数据"]);
        assert_eq!(wrap("数", 1), ["数"]);
    }
}
