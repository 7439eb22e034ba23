//! Wraps text at a number of columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Words that are too long are broken after one of these, if there is one.
const BREAKS: [char; 7] = ['_', '/', ',', ':', '-', '=', '&'];

/// Units, which stay on one line with the number before them.
const UNITS: [&str; 14] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ns", "µs", "ms", "s", "min", "h", "d"];

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
    for word in &words(line, width) {
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
        let mut rest = word.as_str();
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

/// The words of a line; a number and its unit are one word, if a line has room for both.
fn words(line: &str, width: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match words.last_mut() {
            Some(number) if is_number(number) && is_unit(word) && number.width() + 1 + word.width() <= width => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches(['(', '[', '~', '+', '-']);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.'))
        && digits.ends_with(|c: char| c.is_ascii_digit())
}

fn is_unit(word: &str) -> bool {
    UNITS.contains(&word.trim_end_matches([')', ']', ',', '.', ';', ':']))
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
    fn a_number_stays_with_its_unit() {
        assert_eq!(wrap("the file has 12 MiB now", 15), ["the file has", "12 MiB now"]);
        assert_eq!(
            wrap("in tables; 1,204.50 KiB in 1 min 02 s.", 21),
            ["in tables;", "1,204.50 KiB in 1 min", "02 s."]
        );
        assert_eq!(wrap("took (3 s) more", 7), ["took", "(3 s)", "more"]);
        // Without a number it is a word like others, and so it is where a line is too short for both.
        assert_eq!(wrap("about s and 12", 7), ["about s", "and 12"]);
        assert_eq!(wrap("in 12 MiB", 5), ["in 12", "MiB"]);
        assert_eq!(wrap("version 3, B", 10), ["version 3,", "B"]);
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        assert_eq!(width_of("数据"), 4);
        assert_eq!(wrap("数据数据", 5), ["数据", "数据"]);
        assert_eq!(wrap("数", 1), ["数"]);
    }
}
