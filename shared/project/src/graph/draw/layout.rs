//! A layered layout, left to right: longest-path layers, barycentre ordering, least-squares placing.
//!
//! Edges that span several layers get a point in each, so that they are ordered and placed like nodes. All steps are
//! deterministic.

/// Rounds of ordering and of placing; more have no effect on graphs of the size of a pipeline.
const ROUNDS: usize = 12;

/// What to lay out. Edges point from lower to higher indexes.
pub(super) struct Input<'a> {
    /// How many nodes there are.
    pub(super) nodes: usize,
    /// Source and target.
    pub(super) edges: &'a [(usize, usize)],
    /// Height of a node.
    pub(super) node_height: f64,
    /// Minimum space between two nodes of a layer.
    pub(super) gap: f64,
}

/// The computed layout.
pub(super) struct Layout {
    /// The layer of each node, the first is 0.
    pub(super) layer: Vec<usize>,
    /// The middle of each node, from the top.
    pub(super) y: Vec<f64>,
    /// Per edge, the heights at which it passes the layers between its ends.
    pub(super) bends: Vec<Vec<f64>>,
    /// The total height.
    pub(super) height: f64,
}

/// A node, or a point of an edge in a layer that it passes over.
struct Point {
    height: f64,
    before: Vec<usize>,
    behind: Vec<usize>,
}

pub(super) fn lay_out(input: &Input<'_>) -> Layout {
    let layer = layers(input);
    let mut points: Vec<Point> =
        (0..input.nodes).map(|_| Point { height: input.node_height, before: Vec::new(), behind: Vec::new() }).collect();
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    for (node, layer) in layer.iter().enumerate() {
        rows[*layer].push(node);
    }
    let mut bends: Vec<Vec<usize>> = Vec::new();
    for (from, to) in input.edges {
        let mut passed = Vec::new();
        let mut last = *from;
        for row in &mut rows[layer[*from] + 1..layer[*to]] {
            let point = points.len();
            points.push(Point { height: 0.0, before: Vec::new(), behind: Vec::new() });
            row.push(point);
            connect(&mut points, last, point);
            passed.push(point);
            last = point;
        }
        connect(&mut points, last, *to);
        bends.push(passed);
    }
    order(&mut rows, &points);
    let y = place(&rows, &points, input.gap);
    let bends = bends.into_iter().map(|passed| passed.into_iter().map(|point| y[point]).collect()).collect();
    let height = points.iter().zip(&y).map(|(point, y)| y + point.height / 2.0).fold(0.0, f64::max);
    Layout { layer, y: y[..input.nodes].to_vec(), bends, height }
}

fn connect(points: &mut [Point], from: usize, to: usize) {
    points[from].behind.push(to);
    points[to].before.push(from);
}

/// Each node one layer after the last that it reads; a node that reads nothing right before its first reader.
fn layers(input: &Input<'_>) -> Vec<usize> {
    let mut layer = vec![0; input.nodes];
    for node in 0..input.nodes {
        let reads = input.edges.iter().filter(|(_, to)| *to == node);
        layer[node] = reads.map(|(from, _)| layer[*from] + 1).max().unwrap_or(0);
    }
    for node in 0..input.nodes {
        if !input.edges.iter().any(|(_, to)| *to == node) {
            let readers = input.edges.iter().filter(|(from, _)| *from == node);
            layer[node] = readers.map(|(_, to)| layer[*to] - 1).min().unwrap_or(0);
        }
    }
    layer
}

/// Orders the points of each layer by the mean place of their neighbours, back and forth; keeps the order with the
/// fewest crossings.
fn order(rows: &mut Vec<Vec<usize>>, points: &[Point]) {
    let mut best = rows.clone();
    let mut fewest = crossings(rows, points);
    for round in 0..ROUNDS {
        let forth = round % 2 == 0;
        let count = rows.len();
        for step in 0..count {
            let at = if forth { step } else { count - 1 - step };
            let places = places_of(rows, points.len());
            let mut keyed: Vec<(f64, usize)> = rows[at]
                .iter()
                .map(|point| {
                    let neighbours = if forth { &points[*point].before } else { &points[*point].behind };
                    (mean(neighbours, &places).unwrap_or(places[*point]), *point)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            rows[at] = keyed.into_iter().map(|(_, point)| point).collect();
        }
        let now = crossings(rows, points);
        if now < fewest {
            fewest = now;
            best.clone_from(rows);
        }
    }
    *rows = best;
}

fn places_of(rows: &[Vec<usize>], count: usize) -> Vec<f64> {
    let mut places = vec![0.0; count];
    for row in rows {
        let mut place = 0.0;
        for point in row {
            places[*point] = place;
            place += 1.0;
        }
    }
    places
}

fn mean(neighbours: &[usize], places: &[f64]) -> Option<f64> {
    let mut sum = 0.0;
    let mut count = 0.0;
    for neighbour in neighbours {
        sum += places[*neighbour];
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

/// How many pairs of edges between neighbouring layers cross.
fn crossings(rows: &[Vec<usize>], points: &[Point]) -> usize {
    let places = places_of(rows, points.len());
    let mut count = 0;
    for row in rows {
        let mut ends: Vec<f64> = Vec::new();
        for point in row {
            let mut behind: Vec<f64> = points[*point].behind.iter().map(|to| places[*to]).collect();
            behind.sort_by(f64::total_cmp);
            count += behind.iter().map(|end| ends.iter().filter(|other| *other > end).count()).sum::<usize>();
            ends.extend(behind);
        }
    }
    count
}

/// The height of each point: as close to the mean of its neighbours as the order and the gaps allow.
fn place(rows: &[Vec<usize>], points: &[Point], gap: f64) -> Vec<f64> {
    let mut y = vec![0.0; points.len()];
    for row in rows {
        let wanted: Vec<f64> = row.iter().map(|_| 0.0).collect();
        apply(row, &spread(row, &wanted, points, gap), &mut y);
    }
    for round in 0..ROUNDS * 2 {
        let count = rows.len();
        for step in 0..count {
            let at = if round % 2 == 0 { step } else { count - 1 - step };
            let row = &rows[at];
            let wanted: Vec<f64> = row.iter().map(|point| wanted_height(&points[*point], &y, y[*point])).collect();
            apply(row, &spread(row, &wanted, points, gap), &mut y);
        }
    }
    let top = rows.iter().flatten().map(|point| y[*point] - points[*point].height / 2.0).fold(f64::INFINITY, f64::min);
    if top.is_finite() {
        y.iter_mut().for_each(|height| *height -= top);
    }
    y
}

/// The mean over both sides, each side counted once, so that a node with many readers stays near its inputs.
fn wanted_height(point: &Point, y: &[f64], own: f64) -> f64 {
    match (mean(&point.before, y), mean(&point.behind, y)) {
        (Some(before), Some(behind)) => (before + behind) / 2.0,
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => own,
    }
}

fn apply(row: &[usize], heights: &[f64], y: &mut [f64]) {
    for (point, height) in row.iter().zip(heights) {
        y[*point] = *height;
    }
}

/// The heights closest to the wanted ones, by least squares, that keep the order and the gaps: isotonic regression by
/// pooling neighbours that are too close.
fn spread(row: &[usize], wanted: &[f64], points: &[Point], gap: f64) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(row.len());
    let mut offset = 0.0;
    for (index, point) in row.iter().enumerate() {
        if index > 0 {
            offset += (points[row[index - 1]].height + points[*point].height) / 2.0 + gap;
        }
        offsets.push(offset);
    }
    // Each pool is a run of adjacent points: the sum of their wanted heights, and their number.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        let mut pool = (wanted - offset, 1.0, 1);
        while let Some(last) = pools.last() {
            if last.0 / last.1 < pool.0 / pool.1 {
                break;
            }
            pool = (last.0 + pool.0, last.1 + pool.1, last.2 + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let starts = pools.iter().flat_map(|(sum, weight, count)| std::iter::repeat_n(sum / weight, *count));
    starts.zip(&offsets).map(|(start, offset)| start + offset).collect()
}
