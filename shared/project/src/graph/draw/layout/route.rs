//! The lines: where they leave and reach the nodes, and in which track between two rows they turn.

use std::collections::BTreeSet;

use super::place::{mean, reach, spread};
use super::rows::{Graph, Grid, Link, Rows};

/// The space between a row and the first track below it.
const BELOW_ROW: f64 = 14.0;
/// The space between the last track and the row below it, which has the tips of the arrows.
const ABOVE_ROW: f64 = 20.0;
/// The space between two lines at a node.
const PORT_GAP: f64 = 12.0;
/// The space between two tracks, and that of many tracks together.
const TRACK_GAP: (f64, f64) = (3.0, 9.0);
const ALL_TRACKS: f64 = 150.0;
/// Lines that are closer look like one.
const APART: f64 = 6.0;

/// A routed grid, measured along the flow and across it.
pub(super) struct Routed {
    /// Where each node starts along the flow.
    pub(super) starts: Vec<f64>,
    /// The points of each edge: along and across the flow.
    pub(super) routes: Vec<Vec<(f64, f64)>>,
    /// The smallest position across the flow.
    pub(super) least: f64,
    /// The extent along the flow and across it.
    pub(super) size: (f64, f64),
}

/// The least extent along the flow of any layout with these rows.
pub(super) fn least_length(graph: &Graph, rows: &Rows) -> f64 {
    let extents = extents(graph, rows);
    extents.iter().sum::<f64>() + extents.iter().skip(1).map(|_| BELOW_ROW + ABOVE_ROW).sum::<f64>()
}

fn extents(graph: &Graph, rows: &Rows) -> Vec<f64> {
    let mut extents: Vec<f64> = vec![0.0; rows.count];
    for (node, row) in rows.of.iter().enumerate() {
        extents[*row] = extents[*row].max(graph.along[node]);
    }
    extents
}

/// Routes all edges of a grid whose items are at `across`.
pub(super) fn route(graph: &Graph, rows: &Rows, grid: &Grid, across: &[f64]) -> Routed {
    let gaps: Vec<Gap> = (0..grid.gaps.len()).map(|gap| Gap::of(grid, gap, across)).collect();
    let mut row_starts = Vec::with_capacity(rows.count);
    let mut gap_starts = Vec::with_capacity(rows.count);
    let mut along = 0.0;
    for (row, extent) in extents(graph, rows).into_iter().enumerate() {
        row_starts.push(along);
        along += extent;
        gap_starts.push(along);
        along += gaps.get(row).map_or(0.0, Gap::size);
    }
    let starts: Vec<f64> = rows.of.iter().map(|row| row_starts[*row]).collect();
    let mut routes = vec![Vec::new(); graph.edges.len()];
    let mut links_of: Vec<Vec<usize>> = vec![Vec::new(); rows.bundles.len()];
    for links in &grid.gaps {
        links.iter().enumerate().for_each(|(index, link)| links_of[link.bundle].push(index));
    }
    for (bundle, links) in rows.bundles.iter().zip(&links_of) {
        for edge in &bundle.edges {
            let (from, to) = graph.edges[*edge];
            let mut line = Line::default();
            for gap in rows.of[from]..rows.of[to] {
                let index = links[gap - bundle.first];
                let (link, ends) = (&grid.gaps[gap][index], &gaps[gap].ends[index]);
                // The lane is the last item of its link.
                let above = end_at(&link.above, &ends.above, (gap == rows.of[from]).then_some(from));
                let below = end_at(&link.below, &ends.below, (gap + 1 == rows.of[to]).then_some(to));
                let turn = gaps[gap].tracks[index].map(|track| gap_starts[gap] + gaps[gap].offset(track));
                if gap == rows.of[from] {
                    line.add(starts[from] + graph.along[from], above);
                }
                if let Some(turn) = turn {
                    line.add(turn, above);
                    line.add(turn, below);
                }
                if gap + 1 == rows.of[to] {
                    line.add(starts[to], below);
                }
            }
            routes[*edge] = line.points;
        }
    }
    let sides = |sign: f64| grid.widths.iter().zip(across).map(move |(width, middle)| middle + sign * width / 2.0);
    let least = sides(-1.0).fold(f64::INFINITY, f64::min);
    let most = sides(1.0).fold(f64::NEG_INFINITY, f64::max);
    Routed { starts, routes, least, size: (along, (most - least).max(0.0)) }
}

fn end_at(items: &[usize], ends: &[f64], node: Option<usize>) -> f64 {
    let at = node.and_then(|node| items.iter().position(|item| *item == node));
    at.map_or_else(|| ends.last().copied(), |at| ends.get(at).copied()).unwrap_or(0.0)
}

/// A line of points; those that are on the way between others are omitted.
#[derive(Default)]
struct Line {
    points: Vec<(f64, f64)>,
}

impl Line {
    fn add(&mut self, along: f64, across: f64) {
        let same = |a: f64, b: f64| (a - b).abs() < f64::EPSILON;
        if let [.., (first_along, first), (last_along, last)] = self.points[..] {
            let is_on_way =
                (same(first, last) && same(last, across)) || (same(first_along, last_along) && same(last_along, along));
            if is_on_way {
                self.points.pop();
            }
        }
        self.points.push((along, across));
    }
}

/// The lines between a row and the next.
struct Gap {
    /// Per link, where its lines begin and end across the flow.
    ends: Vec<Ends>,
    /// Per link, the track in which it turns; none if it is straight.
    tracks: Vec<Option<usize>>,
    /// How many tracks there are.
    count: usize,
}

struct Ends {
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Ends {
    fn range(&self) -> (f64, f64) {
        let all = || self.above.iter().chain(&self.below).copied();
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max))
    }
}

impl Gap {
    fn of(grid: &Grid, gap: usize, across: &[f64]) -> Self {
        let links = &grid.gaps[gap];
        let at = |items: &[usize]| items.iter().map(|item| across[*item]).collect::<Vec<f64>>();
        let mut ends: Vec<Ends> =
            links.iter().map(|link| Ends { above: at(&link.above), below: at(&link.below) }).collect();
        let range = |item: &usize| {
            let reach = if *item < grid.nodes { reach(grid.widths[*item]) } else { 0.0 };
            (across[*item] - reach, across[*item] + reach)
        };
        let exact = |ends: &[f64]| ends.iter().map(|end| (*end, *end)).collect::<Vec<_>>();
        let exits = ports(grid, &grid.rows[gap], links, |link| &link.above);
        let entries = ports(grid, &grid.rows[gap + 1], links, |link| &link.below);
        // First where the lines begin, towards where they can end; then where they end; then again where they begin.
        for (node, ports) in &exits {
            let towards = ports.iter().map(|(link, _)| links[*link].below.iter().map(range).collect());
            let placed = place_ports(range(node), towards.collect());
            ports.iter().zip(placed).for_each(|((link, at), placed)| ends[*link].above[*at] = placed);
        }
        for (node, ports) in &entries {
            let placed = place_ports(range(node), ports.iter().map(|(link, _)| exact(&ends[*link].above)).collect());
            ports.iter().zip(placed).for_each(|((link, at), placed)| ends[*link].below[*at] = placed);
        }
        for (node, ports) in &exits {
            let placed = place_ports(range(node), ports.iter().map(|(link, _)| exact(&ends[*link].below)).collect());
            ports.iter().zip(placed).for_each(|((link, at), placed)| ends[*link].above[*at] = placed);
        }
        let (tracks, count) = tracks(&ends);
        Self { ends, tracks, count }
    }

    fn size(&self) -> f64 {
        self.offset(self.count.saturating_sub(1)) + ABOVE_ROW
    }

    /// Where a track is, from the end of the row.
    fn offset(&self, track: usize) -> f64 {
        let number = |number: usize| u32::try_from(number).map_or(0.0, f64::from);
        BELOW_ROW + number(track) * (ALL_TRACKS / number(self.count.max(1))).clamp(TRACK_GAP.0, TRACK_GAP.1)
    }
}

/// The nodes of a row with the links that end at them, each with the position of the node in the link.
fn ports<'g>(
    grid: &Grid,
    row: &[usize],
    links: &'g [Link],
    side: impl Fn(&'g Link) -> &'g Vec<usize>,
) -> Vec<(usize, Vec<(usize, usize)>)> {
    let mut place = vec![usize::MAX; grid.nodes];
    let nodes = row.iter().copied().filter(|item| *item < grid.nodes);
    let mut ports: Vec<(usize, Vec<(usize, usize)>)> = nodes.map(|node| (node, Vec::new())).collect();
    ports.iter().enumerate().for_each(|(index, (node, _))| place[*node] = index);
    for (index, link) in links.iter().enumerate() {
        for (at, item) in side(link).iter().enumerate().filter(|(_, item)| **item < grid.nodes) {
            ports[place[*item]].1.push((index, at));
        }
    }
    ports
}

/// Where lines leave a node, in a range of it: straight to what they connect if possible, in its order, and apart.
fn place_ports(own: (f64, f64), towards: Vec<Vec<(f64, f64)>>) -> Vec<f64> {
    let middle = f64::midpoint(own.0, own.1);
    let distance = |range: &(f64, f64)| (middle - range.1).max(range.0 - middle).max(0.0);
    // Per port, what its order is determined by, and where it should be; those of lines that turn anyway matter little.
    let mut wanted: Vec<(f64, (f64, f64), usize)> = Vec::with_capacity(towards.len());
    for (port, ranges) in towards.iter().enumerate() {
        let nearest = ranges.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(own);
        let common = (own.0.max(nearest.0), own.1.min(nearest.1));
        let straight = (common.0 <= common.1).then(|| (f64::midpoint(common.0, common.1), 1.0));
        wanted.push((f64::midpoint(nearest.0, nearest.1), straight.unwrap_or((middle, 0.01)), port));
    }
    wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let gaps = u32::try_from(wanted.len().saturating_sub(1).max(1)).map_or(1.0, f64::from);
    let gap = PORT_GAP.min((own.1 - own.0) / gaps);
    let (mut offsets, mut offset) = (Vec::with_capacity(wanted.len()), 0.0);
    for _ in &wanted {
        offsets.push(offset);
        offset += gap;
    }
    let placed = spread(&offsets, wanted.iter().map(|(_, place, _)| *place), own);
    let mut result = vec![middle; wanted.len()];
    wanted.iter().zip(placed).for_each(|((.., port), placed)| result[*port] = placed.round());
    result
}

/// A track for each link that is not straight, so that no two lines overlap, and their number.
///
/// Where a line begins above the end of another, its track must be above the other's. Otherwise the tracks are in an order
/// in which parallel lines do not cross. If the conditions contradict each other, some are ignored.
fn tracks(ends: &[Ends]) -> (Vec<Option<usize>>, usize) {
    let ranges: Vec<(f64, f64)> = ends.iter().map(Ends::range).collect();
    let mut order: Vec<usize> = (0..ends.len()).filter(|link| ranges[*link].0 < ranges[*link].1).collect();
    let middle = |ends: &[f64]| mean(&(0..ends.len()).collect::<Vec<_>>(), ends).unwrap_or(0.0);
    let keys: Vec<f64> = ends
        .iter()
        .map(|ends| (middle(&ends.above), middle(&ends.below)))
        .map(|(above, below)| if below > above { -above } else { above })
        .collect();
    order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
    let below = conditions(ends, &order);
    let mut waiting = vec![0_usize; order.len()];
    below.iter().flatten().for_each(|rank| waiting[*rank] += 1);
    let mut left: BTreeSet<usize> = (0..order.len()).collect();
    let mut ready: BTreeSet<usize> = left.iter().copied().filter(|rank| waiting[*rank] == 0).collect();
    let mut least = vec![0; order.len()];
    let mut tracks = vec![None; ends.len()];
    let mut taken: Vec<Vec<(f64, f64)>> = Vec::new();
    while let Some(rank) = ready.pop_first().or_else(|| left.first().copied()) {
        left.remove(&rank);
        let (from, to) = ranges[order[rank]];
        let is_free =
            |track: &Vec<(f64, f64)>| track.iter().all(|other| other.1 + APART < from || to + APART < other.0);
        let track = (least[rank]..).find(|track| taken.get(*track).is_none_or(is_free)).unwrap_or(least[rank]);
        if taken.len() <= track {
            taken.resize(track + 1, Vec::new());
        }
        taken[track].push((from, to));
        tracks[order[rank]] = Some(track);
        for other in &below[rank] {
            least[*other] = least[*other].max(track + 1);
            waiting[*other] -= 1;
            if waiting[*other] == 0 && left.contains(other) {
                ready.insert(*other);
            }
        }
    }
    (tracks, taken.len())
}

/// Per link in that order, those that must be below it.
fn conditions(ends: &[Ends], order: &[usize]) -> Vec<Vec<usize>> {
    let mut bottoms: Vec<(f64, usize)> = Vec::new();
    for (rank, link) in order.iter().enumerate() {
        bottoms.extend(ends[*link].below.iter().map(|below| (*below, rank)));
    }
    bottoms.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut conditions = vec![Vec::new(); order.len()];
    for (rank, link) in order.iter().enumerate() {
        for above in &ends[*link].above {
            let near = bottoms.partition_point(|(below, _)| *below <= above - APART);
            let near = bottoms[near..].iter().take_while(|(below, _)| *below < above + APART);
            conditions[rank].extend(near.map(|(_, other)| *other).filter(|other| *other != rank));
        }
    }
    conditions
}
