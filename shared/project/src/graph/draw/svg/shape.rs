//! The shapes of the kinds of nodes, so that they do not differ in colour alone.

use super::super::layout::Rect;

/// Half the height of the lid of a source.
const LID: f64 = 5.0;
/// How far the second sheet of a sub-DAG is from the first.
const SHEET: f64 = 4.0;

/// How much wider and higher than its texts a shape is.
pub(super) fn more(kind: &str) -> (f64, f64) {
    match kind {
        "source" => (0.0, LID),
        "subdag" => (SHEET, SHEET),
        _ => (0.0, 0.0),
    }
}

/// A source is a cylinder, a table a rectangle, a view rounded and dashed, a cache has cut corners, a sub-DAG is a stack.
pub(super) fn of(kind: &str, place: &Rect) -> String {
    let Rect { x, y, width, height } = *place;
    let (right, bottom) = (x + width, y + height);
    match kind {
        "source" => {
            let (half, low, base) = (width / 2.0, y + LID, bottom - LID);
            format!(
                "<path class=\"shape\" d=\"M{x:.0} {low:.0} A{half:.0} {LID} 0 0 1 {right:.0} {low:.0} V{base:.0} \
                 A{half:.0} {LID} 0 0 1 {x:.0} {base:.0} Z\"/>\
                 <path class=\"rule\" d=\"M{x:.0} {low:.0} A{half:.0} {LID} 0 0 0 {right:.0} {low:.0}\"/>"
            )
        }
        "cache" => {
            let cut = 7.0;
            let (from_x, to_x, from_y, to_y) = (x + cut, right - cut, y + cut, bottom - cut);
            format!(
                "<path class=\"shape\" d=\"M{from_x:.0} {y:.0} H{to_x:.0} L{right:.0} {from_y:.0} V{to_y:.0} \
                 L{to_x:.0} {bottom:.0} H{from_x:.0} L{x:.0} {to_y:.0} V{from_y:.0} Z\"/>"
            )
        }
        "subdag" => {
            let (width, height) = (width - SHEET, height - SHEET);
            let sheet = |by: f64| {
                let (x, y) = (x + by, y + by);
                format!(
                    "<rect class=\"shape\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"3\"/>"
                )
            };
            sheet(SHEET) + &sheet(0.0)
        }
        _ => {
            let radius = if kind == "view" { (height / 2.0).min(14.0) } else { 2.0 };
            format!(
                "<rect class=\"shape\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"{radius:.0}\"/>"
            )
        }
    }
}

/// A small sign, 9 pixels wide: a triangle for a quarantine, an arrow out of a box for an export.
pub(super) fn mark(mark: &str, x: f64, y: f64) -> String {
    match mark {
        "quarantine" => format!("<path class=\"mark\" d=\"M{x:.0} {:.0} h9 l-4.5 -8 z\"/>", y + 8.5),
        _ => format!(
            "<path class=\"mark\" d=\"M{:.0} {y:.0} h-4 v9 h9 v-4 M{:.0} {:.0} l5 -5 h-4 m4 0 v4\"/>",
            x + 4.0,
            x + 4.0,
            y + 5.0
        ),
    }
}
