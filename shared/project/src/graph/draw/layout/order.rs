//! The order of the items in each row.

use super::place::mean;
use super::rows::Grid;

/// The maximum number of rounds; more have no effect on graphs of the size of a pipeline.
const ROUNDS: usize = 24;
/// About how many items are visited in all rounds together, so that the time for large graphs is limited.
const VISITS: usize = 150_000;

/// The number of rounds for a grid.
pub(super) fn rounds(grid: &Grid) -> usize {
    (VISITS / grid.widths.len().max(1)).clamp(1, ROUNDS)
}

/// Orders the items of each row by the mean place of their neighbours, down and up; keeps the order with the fewest
/// crossings.
pub(super) fn order(grid: &mut Grid) {
    let mut best = grid.rows.clone();
    let mut fewest = crossings(grid);
    let count = grid.rows.len();
    let mut places = vec![0.0; grid.widths.len()];
    grid.rows.iter().for_each(|row| note(row, &mut places));
    for round in 0..rounds(grid) {
        let is_down = round % 2 == 0;
        for step in 0..count {
            let at = if is_down { step } else { count - 1 - step };
            let neighbours = if is_down { &grid.up } else { &grid.down };
            let key = |item: &usize| (mean(&neighbours[*item], &places).unwrap_or(places[*item]), *item);
            let mut keyed: Vec<(f64, usize)> = grid.rows[at].iter().map(key).collect();
            // Equal ones are exchanged in every other pair of rounds, for variety.
            if round % 4 >= 2 {
                keyed.reverse();
            }
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            grid.rows[at] = keyed.into_iter().map(|(_, item)| item).collect();
            note(&grid.rows[at], &mut places);
        }
        // The next round continues from here, not from where the exchanges end.
        let (rows, before) = (grid.rows.clone(), places.clone());
        exchange(grid, &mut places);
        let now = crossings(grid);
        if now < fewest {
            fewest = now;
            best.clone_from(&grid.rows);
        }
        (grid.rows, places) = (rows, before);
    }
    grid.rows = best;
}

/// Exchanges neighbours in a row as long as this reduces the crossings.
fn exchange(grid: &mut Grid, places: &mut [f64]) {
    for _ in 0..rounds(grid) {
        let mut has_changed = false;
        for row in &mut grid.rows {
            for at in 1..row.len() {
                let (left, right) = (row[at - 1], row[at]);
                let (now, then) = [&grid.up, &grid.down].iter().fold((0, 0), |(now, then), links| {
                    let (crossing, exchanged) = pairs(&links[left], &links[right], places);
                    (now + crossing, then + exchanged)
                });
                if then < now {
                    row.swap(at - 1, at);
                    places.swap(left, right);
                    has_changed = true;
                }
            }
        }
        if !has_changed {
            break;
        }
    }
}

/// How many links of two neighbours cross, and how many would if they were exchanged.
fn pairs(left: &[usize], right: &[usize], places: &[f64]) -> (usize, usize) {
    let (mut now, mut then) = (0, 0);
    for a in left {
        now += right.iter().filter(|b| places[*a] > places[**b]).count();
        then += right.iter().filter(|b| places[*a] < places[**b]).count();
    }
    (now, then)
}

/// The place of each item, from 0 to 1, so that rows with different numbers of items are comparable.
fn note(row: &[usize], places: &mut [f64]) {
    let step = 1.0 / to_f64(row.len());
    for (index, item) in row.iter().enumerate() {
        places[*item] = (to_f64(index) + 0.5) * step;
    }
}

fn to_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// How many pairs of links between neighbouring rows cross.
fn crossings(grid: &Grid) -> usize {
    let mut place = vec![0; grid.widths.len()];
    for row in &grid.rows {
        row.iter().enumerate().for_each(|(index, item)| place[*item] = index);
    }
    let mut count = 0;
    for rows in grid.rows.windows(2) {
        let mut ends = Counter::new(rows[1].len());
        for item in &rows[0] {
            let below = grid.down[*item].iter().map(|to| place[*to]);
            count += below.clone().map(|end| ends.above(end)).sum::<usize>();
            below.for_each(|end| ends.add(end));
        }
    }
    count
}

/// Counts numbers above a number, in logarithmic time (a Fenwick tree).
struct Counter {
    sums: Vec<usize>,
    total: usize,
}

impl Counter {
    fn new(len: usize) -> Self {
        Self { sums: vec![0; len + 1], total: 0 }
    }

    fn add(&mut self, number: usize) {
        self.total += 1;
        let mut at = number + 1;
        while at < self.sums.len() {
            self.sums[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    fn above(&self, number: usize) -> usize {
        let mut not_above = 0;
        let mut at = number + 1;
        while at > 0 {
            not_above += self.sums[at];
            at -= at & at.wrapping_neg();
        }
        self.total - not_above
    }
}
