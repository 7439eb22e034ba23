//! The lines of edges.

use std::fmt::Write;

use super::super::layout::{Flow, Point};
use super::label::escaped;

/// The length of an arrow's tip.
const TIP: f64 = 7.0;
/// The radius of a bend.
const BEND: f64 = 6.0;
/// How far a line begins inside its node, whose border may be curved.
const INSIDE: f64 = 7.0;

/// Draws a line with round bends and an arrow's tip.
pub(super) fn draw(text: &mut String, title: &str, route: &[Point], flow: Flow) {
    let [first, .., end] = route else { return };
    let along = |point: &Point, length: f64| match flow {
        Flow::Right => Point { x: point.x + length, y: point.y },
        Flow::Down => Point { x: point.x, y: point.y + length },
    };
    let inner = route[1..route.len() - 1].iter().copied();
    let points: Vec<Point> = std::iter::once(along(first, -INSIDE)).chain(inner).chain([along(end, -TIP)]).collect();
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        let neighbours = (index.checked_sub(1).map(|before| points[before]), points.get(index + 1));
        let _ = match neighbours {
            (None, _) => write!(path, "M{:.0} {:.0}", point.x, point.y),
            (Some(_), None) => write!(path, " L{:.0} {:.0}", point.x, point.y),
            (Some(before), Some(behind)) => {
                let (start, stop) = (towards(point, &before), towards(point, behind));
                write!(
                    path,
                    " L{:.1} {:.1} Q{:.0} {:.0} {:.1} {:.1}",
                    start.x, start.y, point.x, point.y, stop.x, stop.y
                )
            }
        };
    }
    let tip = match flow {
        Flow::Right => format!("M{:.0} {:.0} l-{TIP} -4 v8 z", end.x, end.y),
        Flow::Down => format!("M{:.0} {:.0} l-4 -{TIP} h8 z", end.x, end.y),
    };
    let _ = writeln!(
        text,
        "<g class=\"edge\"><title>{}</title><path d=\"{path}\"/><path class=\"tip\" d=\"{tip}\"/></g>",
        escaped(title),
    );
}

/// Where a bend at a point begins or ends on the way to another one: at most in the middle.
fn towards(point: &Point, other: &Point) -> Point {
    let (x, y) = (other.x - point.x, other.y - point.y);
    let length = x.abs().max(y.abs());
    let part = if length > 0.0 { (BEND / length).min(0.5) } else { 0.0 };
    Point { x: point.x + x * part, y: point.y + y * part }
}
