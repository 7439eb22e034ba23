//! A self-contained picture: readable fonts, colours by kind, light and dark mode.

use std::fmt::Write;

use windlass_base::count::counted;

use super::layout::{Input, Layout, lay_out};
use super::{KINDS, Picture};

const NODE_HEIGHT: f64 = 44.0;
const ROW_GAP: f64 = 22.0;
const LAYER_GAP: f64 = 72.0;
const MARGIN: f64 = 24.0;
const HEADING: f64 = 36.0;
const LEGEND: f64 = 40.0;
/// Width of a character of the monospace name, 13 px high.
const NAME_ADVANCE: f64 = 7.85;
/// Width of a character of the caption, 11 px high.
const CAPTION_ADVANCE: f64 = 6.2;
const PADDING: f64 = 14.0;
/// The maximum number of characters shown of a name; the node's title has the full name.
const MAX_CHARS: usize = 40;

const STYLE: &str = "\
    .page { fill: #ffffff }\n\
    text { fill: #0f172a; font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }\n\
    .heading { font-size: 15px; font-weight: 600 }\n\
    .name { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace }\n\
    .caption { font-size: 11px; fill: #475569 }\n\
    .edge { fill: none; stroke: #94a3b8; stroke-width: 1.5 }\n\
    .tip { fill: #94a3b8 }\n\
    .source rect { fill: #dbeafe; stroke: #2563eb }\n\
    .table rect { fill: #dcfce7; stroke: #16a34a }\n\
    .view rect { fill: #f8fafc; stroke: #64748b; stroke-dasharray: 4 3 }\n\
    .cache rect { fill: #fef3c7; stroke: #d97706 }\n\
    .subdag rect { fill: #ede9fe; stroke: #7c3aed }\n\
    @media (prefers-color-scheme: dark) {\n\
    .page { fill: #0f172a }\n\
    text { fill: #f1f5f9 }\n\
    .caption { fill: #cbd5e1 }\n\
    .edge { stroke: #64748b }\n\
    .tip { fill: #64748b }\n\
    .source rect { fill: #172554; stroke: #60a5fa }\n\
    .table rect { fill: #052e16; stroke: #4ade80 }\n\
    .view rect { fill: #1e293b; stroke: #94a3b8 }\n\
    .cache rect { fill: #451a03; stroke: #fbbf24 }\n\
    .subdag rect { fill: #2e1065; stroke: #a78bfa }\n\
    }\n";

/// The positions of all elements.
struct Plan {
    layout: Layout,
    /// Per layer, its left side and its width.
    columns: Vec<(f64, f64)>,
    /// Per node, its width.
    widths: Vec<f64>,
    width: f64,
    height: f64,
}

pub(super) fn draw(picture: &Picture<'_>) -> String {
    let plan = plan(picture);
    let name = escaped(picture.graph.name.as_str());
    let (width, height) = (plan.width, plan.height);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">Pipeline {name}</title>\n\
         <desc id=\"desc\">{} and {}; data flows from left to right.</desc>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"heading\" x=\"{MARGIN}\" y=\"{:.0}\">{name}</text>\n",
        counted(picture.nodes.len(), "node"),
        counted(picture.edges.len(), "edge"),
        MARGIN + 8.0,
    );
    text.push_str("<g>\n");
    for index in 0..picture.edges.len() {
        edge(&mut text, picture, &plan, index);
    }
    text.push_str("</g>\n");
    for index in 0..picture.nodes.len() {
        node(&mut text, picture, &plan, index);
    }
    legend(&mut text, picture, &plan);
    text.push_str("</svg>\n");
    text
}

fn plan(picture: &Picture<'_>) -> Plan {
    let layout =
        lay_out(&Input { nodes: picture.nodes.len(), edges: &picture.edges, node_height: NODE_HEIGHT, gap: ROW_GAP });
    let widths: Vec<f64> = picture
        .nodes
        .iter()
        .map(|node| {
            let name = length(&shown(node.name)) * NAME_ADVANCE;
            let caption = length(&node.caption) * CAPTION_ADVANCE;
            (name.max(caption) + 2.0 * PADDING).ceil()
        })
        .collect();
    let layers = layout.layer.iter().max().map_or(0, |last| last + 1);
    let mut columns = Vec::with_capacity(layers);
    let mut left = MARGIN;
    for layer in 0..layers {
        let own = layout.layer.iter().zip(&widths).filter(|(of, _)| **of == layer).map(|(_, width)| *width);
        let width = own.fold(0.0, f64::max);
        columns.push((left, width));
        left += width + LAYER_GAP;
    }
    let legend_width = 4.0 * 84.0;
    let heading_width = length(picture.graph.name.as_str()) * 9.0;
    let content = columns.last().map_or(0.0, |(left, width)| left + width - MARGIN);
    let width = content.max(legend_width).max(heading_width) + 2.0 * MARGIN;
    let height = MARGIN + HEADING + layout.height + LEGEND + MARGIN;
    Plan { layout, columns, widths, width, height }
}

impl Plan {
    /// The left side and the middle of a node.
    fn place(&self, node: usize) -> (f64, f64) {
        let (left, width) = self.columns[self.layout.layer[node]];
        (left + (width - self.widths[node]) / 2.0, MARGIN + HEADING + self.layout.y[node])
    }
}

fn edge(text: &mut String, picture: &Picture<'_>, plan: &Plan, index: usize) {
    const TIP: f64 = 7.0;
    let (from, to) = picture.edges[index];
    let (left, from_y) = plan.place(from);
    let (end_x, end_y) = plan.place(to);
    let (mut x, mut y) = (left + plan.widths[from], from_y);
    let mut path = format!("M{x:.1} {y:.1}");
    let first_passed = plan.layout.layer[from] + 1;
    for (offset, bend) in plan.layout.bends[index].iter().enumerate() {
        let (column, width) = plan.columns[first_passed + offset];
        let bend = MARGIN + HEADING + bend;
        curve(&mut path, x, y, column, bend);
        let _ = write!(path, " H{:.1}", column + width);
        (x, y) = (column + width, bend);
    }
    curve(&mut path, x, y, end_x - TIP, end_y);
    let (from, to) = (picture.nodes[from].name, picture.nodes[to].name);
    let _ = writeln!(
        text,
        "<g><title>{} to {}</title><path class=\"edge\" d=\"{path}\"/>\
         <path class=\"tip\" d=\"M{end_x:.1} {end_y:.1} l-{TIP} -4 v8 z\"/></g>",
        escaped(from),
        escaped(to),
    );
}

/// A curve that starts and ends horizontally.
fn curve(path: &mut String, x: f64, y: f64, to_x: f64, to_y: f64) {
    let middle = f64::midpoint(x, to_x);
    let _ = write!(path, " C{middle:.1} {y:.1} {middle:.1} {to_y:.1} {to_x:.1} {to_y:.1}");
}

fn node(text: &mut String, picture: &Picture<'_>, plan: &Plan, index: usize) {
    let node = &picture.nodes[index];
    let (x, y) = plan.place(index);
    let width = plan.widths[index];
    let name = node.name;
    let title = match node.description {
        Some(description) => format!("{name}: {description}"),
        None => name.to_owned(),
    };
    let middle = x + width / 2.0;
    let _ = writeln!(
        text,
        "<g class=\"{}\"><title>{}</title>\
         <rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.0}\" height=\"{NODE_HEIGHT:.0}\" rx=\"8\"/>\
         <text class=\"name\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text class=\"caption\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
        node.kind,
        escaped(&title),
        y - NODE_HEIGHT / 2.0,
        y - 2.0,
        escaped(&shown(name)),
        y + 14.0,
        escaped(&node.caption),
    );
}

/// The kinds in the picture, with their colours.
fn legend(text: &mut String, picture: &Picture<'_>, plan: &Plan) {
    let y = plan.height - MARGIN;
    let mut x = MARGIN;
    for kind in KINDS {
        if picture.nodes.iter().any(|node| node.kind == kind) {
            let _ = writeln!(
                text,
                "<g class=\"{kind}\"><rect x=\"{x:.0}\" y=\"{:.0}\" width=\"14\" height=\"14\" rx=\"4\"/>\
                 <text class=\"caption\" x=\"{:.0}\" y=\"{:.0}\">{kind}</text></g>",
                y - 11.0,
                x + 20.0,
                y,
            );
            x += 84.0;
        }
    }
}

/// The name, or the start of it if it is very long.
fn shown(name: &str) -> String {
    if name.chars().count() <= MAX_CHARS {
        return name.to_owned();
    }
    name.chars().take(MAX_CHARS - 1).chain(['…']).collect()
}

fn length(text: &str) -> f64 {
    u32::try_from(text.chars().count()).map_or(0.0, f64::from)
}

fn escaped(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
