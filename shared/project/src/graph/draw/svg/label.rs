//! The texts of a node.

use std::fmt::Write;

use super::super::Shown;
use super::super::layout::{Rect, Size};
use super::shape;

/// Width of a character of the monospace name, 13 px high.
const NAME_ADVANCE: f64 = 7.85;
/// Width of a character of the caption, 11 px high.
const CAPTION_ADVANCE: f64 = 6.2;
/// Width of a character of the monospace table names of a sub-DAG, 11 px high.
const TABLE_ADVANCE: f64 = 6.65;
/// The maximum number of characters shown of a name, of a caption, and of a table of a sub-DAG; the node's title has all.
const MAX_CHARS: (usize, usize, usize) = (26, 34, 30);
/// The maximum number of tables shown of a sub-DAG.
const MAX_TABLES: usize = 6;
const PADDING: f64 = 15.0;
/// Additional width for the marks, so that they do not touch the name.
const MARKS_WIDTH: f64 = 10.0;
const HEIGHT: f64 = 44.0;
const TABLE_HEIGHT: f64 = 15.0;
const TABLES_PADDING: f64 = 10.0;

/// The texts of a node, as they are drawn.
pub(super) struct Label {
    kind: &'static str,
    marks: Vec<&'static str>,
    title: String,
    name: String,
    caption: String,
    tables: Vec<String>,
}

impl Label {
    pub(super) fn of(node: &Shown<'_>) -> Self {
        let mut title = node.name.to_owned();
        if let Some(description) = node.description {
            let _ = write!(title, ": {description}");
        }
        if !node.tables.is_empty() {
            let _ = write!(title, ": {}", node.tables.join(", "));
        }
        let mut tables: Vec<String> = node.tables.iter().map(|table| shortened(table, MAX_CHARS.2)).collect();
        if tables.len() > MAX_TABLES {
            tables.truncate(MAX_TABLES);
            tables.push(format!("+ {} more", node.tables.len() - MAX_TABLES));
        }
        let caption = std::iter::once(node.caption.as_str()).chain(node.marks.iter().copied()).collect::<Vec<_>>();
        Self {
            kind: node.kind,
            marks: node.marks.clone(),
            title,
            name: shortened(node.name, MAX_CHARS.0),
            caption: shortened(&caption.join(", "), MAX_CHARS.1),
            tables,
        }
    }

    /// The size of the node's box, in even numbers, so that its middle is a whole one.
    pub(super) fn size(&self) -> Size {
        let tables = self.tables.iter().map(|table| length(table) * TABLE_ADVANCE).fold(0.0, f64::max);
        let text = (length(&self.name) * NAME_ADVANCE).max(length(&self.caption) * CAPTION_ADVANCE).max(tables);
        let rows = self.tables.iter().map(|_| TABLE_HEIGHT).sum::<f64>();
        let list = if self.tables.is_empty() { 0.0 } else { rows + TABLES_PADDING };
        let (more_width, more_height) = shape::more(self.kind);
        let even = |number: f64| (number / 2.0).ceil() * 2.0;
        let marks = if self.marks.is_empty() { 0.0 } else { MARKS_WIDTH };
        Size { width: even(text + 2.0 * PADDING + marks + more_width), height: even(HEIGHT + list + more_height) }
    }

    pub(super) fn draw(&self, text: &mut String, place: &Rect) {
        let (more_width, more_height) = shape::more(self.kind);
        let middle = place.x + (place.width - more_width) / 2.0;
        let top = place.y + if self.kind == "subdag" { 0.0 } else { more_height };
        let _ = write!(
            text,
            "<g class=\"{}\"><title>{}</title>{}\
             <text class=\"name\" x=\"{middle:.0}\" y=\"{:.0}\">{}</text>\
             <text class=\"caption\" x=\"{middle:.0}\" y=\"{:.0}\">{}</text>",
            self.kind,
            escaped(&self.title),
            shape::of(self.kind, place),
            top + 20.0,
            escaped(&self.name),
            top + 36.0,
            escaped(&self.caption),
        );
        if !self.tables.is_empty() {
            let (line, right) = (top + HEIGHT + 1.0, place.x + place.width - more_width);
            let _ = write!(text, "<path class=\"rule\" d=\"M{:.0} {line:.0} H{right:.0}\"/>", place.x);
            let mut y = line + TABLE_HEIGHT;
            for table in &self.tables {
                let _ = write!(text, "<text class=\"item\" x=\"{middle:.0}\" y=\"{y:.0}\">{}</text>", escaped(table));
                y += TABLE_HEIGHT;
            }
        }
        let mut y = place.y + 5.0;
        for mark in &self.marks {
            text.push_str(&shape::mark(mark, place.x + place.width - more_width - 13.0, y));
            y += 12.0;
        }
        text.push_str("</g>\n");
    }
}

/// The text; if it is longer than `most`, its begin and end.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    // The ends of long names differ more often than their beginnings.
    let end = most / 2;
    let begin = most.saturating_sub(end + 1);
    text.chars().take(begin).chain(['…']).chain(text.chars().skip(count - end)).collect()
}

pub(super) fn length(text: &str) -> f64 {
    u32::try_from(text.chars().count()).map_or(0.0, f64::from)
}

pub(super) fn escaped(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened_in_the_middle() {
        assert_eq!(shortened("orders", 6), "orders");
        assert_eq!(shortened("orders_of_today", 9), "orde…oday");
        assert_eq!(shortened("äöü漢字😀äöü", 5), "äö…öü");
        assert_eq!((shortened("abc", 1), shortened("abc", 0)), ("…".to_owned(), "…".to_owned()));
    }
}
