//! Random changes of special values, with every strategy, as values, keys, partitions and nested values.

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use windlass_evidence::artifact::RunRecord;
use windlass_project::strategy::Strategy;

use super::odd::{Odd, rows};
use super::pair::{Pair, Stage};
use crate::incremental::one_source::summary;

/// What a query can distinguish (`1 / f`, the text of `f`) must be the same as in a rebuild, and so must what it cannot
/// distinguish.
const STAGES: &[Stage] = &[
    ("copied", "key: [id]", "SELECT id, f, g, s, l, 1 / f AS inverse, CAST(f AS VARCHAR) AS text FROM odd"),
    ("by_float", "key: [f, id]", "SELECT f, id, price FROM odd WHERE f IS NOT NULL"),
    ("by_single", "key: [g, id], partition_by: [g]", "SELECT g, id, f FROM odd WHERE g IS NOT NULL"),
    ("by_struct", "key: [s, id]", "SELECT s, id, price FROM odd"),
    ("by_list", "key: [l, id]", "SELECT l, id, price FROM odd"),
    ("by_text", "key: [text, id]", "SELECT CAST(f AS VARCHAR) AS text, id FROM odd WHERE f IS NOT NULL"),
    ("by_time", "key: [at, id]", "SELECT CAST(at AS TIMESTAMP) AS at, id, f FROM odd"),
    (
        "by_other_types",
        "key: [day, u, v, d, p, id]",
        "SELECT arrow_cast(CAST(at AS TIMESTAMP), 'Date64') AS day, arrow_cast(id, 'UInt32') AS u, arrow_cast(at, 'LargeUtf8') AS v,
           arrow_cast(at, 'Dictionary(Int32, Utf8)') AS d, arrow_cast(price, 'Decimal256(12, 4)') AS p, id, g FROM odd",
    ),
    (
        "times_inside",
        "key: [inside, id]",
        "SELECT named_struct('at', CAST(at AS TIMESTAMP), 'f', f) AS inside, id, price FROM odd",
    ),
    ("floats", "key: [f]", "SELECT f, count(*) AS n, sum(id) AS ids FROM odd WHERE f IS NOT NULL GROUP BY f"),
    ("parts", "key: [f], partition_by: [f]", "SELECT f, count(*) AS n FROM odd WHERE f IS NOT NULL GROUP BY f"),
    ("structs", "key: [s]", "SELECT s, count(*) AS n, max(id) AS last FROM odd GROUP BY s"),
    ("lists", "key: [l]", "SELECT l, count(*) AS n FROM odd GROUP BY l"),
    (
        "whole_structs",
        "key: [s]",
        "SELECT named_struct('n', s['n']) AS s, count(*) AS n, sum(id) AS ids FROM odd GROUP BY named_struct('n', s['n'])",
    ),
    (
        "seconds",
        "key: [second], partition_by: [second]",
        "SELECT date_trunc('second', CAST(at AS TIMESTAMP)) AS second, count(*) AS n FROM odd
         GROUP BY date_trunc('second', CAST(at AS TIMESTAMP))",
    ),
    ("distinct_floats", "key: [f, g]", "SELECT DISTINCT f, g FROM odd WHERE f IS NOT NULL AND g IS NOT NULL"),
    ("distinct_inside", "key: [f]", "SELECT DISTINCT s['f'] AS f FROM odd WHERE s['f'] IS NOT NULL"),
    (
        "numbered",
        "key: [f, place]",
        "SELECT f, row_number() OVER (PARTITION BY f ORDER BY id) AS place, id FROM odd WHERE f IS NOT NULL",
    ),
    (
        "numbered_inside",
        "key: [id]",
        "SELECT id, row_number() OVER (PARTITION BY s ORDER BY id) AS place, count(*) OVER (PARTITION BY l) AS n FROM odd",
    ),
    ("pairs", "key: [id, other]", "SELECT a.id, b.id AS other, a.f FROM odd AS a JOIN odd AS b ON a.f = b.f"),
    ("inside_pairs", "key: [id, other]", "SELECT a.id, b.id AS other FROM odd AS a LEFT JOIN odd AS b ON a.s = b.s"),
    (
        "extremes",
        "key: [id]",
        "SELECT o.id, 1 / m.least AS inverse FROM odd AS o
         JOIN (SELECT id % 3 AS part, max(CASE WHEN price > 0 THEN -f ELSE f END) AS least FROM odd GROUP BY id % 3) AS m
           ON o.id % 3 = m.part AND o.f = m.least",
    ),
    (
        "in_both",
        "key: [f]",
        "SELECT f FROM odd WHERE f IS NOT NULL INTERSECT SELECT CAST(g AS DOUBLE) FROM odd WHERE g IS NOT NULL",
    ),
    ("distinct_counts", "key: [part]", "SELECT id % 2 AS part, count(DISTINCT f) AS n, count(DISTINCT g) AS m FROM odd GROUP BY id % 2"),
];

/// Ids that rows may have.
const IDS: std::ops::Range<i64> = 0..14;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_values_are_the_same_as_in_a_rebuild() {
    let mut strategies = Vec::new();
    for seed in seeds() {
        strategies.extend(play(seed).await);
    }
    for wanted in [Strategy::Append, Strategy::RowWise, Strategy::AffectedKeys, Strategy::PartitionReplace] {
        assert!(strategies.contains(&wanted), "{wanted:?} is never met: {strategies:?}");
    }
}

/// One seed, or those that were requested.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match (number("WINDLASS_SEED"), number("WINDLASS_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => 0..seeds,
        (None, None) => 0..1,
    }
}

async fn play(seed: u64) -> Vec<Strategy> {
    println!("WINDLASS_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    let first: Vec<Odd> = IDS.step_by(2).map(|id| Odd::random(id, &mut random)).collect();
    let mut there: Vec<i64> = first.iter().map(|row| row.id).collect();
    let pair = Pair::new(dir.path(), rows(&first), &[], STAGES).await;
    pair.run().await;
    let mut met = Vec::new();
    for step in 0..3 {
        // The first change only adds rows.
        let gone: Vec<i64> = if step == 0 { Vec::new() } else { there.iter().copied().choose_multiple(&mut random, 4) };
        if !gone.is_empty() {
            let list: Vec<String> = gone.iter().map(ToString::to_string).collect();
            pair.delete(&format!("id IN ({})", list.join(", "))).await;
            there.retain(|id| !gone.contains(id));
        }
        // Some are inserted again, perhaps unchanged except for a sign.
        let new: Vec<i64> = IDS.filter(|id| !there.contains(id) && random.random_bool(0.6)).collect();
        let new: Vec<Odd> = new.into_iter().map(|id| Odd::random(id, &mut random)).collect();
        if !new.is_empty() {
            pair.append(rows(&new)).await;
            there.extend(new.iter().map(|row| row.id));
        }
        println!("step {step}: without {gone:?}, with {new:?}");
        met.extend(strategies(&pair.run().await));
    }
    pair.stop().await;
    met
}

fn strategies(record: &RunRecord) -> Vec<Strategy> {
    STAGES.iter().filter_map(|(name, ..)| summary(record, name).strategy).collect()
}
