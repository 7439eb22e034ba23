//! A layered layout as plain data: boxes with coordinates and the lines between them, never wider than asked.
//!
//! Nodes are put into rows, each below those that it reads, as many to a row as fit. Edges that share an end share a line:
//! a bundle, which passes the rows between its ends in a lane of its own. The rows are ordered by barycentres, placed by
//! least squares, and connected by horizontal tracks between them. If the rows fit side by side, the data flows from left
//! to right instead: the same layout with the axes swapped. All steps are pure and deterministic.

mod order;
mod place;
mod route;
mod rows;

#[cfg(test)]
mod tests;

use rows::{Graph, Rows};

/// The space between parts of the graph that are not connected.
const PART_GAP: f64 = 40.0;
/// Up to this height, a layout from left to right is preferred if it fits.
const COMFORTABLE_HEIGHT: f64 = 1_000.0;

/// What to lay out.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The size of each node.
    pub sizes: &'a [Size],
    /// From a node to its reader, as indexes of `sizes`; the first is the smaller one.
    pub edges: &'a [(usize, usize)],
    /// The width that the layout must not exceed; a node that is wider is an exception.
    pub max_width: f64,
}

/// Width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

/// Where the data flows to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// From left to right.
    Right,
    /// From top to bottom.
    Down,
}

/// A position, from the left and from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

/// A laid out node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// The left side.
    pub x: f64,
    /// The upper side.
    pub y: f64,
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

/// The computed layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Where the data flows to.
    pub flow: Flow,
    /// The total width.
    pub width: f64,
    /// The total height.
    pub height: f64,
    /// The box of each node; they do not overlap.
    pub boxes: Vec<Rect>,
    /// The line of each edge, from the border of its first box to that of its second, of horizontal and vertical
    /// segments. Edges that share an end may share segments.
    pub routes: Vec<Vec<Point>>,
}

/// Lays out a graph: from left to right if that fits, otherwise from top to bottom.
pub fn lay_out(input: &Input<'_>) -> Layout {
    let parts = parts_of(input);
    match assemble(input, Flow::Right, &parts) {
        Some(right) if right.height <= COMFORTABLE_HEIGHT => right,
        right => match (right, assemble(input, Flow::Down, &parts)) {
            (Some(right), Some(down)) if right.height <= down.height => right,
            (_, Some(down)) => down,
            (right, None) => right.unwrap_or_else(Layout::empty),
        },
    }
}

impl Layout {
    fn empty() -> Self {
        Self { flow: Flow::Right, width: 0.0, height: 0.0, boxes: Vec::new(), routes: Vec::new() }
    }
}

/// The nodes and edges of a connected part of the graph, as indexes of the input.
struct Part {
    nodes: Vec<usize>,
    edges: Vec<usize>,
}

/// The connected parts, by their first nodes.
fn parts_of(input: &Input<'_>) -> Vec<Part> {
    // Each node refers to another one of its part, or to itself if it is the first.
    let mut first: Vec<usize> = (0..input.sizes.len()).collect();
    for (from, to) in input.edges {
        let (a, b) = (root(&mut first, *from), root(&mut first, *to));
        first[a.max(b)] = a.min(b);
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut part_of = vec![0; first.len()];
    for node in 0..first.len() {
        let root = root(&mut first, node);
        if root == node {
            part_of[node] = parts.len();
            parts.push(Part { nodes: Vec::new(), edges: Vec::new() });
        }
        part_of[node] = part_of[root];
        parts[part_of[root]].nodes.push(node);
    }
    for (index, (from, _)) in input.edges.iter().enumerate() {
        parts[part_of[*from]].edges.push(index);
    }
    parts
}

/// The first node of the part that a node is in.
fn root(first: &mut [usize], mut node: usize) -> usize {
    while first[node] != node {
        first[node] = first[first[node]];
        node = first[node];
    }
    node
}

/// A laid out part, from 0.
struct Drawn {
    boxes: Vec<Rect>,
    routes: Vec<Vec<Point>>,
    size: Size,
}

/// The parts beside and below each other, the highest first; nothing if a part is too wide.
fn assemble(input: &Input<'_>, flow: Flow, parts: &[Part]) -> Option<Layout> {
    let drawn = parts.iter().map(|part| draw_part(input, flow, part)).collect::<Option<Vec<_>>>()?;
    let mut by_height: Vec<usize> = (0..parts.len()).collect();
    by_height.sort_by(|a, b| drawn[*b].size.height.total_cmp(&drawn[*a].size.height));
    let empty = Rect { x: 0.0, y: 0.0, width: 0.0, height: 0.0 };
    let mut layout = Layout {
        flow,
        width: 0.0,
        height: 0.0,
        boxes: vec![empty; input.sizes.len()],
        routes: vec![Vec::new(); input.edges.len()],
    };
    let (mut x, mut y) = (0.0, 0.0);
    for index in by_height {
        let (part, drawn) = (&parts[index], &drawn[index]);
        if x > 0.0 && x + drawn.size.width > input.max_width {
            (x, y) = (0.0, layout.height + PART_GAP);
        }
        for (node, own) in part.nodes.iter().zip(&drawn.boxes) {
            layout.boxes[*node] = Rect { x: own.x + x, y: own.y + y, ..*own };
        }
        for (edge, route) in part.edges.iter().zip(&drawn.routes) {
            layout.routes[*edge] = route.iter().map(|point| Point { x: point.x + x, y: point.y + y }).collect();
        }
        layout.width = layout.width.max(x + drawn.size.width);
        layout.height = layout.height.max(y + drawn.size.height);
        x += drawn.size.width + PART_GAP;
    }
    Some(layout)
}

/// Nothing if the part would be wider than allowed, which only happens from left to right.
fn draw_part(input: &Input<'_>, flow: Flow, part: &Part) -> Option<Drawn> {
    let graph = Graph::of(input, flow, &part.nodes, &part.edges);
    let limit = match flow {
        Flow::Right => f64::INFINITY,
        Flow::Down => input.max_width,
    };
    let rows = Rows::of(&graph, limit);
    if flow == Flow::Right && route::least_length(&graph, &rows) > input.max_width {
        return None;
    }
    let mut grid = rows.grid(&graph);
    order::order(&mut grid);
    let across = place::place(&grid, limit);
    let routed = route::route(&graph, &rows, &grid, &across);
    let (along_size, across_size) = routed.size;
    let turned = |along: f64, across: f64| match flow {
        Flow::Right => (along, across),
        Flow::Down => (across, along),
    };
    let boxes = (0..graph.len()).map(|node| {
        let (x, y) = turned(routed.starts[node], across[node] - graph.across[node] / 2.0 - routed.least);
        let (width, height) = turned(graph.along[node], graph.across[node]);
        Rect { x, y, width, height }
    });
    let point = |(along, across): (f64, f64)| {
        let (x, y) = turned(along, across - routed.least);
        Point { x, y }
    };
    let routes = routed.routes.iter().map(|route| route.iter().copied().map(point).collect());
    let (width, height) = turned(along_size, across_size);
    let drawn = Drawn { boxes: boxes.collect(), routes: routes.collect(), size: Size { width, height } };
    (flow == Flow::Down || width <= input.max_width).then_some(drawn)
}
