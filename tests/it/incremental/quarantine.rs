//! Quarantines of incremental stages: the remaining rows are those of a rebuild.

use super::rebuilt::{Rebuilt, Stage, numbers};

const T: [&str; 3] = ["id", "g", "v"];
const U: [&str; 2] = ["g", "w"];

const POSITIVE: &str =
    "io: { key: [id], incremental: strict }\nexpect: [{ sql: v > 0, name: positive, on_failure: quarantine }]";
const UNIQUE: &str = "io: { key: [id], incremental: strict }\nexpect: [{ unique: [id], on_failure: quarantine }]";
const KNOWN: &str =
    "io: { key: [id], incremental: strict }\nexpect: [{ references: { columns: [g], to: u }, on_failure: quarantine }]";

const STAGES: &[Stage<'static>] = &[
    ("positive", POSITIVE, "SELECT id, g, v FROM t"),
    ("both", POSITIVE, "SELECT id, v FROM t UNION ALL SELECT g AS id, w AS v FROM u WHERE g > 90"),
    ("single", UNIQUE, "SELECT id, g, v FROM t"),
    ("single_max", UNIQUE, "SELECT id, v, max(v) OVER (PARTITION BY g) AS m FROM t"),
    ("known", KNOWN, "SELECT id, g, v FROM t WHERE v > 0 AND v < 15"),
    (
        "known_parts",
        "io: { key: [g], partition_by: [g], incremental: strict }\nexpect: [{ references: { columns: [g], to: u }, on_failure: quarantine }]",
        "SELECT g, sum(v) AS v FROM t GROUP BY g",
    ),
    (
        "logged",
        "io: { mode: append, incremental: auto }\nexpect: [{ references: { columns: [g], to: u }, on_failure: quarantine }]",
        "SELECT id, g FROM t",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_remaining_rows_are_those_of_a_rebuild() {
    let rows = numbers(T, &[[1, 1, 10], [2, 1, 20], [3, 2, -5], [4, 3, 40], [5, 1, 11]]);
    let lab = Rebuilt::new(&[("t", rows), ("u", numbers(U, &[[1, 100], [2, 200]]))]).await;
    let project = lab.project(STAGES);
    let known = |outcomes: &std::collections::BTreeMap<String, super::rebuilt::Outcome>, stage: &str| {
        outcomes[stage].as_ref().unwrap().len()
    };
    let first = lab.check(&project, "first").await;
    assert_eq!((known(&first, "positive"), known(&first, "logged")), (4, 4));

    // The missing reference is inserted, and another is deleted.
    lab.append("u", numbers(U, &[[3, 300]])).await;
    let come = lab.check(&project, "the reference comes").await;
    assert_eq!((known(&come, "known_parts"), known(&come, "logged")), (3, 5));
    lab.delete("u", "g = 2").await;
    lab.check(&project, "another reference goes").await;

    // A row with the key of a quarantined row, then an invalid row with the key of a valid one.
    lab.append("t", numbers(T, &[[3, 2, 33]])).await;
    lab.check(&project, "a valid row next to an invalid one").await;
    lab.delete("t", "v = -5").await;
    lab.check(&project, "the bad one goes").await;
    lab.append("t", numbers(T, &[[1, 1, -7]])).await;
    lab.update("t", "id = 2", "v", "21").await;
    lab.check(&project, "an invalid row next to a valid one").await;
    lab.delete("t", "v = -7").await;
    let gone = lab.check(&project, "the bad one goes again").await;
    assert_eq!((known(&gone, "single"), known(&gone, "single_max")), (5, 5));

    // Two valid rows with one key.
    lab.append("t", numbers(T, &[[5, 3, 12]])).await;
    let twice = lab.check(&project, "two rows of a key").await;
    assert_eq!(twice["positive"], Err("WL0657".to_owned()));
    assert_eq!(known(&twice, "single"), 4);
    lab.delete("t", "id = 5 AND v = 11").await;
    let once = lab.check(&project, "one of them").await;
    assert_eq!(known(&once, "single"), 5);
    lab.windlass.stop().await;
}
