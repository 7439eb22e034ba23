//! Where the items of each row are, across the flow.

use super::order::rounds;
use super::rows::{Grid, LANE_GAP, NODE_GAP};

/// The space between a node and a lane.
const NODE_TO_LANE: f64 = 16.0;
/// The least space between the corner of a wide node and a line.
const CORNER: f64 = 14.0;

/// The middle of each item, as whole numbers: as close to the mean of its neighbours as the order and the spaces allow, in
/// a width of `limit` around 0.
pub(super) fn place(grid: &Grid, limit: f64) -> Vec<f64> {
    // A pixel on each side is left for the rounding.
    let limit = limit - 2.0;
    let rows: Vec<Row<'_>> = grid.rows.iter().map(|items| Row::new(grid, items, limit)).collect();
    let mut x = vec![0.0; grid.widths.len()];
    let none = vec![0.0; rows.iter().map(|row| row.items.len()).max().unwrap_or(0)];
    for row in &rows {
        row.apply(&none[..row.items.len()], &mut x);
    }
    for round in 0..rounds(grid) {
        for step in 0..rows.len() {
            let is_down = round % 2 == 0;
            let row = &rows[if is_down { step } else { rows.len() - 1 - step }];
            let wanted: Vec<f64> = row.items.iter().map(|item| wanted(grid, *item, is_down, &x)).collect();
            row.apply(&wanted, &mut x);
        }
    }
    align_pairs(grid, &rows, &mut x);
    straighten(grid, &rows, &mut x);
    x.iter_mut().for_each(|x| *x = x.floor());
    x
}

/// A row with the distances that its items must keep.
struct Row<'g> {
    items: &'g [usize],
    /// The sum of the distances up to each item.
    offsets: Vec<f64>,
    /// The least position of the first item and the greatest of the last one.
    bounds: (f64, f64),
}

impl<'g> Row<'g> {
    /// If there are too many lanes, all spaces of the row are reduced.
    fn new(grid: &Grid, items: &'g [usize], limit: f64) -> Self {
        let pairs = || items.windows(2).map(|pair| (pair[0], pair[1]));
        let space = |(left, right): (usize, usize)| match (left < grid.nodes, right < grid.nodes) {
            (true, true) => NODE_GAP,
            (false, false) => LANE_GAP,
            _ => NODE_TO_LANE,
        };
        let nodes: f64 = items.iter().map(|item| grid.widths[*item]).sum();
        let spaces: f64 = pairs().map(space).sum();
        let scale = if nodes + spaces > limit { ((limit - nodes) / spaces).max(0.0) } else { 1.0 };
        let mut offsets = Vec::with_capacity(items.len());
        let mut offset = 0.0;
        offsets.extend((!items.is_empty()).then_some(offset));
        for (left, right) in pairs() {
            offset += (grid.widths[left] + grid.widths[right]) / 2.0 + space((left, right)) * scale;
            offsets.push(offset);
        }
        let side = |item: Option<&usize>| limit / 2.0 - item.map_or(0.0, |item| grid.widths[*item] / 2.0);
        Self { items, offsets, bounds: (-side(items.first()), side(items.last())) }
    }

    fn apply(&self, wanted: &[f64], x: &mut [f64]) {
        let placed = spread(&self.offsets, wanted.iter().map(|wanted| (*wanted, 1.0)), self.bounds);
        self.items.iter().zip(placed).for_each(|(item, placed)| x[*item] = placed);
    }

    /// The range in which an item can be moved without moving another one.
    fn free(&self, at: usize, x: &[f64]) -> (f64, f64) {
        let left = at.checked_sub(1).map(|left| x[self.items[left]] + self.offsets[at] - self.offsets[left]);
        let right = self.items.get(at + 1).map(|right| x[*right] - self.offsets[at + 1] + self.offsets[at]);
        (left.unwrap_or(self.bounds.0), right.unwrap_or(self.bounds.1))
    }
}

/// For a node the mean over both sides, each side counted once, so that a node with many readers stays near its inputs. A
/// lane continues straight from where the round comes from.
fn wanted(grid: &Grid, item: usize, is_down: bool, x: &[f64]) -> f64 {
    let (above, below) = (mean(&grid.up[item], x), mean(&grid.down[item], x));
    let means = match (above, below) {
        (Some(above), Some(below)) if item < grid.nodes => Some(f64::midpoint(above, below)),
        _ if is_down => above.or(below),
        _ => below.or(above),
    };
    means.unwrap_or(x[item])
}

/// The mean of some of the values.
pub(super) fn mean(items: &[usize], values: &[f64]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for item in items {
        sum += values[*item];
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

/// The positions closest to the wanted ones, by weighted least squares, that keep the distances between `offsets` and, as
/// far as there is space, the bounds: isotonic regression by pooling neighbours that are too close.
pub(super) fn spread(offsets: &[f64], wanted: impl Iterator<Item = (f64, f64)>, bounds: (f64, f64)) -> Vec<f64> {
    // Each pool is a run of adjacent items: the weighted sum of their wanted positions, the weights, and their number.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((wanted, weight), offset) in wanted.zip(offsets) {
        let mut pool = ((wanted - offset) * weight, weight, 1);
        while let Some(last) = pools.last() {
            if last.0 / last.1 < pool.0 / pool.1 {
                break;
            }
            pool = (last.0 + pool.0, last.1 + pool.1, last.2 + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let last = bounds.1 - offsets.last().copied().unwrap_or(0.0);
    let starts = pools.iter().flat_map(|(sum, weight, count)| std::iter::repeat_n(sum / weight, *count));
    starts.zip(offsets).map(|(start, offset)| start.min(last).max(bounds.0) + offset).collect()
}

/// Moves each node that is the only reader of its only input below it, as far as there is space.
fn align_pairs(grid: &Grid, rows: &[Row<'_>], x: &mut [f64]) {
    for row in rows {
        for (at, item) in row.items.iter().enumerate().filter(|(_, item)| **item < grid.nodes) {
            if let [only] = grid.up[*item][..]
                && grid.down[only].len() == 1
            {
                let free = row.free(at, x);
                x[*item] = x[only].min(free.1).max(free.0);
            }
        }
    }
}

/// Moves the lanes of each bundle below each other, as many at a time as the space next to them allows.
fn straighten(grid: &Grid, rows: &[Row<'_>], x: &mut [f64]) {
    let mut position = vec![(0, 0); grid.widths.len()];
    for (number, row) in rows.iter().enumerate() {
        row.items.iter().enumerate().for_each(|(at, item)| position[*item] = (number, at));
    }
    for (bundle, first) in grid.lanes.iter().copied().enumerate() {
        let end = grid.lanes.get(bundle + 1).copied().unwrap_or(grid.widths.len());
        if first == end {
            continue;
        }
        // The lanes of the current run, and the range that they have in common.
        let mut run = (first, under(grid, &grid.up[first], x));
        for (lane, (row, at)) in (first..end).zip(position[first..end].iter().copied()) {
            let free = rows[row].free(at, x);
            let common = (run.1.0.max(free.0), run.1.1.min(free.1));
            if common.0 > common.1 {
                align(run.0..lane, run.1, x);
                run = (lane, free);
            } else {
                run.1 = common;
            }
        }
        let target = under(grid, &grid.down[end - 1], x);
        let common = (run.1.0.max(target.0), run.1.1.min(target.1));
        align(run.0..end, if common.0 > common.1 { run.1 } else { common }, x);
    }
}

/// The range in which a lane would continue straight into the only item that it is connected with.
fn under(grid: &Grid, items: &[usize], x: &[f64]) -> (f64, f64) {
    match items {
        [item] => {
            let reach = reach(grid.widths[*item]);
            (x[*item] - reach, x[*item] + reach)
        }
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

/// How far from the middle of a node of that width a line can begin or end.
pub(super) fn reach(width: f64) -> f64 {
    width / 2.0 - CORNER.min(width / 5.0)
}

fn align(lanes: std::ops::Range<usize>, range: (f64, f64), x: &mut [f64]) {
    let all: Vec<usize> = lanes.collect();
    if let Some(middle) = mean(&all, x) {
        all.iter().for_each(|lane| x[*lane] = middle.min(range.1).max(range.0));
    }
}
