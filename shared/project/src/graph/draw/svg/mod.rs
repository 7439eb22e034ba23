//! A self-contained picture, at most 1,200 pixels wide: readable fonts, shapes and colours by kind, light and dark mode.

mod label;
mod line;
mod shape;
mod style;

use std::collections::BTreeMap;
use std::fmt::Write;

use label::{Label, escaped, length, shortened};
use style::STYLE;
use windlass_base::count::counted;

use super::layout::{Flow, Input, Layout, Rect, lay_out};
use super::{KINDS, MARKS, Picture};

/// The maximum width of a picture.
const MAX_WIDTH: f64 = 1_200.0;
const MARGIN: f64 = 24.0;
/// The height of the heading and of the legend, with the space below.
const HEADING: f64 = 30.0;
const LEGEND: f64 = 40.0;
/// The space between a shape of the legend and its word, and between two of them.
const LEGEND_GAPS: (f64, f64) = (26.0, 18.0);
/// The space between the frame of a sub-DAG and its nodes, and that for its name.
const FRAME: f64 = 9.0;
const FRAME_NAME: f64 = 13.0;
/// The maximum number of characters of that name.
const MAX_FRAME_CHARS: u32 = 60;

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let labels: Vec<Label> = picture.nodes.iter().map(Label::of).collect();
    let sizes: Vec<_> = labels.iter().map(Label::size).collect();
    let max_width = MAX_WIDTH - 2.0 * MARGIN;
    let layout = lay_out(&Input { sizes: &sizes, edges: &picture.edges, max_width });
    let heading = shortened(picture.graph.name.as_str(), 100);
    let legend = legend(picture);
    let content = layout.width.max(legend.1).max(length(&heading) * 9.0).min(max_width);
    let (width, height) = (content + 2.0 * MARGIN, 2.0 * MARGIN + HEADING + LEGEND + layout.height);
    let name = escaped(picture.graph.name.as_str());
    let flow = match layout.flow {
        Flow::Right => "from left to right",
        Flow::Down => "from top to bottom",
    };
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">Pipeline {name}</title>\n\
         <desc id=\"desc\">{} and {}; data flows {flow}.</desc>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"heading\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>\n\
         <g class=\"legend\" transform=\"translate({MARGIN} {:.0})\">\n{}</g>\n",
        counted(picture.nodes.len(), "node"),
        counted(picture.edges.len(), "edge"),
        MARGIN + 12.0,
        escaped(&heading),
        MARGIN + HEADING,
        legend.0,
    );
    let (left, top) = (MARGIN + ((content - layout.width) / 2.0).floor(), MARGIN + HEADING + LEGEND);
    let _ = writeln!(text, "<g transform=\"translate({left:.0} {top:.0})\">");
    frames(&mut text, picture, &layout);
    for ((from, to), route) in picture.edges.iter().zip(&layout.routes) {
        let title = format!("{} to {}", picture.nodes[*from].name, picture.nodes[*to].name);
        line::draw(&mut text, &title, route, layout.flow);
    }
    for (label, place) in labels.iter().zip(&layout.boxes) {
        label.draw(&mut text, place);
    }
    text.push_str("</g>\n</svg>\n");
    text
}

/// The kinds and marks in the picture with their shapes, and the width of all.
fn legend(picture: &Picture<'_>) -> (String, f64) {
    let mut text = String::new();
    let mut x = 0.0;
    let kinds = KINDS.into_iter().filter(|kind| picture.nodes.iter().any(|node| node.kind == *kind));
    let marks = MARKS.into_iter().filter(|mark| picture.nodes.iter().any(|node| node.marks.contains(mark)));
    for (name, is_kind) in kinds.map(|kind| (kind, true)).chain(marks.map(|mark| (mark, false))) {
        let shape = match is_kind {
            true => shape::of(name, &Rect { x, y: 0.0, width: 20.0, height: 15.0 }),
            false => shape::mark(name, x + 6.0, 3.0),
        };
        let word = if name == "subdag" { "sub-DAG" } else { name };
        let word_x = x + LEGEND_GAPS.0;
        let _ = writeln!(
            text,
            "<g class=\"{name}\">{shape}<text class=\"caption\" x=\"{word_x:.0}\" y=\"12\">{word}</text></g>"
        );
        x = word_x + (length(word) * 6.2).ceil() + LEGEND_GAPS.1;
    }
    (text, (x - LEGEND_GAPS.1).max(0.0))
}

/// A frame around the nodes of each instance of a sub-DAG that is not folded, unless other nodes are between them.
fn frames(text: &mut String, picture: &Picture<'_>, layout: &Layout) {
    let mut instances: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, node) in picture.nodes.iter().enumerate() {
        if let Some(instance) = node.instance {
            instances.entry(&instance.name).or_default().push(index);
        }
    }
    let mut frames: Vec<Rect> = Vec::new();
    for (name, nodes) in instances {
        let frame = frame(nodes.iter().map(|node| &layout.boxes[*node]));
        let others =
            layout.boxes.iter().enumerate().filter(|(index, _)| !nodes.contains(index)).map(|(_, other)| other);
        if others.chain(&frames).any(|other| overlap(&frame, other)) {
            continue;
        }
        let Rect { x, y, width, height } = frame;
        let most = (1..MAX_FRAME_CHARS).take_while(|most| f64::from(*most) * 6.2 < width - FRAME).count();
        let _ = writeln!(
            text,
            "<g class=\"frame\"><title>{}</title>\
             <rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\"/>\
             <text class=\"caption\" x=\"{:.0}\" y=\"{:.0}\">{}</text></g>",
            escaped(name),
            x + FRAME,
            y + FRAME_NAME,
            escaped(&shortened(name, most)),
        );
        frames.push(frame);
    }
}

fn frame<'b>(boxes: impl Iterator<Item = &'b Rect>) -> Rect {
    let (mut left, mut top, mut right, mut bottom) =
        (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
    for own in boxes {
        (left, top) = (left.min(own.x), top.min(own.y));
        (right, bottom) = (right.max(own.x + own.width), bottom.max(own.y + own.height));
    }
    let (x, y) = (left - FRAME, top - FRAME_NAME - 5.0);
    Rect { x, y, width: right + FRAME - x, height: bottom + FRAME - y }
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}
