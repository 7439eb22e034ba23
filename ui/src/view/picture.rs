//! A graph as boxes and lines, laid out like the drawings of `windlass graph`.

use std::collections::BTreeMap;
use std::fmt::Write;

use windlass_project::graph::draw::layout::{Flow, Input, Point, Size, lay_out};

use super::text::shortened;

/// The greatest width, and the space around the boxes.
const MAX_WIDTH: f64 = 1_060.0;
const MARGIN: f64 = 12.0;
/// The width of a character of each line of a box, and the space beside it.
const NAME_ADVANCE: f64 = 7.9;
const CAPTION_ADVANCE: f64 = 6.4;
const PADDING: f64 = 34.0;
const HEIGHT: f64 = 42.0;
/// As many characters of a text are shown.
const MAX_CHARS: usize = 36;

/// What a box shows.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// What it is called.
    pub(crate) name: String,
    /// The line below.
    pub(crate) caption: String,
    /// The class of its colour and of its shape.
    pub(crate) class: &'static str,
    /// Whether it is drawn with a thick border.
    pub(crate) is_marked: bool,
    /// The page that it leads to.
    pub(crate) href: Option<String>,
    /// The names of the nodes before it.
    pub(crate) reads: Vec<String>,
}

/// A laid out graph.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Its width.
    pub(crate) width: i64,
    /// Its height.
    pub(crate) height: i64,
    /// What it shows, in a sentence.
    pub(crate) title: String,
    /// The paths of the lines, which end where the boxes begin.
    pub(crate) lines: Vec<String>,
    /// The boxes.
    pub(crate) boxes: Vec<PictureBox>,
}

/// A box.
#[derive(Debug)]
pub(crate) struct PictureBox {
    /// The left side.
    pub(crate) x: i64,
    /// The upper side.
    pub(crate) y: i64,
    /// From left to right.
    pub(crate) width: i64,
    /// From top to bottom.
    pub(crate) height: i64,
    /// The class of its colour and of its shape.
    pub(crate) class: &'static str,
    /// Whether it is drawn with a thick border.
    pub(crate) is_marked: bool,
    /// What it is called, in full.
    pub(crate) title: String,
    /// The first line.
    pub(crate) name: String,
    /// The second line.
    pub(crate) caption: String,
    /// The page that it leads to.
    pub(crate) href: Option<String>,
}

impl PictureBox {
    /// Where its texts begin.
    pub(crate) fn text_x(&self) -> i64 {
        self.x + 26
    }

    /// The baseline of its first line.
    pub(crate) fn name_y(&self) -> i64 {
        self.y + 18
    }

    /// The baseline of its second line.
    pub(crate) fn caption_y(&self) -> i64 {
        self.y + 33
    }

    /// The left side of its shape.
    pub(crate) fn shape_x(&self) -> i64 {
        self.x + 7
    }

    /// The upper side of its shape.
    pub(crate) fn shape_y(&self) -> i64 {
        self.y + 8
    }
}

/// Draws nodes, each after those that it reads; none if there are none. Reads of others are left out.
pub(crate) fn picture(title: &str, nodes: Vec<Node>) -> Option<Picture> {
    if nodes.is_empty() {
        return None;
    }
    let places: BTreeMap<&str, usize> =
        nodes.iter().enumerate().map(|(place, node)| (node.name.as_str(), place)).collect();
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for (to, node) in nodes.iter().enumerate() {
        let from = node.reads.iter().filter_map(|name| places.get(name.as_str()).copied());
        edges.extend(from.filter(|from| *from < to).map(|from| (from, to)));
    }
    edges.sort_unstable();
    edges.dedup();
    let sizes: Vec<Size> = nodes.iter().map(size_of).collect();
    let layout = lay_out(&Input { sizes: &sizes, edges: &edges, max_width: MAX_WIDTH });
    let boxes = nodes.iter().zip(&layout.boxes).map(|(node, place)| PictureBox {
        x: rounded(place.x),
        y: rounded(place.y),
        width: rounded(place.width),
        height: rounded(place.height),
        class: node.class,
        is_marked: node.is_marked,
        title: format!("{}: {}", node.name, node.caption),
        name: shortened(&node.name, MAX_CHARS),
        caption: shortened(&node.caption, MAX_CHARS),
        href: node.href.clone(),
    });
    let flow = match layout.flow {
        Flow::Right => "from left to right",
        Flow::Down => "from top to bottom",
    };
    Some(Picture {
        width: rounded(layout.width + 2.0 * MARGIN),
        height: rounded(layout.height + 2.0 * MARGIN),
        title: format!("{title}; data flows {flow}"),
        lines: layout.routes.iter().map(|route| path(route)).collect(),
        boxes: boxes.map(shifted).collect(),
    })
}

fn size_of(node: &Node) -> Size {
    let length = |text: &str| {
        let shown = shortened(text, MAX_CHARS).chars().count();
        f64::from(u32::try_from(shown).unwrap_or(u32::MAX))
    };
    let width = (length(&node.name) * NAME_ADVANCE).max(length(&node.caption) * CAPTION_ADVANCE);
    Size { width: (width + PADDING).ceil(), height: HEIGHT }
}

fn shifted(own: PictureBox) -> PictureBox {
    PictureBox { x: own.x + rounded(MARGIN), y: own.y + rounded(MARGIN), ..own }
}

fn path(route: &[Point]) -> String {
    let mut path = String::new();
    for (index, point) in route.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        // Writing to a String cannot fail.
        let _ = write!(path, "{command}{} {}", rounded(point.x + MARGIN), rounded(point.y + MARGIN));
    }
    path
}

/// A coordinate as a whole number. Those of a layout are far from the limits.
fn rounded(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, reads: &[&str]) -> Node {
        Node {
            name: name.to_owned(),
            caption: "full".to_owned(),
            class: "full",
            is_marked: false,
            href: None,
            reads: reads.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn boxes_do_not_overlap_and_every_read_is_a_line() {
        let nodes =
            vec![node("a", &[]), node("b", &["a", "elsewhere"]), node("c", &["a"]), node("d", &["b", "c", "b"])];
        let picture = picture("A test", nodes).unwrap();
        assert_eq!(picture.lines.len(), 4);
        for (index, one) in picture.boxes.iter().enumerate() {
            assert!(
                one.x >= 0 && one.y >= 0 && one.x + one.width <= picture.width && one.y + one.height <= picture.height
            );
            for other in &picture.boxes[index + 1..] {
                let beside = one.x + one.width <= other.x || other.x + other.width <= one.x;
                assert!(
                    beside || one.y + one.height <= other.y || other.y + other.height <= one.y,
                    "{one:?} {other:?}"
                );
            }
        }
        assert!(super::picture("Nothing", Vec::new()).is_none());
    }

    #[test]
    fn a_long_name_is_shortened_and_said_in_full() {
        let name = "x".repeat(100);
        let picture = picture("A test", vec![node(&name, &[])]).unwrap();
        assert_eq!(picture.boxes[0].name.chars().count(), MAX_CHARS);
        assert!(picture.boxes[0].title.contains(&name));
    }
}
