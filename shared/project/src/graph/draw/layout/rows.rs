//! Which row each node is in, and which edges share a line.

use super::{Flow, Input};

/// The space between two nodes of a row.
pub(super) const NODE_GAP: f64 = 28.0;
/// The space between two lanes of a row.
pub(super) const LANE_GAP: f64 = 12.0;
/// The part of a row's width that is kept for lanes, and how much it can grow.
const LANES: (f64, f64) = (0.12, 0.45);

/// A connected graph, measured along the flow of data and across it. Edges point from lower to higher indexes.
pub(super) struct Graph {
    /// The size of each node along the flow.
    pub(super) along: Vec<f64>,
    /// The size of each node across the flow.
    pub(super) across: Vec<f64>,
    pub(super) edges: Vec<(usize, usize)>,
    reads: Vec<Vec<usize>>,
    readers: Vec<Vec<usize>>,
}

impl Graph {
    pub(super) fn of(input: &Input<'_>, flow: Flow, nodes: &[usize], edges: &[usize]) -> Self {
        let mut graph = Self {
            along: Vec::new(),
            across: Vec::new(),
            edges: Vec::new(),
            reads: vec![Vec::new(); nodes.len()],
            readers: vec![Vec::new(); nodes.len()],
        };
        for node in nodes {
            let size = input.sizes[*node];
            let (along, across) = match flow {
                Flow::Right => (size.width, size.height),
                Flow::Down => (size.height, size.width),
            };
            graph.along.push(along);
            graph.across.push(across);
        }
        for edge in edges {
            let (from, to) = input.edges[*edge];
            // The nodes are sorted, and those of an edge are among them.
            let (from, to) = (nodes.partition_point(|node| *node < from), nodes.partition_point(|node| *node < to));
            graph.edges.push((from, to));
            graph.reads[to].push(from);
            graph.readers[from].push(to);
        }
        graph
    }

    pub(super) fn len(&self) -> usize {
        self.along.len()
    }

    /// Each node after those that it reads, and close to them.
    fn depth_first(&self) -> Vec<usize> {
        let mut seen = vec![false; self.len()];
        let mut order = Vec::with_capacity(self.len());
        for sink in (0..self.len()).filter(|node| self.readers[*node].is_empty()) {
            // Nodes on the way, and how many of their inputs were visited.
            let mut way = vec![(sink, 0)];
            seen[sink] = true;
            while let Some((node, visited)) = way.pop() {
                match self.reads[node].get(visited) {
                    None => order.push(node),
                    Some(read) => {
                        way.push((node, visited + 1));
                        if !seen[*read] {
                            seen[*read] = true;
                            way.push((*read, 0));
                        }
                    }
                }
            }
        }
        order
    }
}

/// Edges with a common end, drawn as one line with several beginnings or several ends.
pub(super) struct Bundle {
    /// Its edges, as indexes.
    pub(super) edges: Vec<usize>,
    /// Where it begins; one node unless it ends in one node.
    pub(super) from: Vec<usize>,
    /// Where it ends.
    pub(super) to: Vec<usize>,
    /// The first row that it begins in.
    pub(super) first: usize,
    /// The last row that it ends in.
    pub(super) last: usize,
}

/// The rows of a graph and the bundles between them.
pub(super) struct Rows {
    /// The row of each node.
    pub(super) of: Vec<usize>,
    /// How many rows there are.
    pub(super) count: usize,
    pub(super) bundles: Vec<Bundle>,
    /// The nodes as they are first put into the rows.
    order: Vec<usize>,
}

impl Rows {
    /// Rows that are at most `limit` wide.
    pub(super) fn of(graph: &Graph, limit: f64) -> Self {
        let rows = Self::with_capacity(graph, limit * (1.0 - LANES.0));
        let needed = rows.most_lanes() * LANE_GAP;
        if limit.is_infinite() || needed <= limit * LANES.0 {
            return rows;
        }
        Self::with_capacity(graph, limit - needed.min(limit * LANES.1))
    }

    fn with_capacity(graph: &Graph, capacity: f64) -> Self {
        let order = graph.depth_first();
        let (of, count) = assign(graph, &order, capacity);
        let bundles = bundles(graph, &of);
        Self { of, count, bundles, order }
    }

    fn most_lanes(&self) -> f64 {
        let mut lanes = vec![0.0; self.count];
        for bundle in &self.bundles {
            lanes[bundle.first + 1..bundle.last].iter_mut().for_each(|lanes| *lanes += 1.0);
        }
        lanes.into_iter().fold(0.0, f64::max)
    }

    /// The nodes and lanes in rows, with the links between them.
    pub(super) fn grid(&self, graph: &Graph) -> Grid {
        let mut grid = Grid {
            rows: vec![Vec::new(); self.count],
            nodes: graph.len(),
            widths: graph.across.clone(),
            up: vec![Vec::new(); graph.len()],
            down: vec![Vec::new(); graph.len()],
            gaps: (1..self.count).map(|_| Vec::new()).collect(),
            lanes: Vec::with_capacity(self.bundles.len()),
        };
        for node in &self.order {
            grid.rows[self.of[*node]].push(*node);
        }
        for (index, bundle) in self.bundles.iter().enumerate() {
            let lanes = grid.widths.len();
            grid.lanes.push(lanes);
            for row in bundle.first + 1..bundle.last {
                grid.rows[row].push(grid.widths.len());
                grid.widths.push(0.0);
                grid.up.push(Vec::new());
                grid.down.push(Vec::new());
            }
            let lane = |row: usize| lanes + row - bundle.first - 1;
            for gap in bundle.first..bundle.last {
                let mut above: Vec<usize> = bundle.from.iter().copied().filter(|node| self.of[*node] == gap).collect();
                let mut below: Vec<usize> =
                    bundle.to.iter().copied().filter(|node| self.of[*node] == gap + 1).collect();
                above.extend((gap > bundle.first).then(|| lane(gap)));
                below.extend((gap + 1 < bundle.last).then(|| lane(gap + 1)));
                for (from, to) in above.iter().flat_map(|from| below.iter().map(move |to| (*from, *to))) {
                    grid.down[from].push(to);
                    grid.up[to].push(from);
                }
                grid.gaps[gap].push(Link { bundle: index, above, below });
            }
        }
        grid
    }
}

/// A bundle between two rows.
pub(super) struct Link {
    pub(super) bundle: usize,
    /// The items of the upper row that it connects.
    pub(super) above: Vec<usize>,
    /// The items of the lower row that it connects.
    pub(super) below: Vec<usize>,
}

/// Items in rows: the nodes by their indexes, then the lanes.
pub(super) struct Grid {
    pub(super) rows: Vec<Vec<usize>>,
    /// How many of the items are nodes.
    pub(super) nodes: usize,
    /// The width of each item; that of a lane is 0.
    pub(super) widths: Vec<f64>,
    /// The items of the row above that each item is connected with.
    pub(super) up: Vec<Vec<usize>>,
    /// The items of the row below.
    pub(super) down: Vec<Vec<usize>>,
    /// The links between each row and the next.
    pub(super) gaps: Vec<Vec<Link>>,
    /// The first lane of each bundle; those of the following rows follow.
    pub(super) lanes: Vec<usize>,
}

/// The width that is used of each row.
struct Space {
    used: Vec<f64>,
    capacity: f64,
}

impl Space {
    /// Whether a node fits into a row. Every node fits into an empty one.
    fn has(&self, row: usize, width: f64) -> bool {
        self.used.get(row).is_none_or(|used| *used <= 0.0 || used + NODE_GAP + width <= self.capacity)
    }

    fn take(&mut self, row: usize, width: f64) {
        if self.used.len() <= row {
            self.used.resize(row + 1, 0.0);
        }
        self.used[row] += if self.used[row] > 0.0 { NODE_GAP + width } else { width };
    }

    fn give_back(&mut self, row: usize, width: f64) {
        let left = self.used[row] - width;
        self.used[row] = if left > 0.0 { left - NODE_GAP } else { 0.0 };
    }
}

/// Each node in the first row below those that it reads in which there is space; then those with more readers than inputs
/// as close to their readers as possible. Returns the rows and their number.
fn assign(graph: &Graph, order: &[usize], capacity: f64) -> (Vec<usize>, usize) {
    let mut space = Space { used: Vec::new(), capacity };
    let mut of = vec![0; graph.len()];
    for node in order {
        let width = graph.across[*node];
        let mut row = graph.reads[*node].iter().map(|read| of[*read] + 1).max().unwrap_or(0);
        while !space.has(row, width) {
            row += 1;
        }
        space.take(row, width);
        of[*node] = row;
    }
    for node in order.iter().rev().filter(|node| graph.readers[**node].len() > graph.reads[**node].len()) {
        let width = graph.across[*node];
        let end = graph.readers[*node].iter().map(|reader| of[*reader]).min().unwrap_or(0);
        if let Some(row) = (of[*node] + 1..end).rev().find(|row| space.has(*row, width)) {
            space.give_back(of[*node], width);
            space.take(row, width);
            of[*node] = row;
        }
    }
    // Moving nodes may have left rows empty.
    let mut is_used = vec![false; space.used.len()];
    of.iter().for_each(|row| is_used[*row] = true);
    let mut count = 0;
    let mut new = Vec::with_capacity(is_used.len());
    for is_used in is_used {
        new.push(count);
        count += usize::from(is_used);
    }
    (of.into_iter().map(|row| new[row]).collect(), count)
}

/// Each edge belongs to the bundle of the end that has more edges.
fn bundles(graph: &Graph, row: &[usize]) -> Vec<Bundle> {
    let mut bundles: Vec<Bundle> = Vec::new();
    let mut begins_at: Vec<Option<usize>> = vec![None; graph.len()];
    let mut ends_at: Vec<Option<usize>> = vec![None; graph.len()];
    for (index, (from, to)) in graph.edges.iter().copied().enumerate() {
        let known =
            if graph.reads[to].len() > graph.readers[from].len() { &mut ends_at[to] } else { &mut begins_at[from] };
        let bundle = *known.get_or_insert_with(|| {
            bundles.push(Bundle {
                edges: Vec::new(),
                from: Vec::new(),
                to: Vec::new(),
                first: row[from],
                last: row[to],
            });
            bundles.len() - 1
        });
        let bundle = &mut bundles[bundle];
        bundle.edges.push(index);
        if !bundle.from.contains(&from) {
            bundle.from.push(from);
        }
        if !bundle.to.contains(&to) {
            bundle.to.push(to);
        }
        bundle.first = bundle.first.min(row[from]);
        bundle.last = bundle.last.max(row[to]);
    }
    bundles
}
