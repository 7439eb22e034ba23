//! What every layout guarantees, on graphs by hand and on random ones.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const MAX_WIDTH: f64 = 1_152.0;

/// Lays out a graph and checks everything that does not depend on how it looks.
fn checked(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let input = Input { sizes, edges, max_width: MAX_WIDTH };
    let layout = lay_out(&input);
    assert_eq!(layout, lay_out(&input));
    assert_eq!((layout.boxes.len(), layout.routes.len()), (sizes.len(), edges.len()));
    assert!(layout.width <= MAX_WIDTH, "{}", layout.width);
    for (index, (own, size)) in layout.boxes.iter().zip(sizes).enumerate() {
        assert_eq!((own.width, own.height), (size.width, size.height));
        assert!(own.x >= 0.0 && own.y >= 0.0, "{own:?}");
        assert!(own.x + own.width <= layout.width && own.y + own.height <= layout.height, "{own:?}");
        assert!(!layout.boxes[index + 1..].iter().any(|other| overlap(own, other)), "{index} overlaps another box");
    }
    for ((from, to), route) in edges.iter().zip(&layout.routes) {
        let (from, to) = (&layout.boxes[*from], &layout.boxes[*to]);
        let [first, .., last] = route[..] else { panic!("a line has two ends: {route:?}") };
        match layout.flow {
            Flow::Right => {
                assert_eq!((first.x, last.x), (from.x + from.width, to.x));
                assert!(from.y < first.y && first.y < from.y + from.height, "{first:?} is not at {from:?}");
                assert!(to.y < last.y && last.y < to.y + to.height, "{last:?} is not at {to:?}");
            }
            Flow::Down => {
                assert_eq!((first.y, last.y), (from.y + from.height, to.y));
                assert!(from.x < first.x && first.x < from.x + from.width, "{first:?} is not at {from:?}");
                assert!(to.x < last.x && last.x < to.x + to.width, "{last:?} is not at {to:?}");
            }
        }
        for segment in route.windows(2) {
            let (a, b) = (segment[0], segment[1]);
            assert!(a.x == b.x || a.y == b.y, "{a:?} to {b:?} is neither horizontal nor vertical");
            let covered =
                Rect { x: a.x.min(b.x), y: a.y.min(b.y), width: (a.x - b.x).abs(), height: (a.y - b.y).abs() };
            assert!(covered.x >= 0.0 && covered.x + covered.width <= layout.width, "{covered:?}");
            assert!(!layout.boxes.iter().any(|own| overlap(own, &covered)), "{a:?} to {b:?} crosses a box");
        }
    }
    layout
}

/// Whether two areas overlap, or a line crosses an area, by more than their borders.
fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

fn boxes(count: usize) -> Vec<Size> {
    vec![Size { width: 140.0, height: 44.0 }; count]
}

fn chain(count: usize) -> Vec<(usize, usize)> {
    (1..count).map(|node| (node - 1, node)).collect()
}

#[test]
fn nothing_is_laid_out() {
    let layout = checked(&[], &[]);
    assert_eq!((layout.width, layout.height), (0.0, 0.0));
}

#[test]
fn a_short_chain_is_a_row_and_a_long_one_a_column() {
    let short = checked(&boxes(5), &chain(5));
    assert_eq!((short.flow, short.height), (Flow::Right, 44.0));
    assert!(short.routes.iter().all(|route| route.len() == 2), "all are straight: {:?}", short.routes);
    let long = checked(&boxes(12), &chain(12));
    assert_eq!((long.flow, long.width), (Flow::Down, 140.0));
    assert!(long.routes.iter().all(|route| route.len() == 2), "all are straight: {:?}", long.routes);
}

#[test]
fn a_layer_that_is_too_wide_is_wrapped() {
    // One source, forty readers, one stage that reads them all.
    let count = 42;
    let mut edges: Vec<(usize, usize)> = (1..count - 1).map(|node| (0, node)).collect();
    edges.extend((1..count - 1).map(|node| (node, count - 1)));
    let layout = checked(&boxes(count), &edges);
    assert_eq!(layout.flow, Flow::Down);
    let mut rows: Vec<f64> = layout.boxes.iter().map(|own| own.y).collect();
    rows.sort_by(f64::total_cmp);
    rows.dedup();
    assert!((8..=12).contains(&rows.len()), "{rows:?}");
}

#[test]
fn parts_that_are_not_connected_are_beside_each_other() {
    let layout = checked(&boxes(6), &[(0, 3), (1, 4), (2, 5)]);
    assert_eq!(layout.flow, Flow::Right);
    assert!(layout.boxes[1].x > layout.boxes[3].x);
    assert_eq!(layout.boxes[0].y, layout.boxes[1].y);
}

#[test]
fn edges_to_the_same_reader_share_a_line() {
    // Three inputs of the last node, from farther and farther away.
    let mut edges = chain(12);
    edges.extend([(0, 11), (3, 11), (6, 11)]);
    edges.sort_unstable();
    let layout = checked(&boxes(12), &edges);
    let ends: Vec<Point> = edges
        .iter()
        .zip(&layout.routes)
        .filter(|((from, to), _)| *to == 11 && *from != 10)
        .filter_map(|(_, route)| route.last().copied())
        .collect();
    assert!(ends.len() == 3 && ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[test]
fn a_thousand_stages_are_laid_out() {
    // Each reads three of the last thirty before it.
    let edges: Vec<(usize, usize)> = (100..1_000)
        .flat_map(|node| [7, 19, 30].map(|back| (node - 1 - (node * back) % 30, node)))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    checked(&boxes(1_000), &edges);
}

/// A graph of up to thirty nodes of different sizes; its edges point forward.
fn graphs() -> impl Strategy<Value = (Vec<Size>, Vec<(usize, usize)>)> {
    (1_usize..30).prop_flat_map(|count| {
        let size = (20_u32..115, 20_u32..70)
            .prop_map(|(width, height)| Size { width: f64::from(2 * width), height: f64::from(2 * height) });
        let edges = prop::collection::vec((0..count, 0..count), 0..3 * count).prop_map(|edges| {
            let forward: BTreeSet<(usize, usize)> = edges.into_iter().filter(|(from, to)| from < to).collect();
            forward.into_iter().collect::<Vec<_>>()
        });
        (prop::collection::vec(size, count), edges)
    })
}

proptest! {
    #[test]
    fn any_graph_is_laid_out((sizes, edges) in graphs()) {
        checked(&sizes, &edges);
    }
}
