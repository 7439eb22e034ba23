//! Files written again: fewer, without deleted rows, laid out along a curve. The rows stay, and readers see no change.

use windlass_evidence::artifact::MaintenanceKind;
use windlass_project::strategy::Strategy;

use super::history::History;
use super::lab::{Lab, action, of, stage};

/// Two small files are enough to be combined, and nothing is removed.
const EAGER: &str = "optimize: { small_files: 1 }, vacuum: off";

/// Files of a table's newest version.
fn files(lab: &Lab, table: &str) -> usize {
    let history = History::read(&lab.table(table));
    history.data_files(history.newest()).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_become_fewer_and_readers_of_changes_see_none() {
    const SUMS: &str = "SELECT g, sum(v) AS total, count(*) AS n FROM base GROUP BY g";
    for partition_by in ["", "partition_by: [g], "] {
        let base = format!("{partition_by}key: [id], incremental: auto, merge: rewrite");
        let stages =
            [("base", base.as_str(), "SELECT id, g, v FROM t"), ("reader", "key: [g], incremental: auto", SUMS)];
        let lab = Lab::new(EAGER, &stages).await;
        lab.run().await;
        lab.runs([10..20, 20..30, 30..40]).await;
        let before = files(&lab, "base");
        let (base, reader) = (lab.rows("SELECT * FROM base").await, lab.rows("SELECT * FROM reader").await);
        let version = lab.version("base").await;

        let record = lab.turn().await;
        let done = action(&record, "base", MaintenanceKind::Compact).outcome.clone().unwrap();
        let expected = if partition_by.is_empty() { 1 } else { 5 };
        assert!(before >= 4 * expected, "({partition_by}) every run adds a file to each partition: {before}");
        assert_eq!(files(&lab, "base"), expected, "({partition_by}) {:?}", of(&record, "base"));
        assert_eq!(
            (done.files_removed, done.files_added),
            (before as u64, expected as u64),
            "({partition_by}) {done:?}"
        );
        assert_eq!(done.version.map(|made| made.0), Some(version + 1), "({partition_by}) {done:?}");
        let history = History::read(&lab.table("base"));
        let touched = ["add", "remove"].into_iter().flat_map(|kind| history.actions(version + 1, kind));
        let mut touched = touched.peekable();
        assert!(touched.peek().is_some(), "({partition_by}) the commit names no file");
        assert!(touched.all(|action| action["dataChange"] == false), "({partition_by}) the commit changes data");
        assert!(history.actions(version + 1, "cdc").is_empty(), "({partition_by}) the commit has change data");
        assert!(
            history.info(version + 1, "windlass.maintenance").is_some(),
            "({partition_by}) it does not name its turn"
        );
        assert_eq!(lab.rows("SELECT * FROM base").await, base, "({partition_by})");
        assert_eq!(lab.others_rows("base").await, base, "({partition_by}) as another program reads it");

        // The reader has nothing to do but to note how far it is.
        let of_reader = History::read(&lab.table("reader"));
        let run = lab.run().await;
        let strategy =
            run.stages.iter().find(|stage| stage.stage.as_str() == "reader").and_then(|stage| stage.strategy);
        assert_ne!(strategy, Some(Strategy::Full), "({partition_by}) the reader was computed anew");
        let now = History::read(&lab.table("reader"));
        assert_eq!(now.of(now.newest()), of_reader.of(of_reader.newest()), "({partition_by}) the reader wrote rows");
        assert_eq!(lab.rows("SELECT * FROM reader").await, reader, "({partition_by})");

        let record = lab.turn().await;
        let again = action(&record, "base", MaintenanceKind::Compact);
        assert!(!again.due, "({partition_by}) a second turn has something to compact: {again:?}");

        lab.update("id < 4", "v", "v + 1").await;
        let run = lab.run().await;
        let strategy = stage(&run, "reader").strategy;
        assert!(strategy.is_some_and(|strategy| strategy != Strategy::Full), "({partition_by}) {strategy:?}");
        assert_eq!(lab.rows("SELECT * FROM reader").await, lab.rows(SUMS).await, "({partition_by}) after a change");
        lab.windlass.stop().await;
    }
}

/// A stage whose rows are deleted by marking them.
const MARKING: [super::lab::Stage<'static>; 1] =
    [("base", "key: [id], incremental: auto, merge: deletion_vectors", "SELECT id, g, v FROM t")];

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_know_no_deletion_vectors_find_none() {
    let lab = Lab::new("optimize: { small_files: 1000 }, readers: any, vacuum: off", &MARKING).await;
    lab.run().await;
    lab.delete("id = 3").await;
    lab.update("id = 5", "v", "v + 1").await;
    lab.run().await;
    let rows = lab.rows("SELECT * FROM base").await;
    let record = lab.turn().await;
    let table = of(&record, "base");
    assert!(table.before.with_deletion_vector > 0, "the run wrote no deletion vector: {table:?}");
    assert_eq!(table.after.as_ref().map(|after| after.with_deletion_vector), Some(0), "{table:?}");
    assert_eq!(lab.rows("SELECT * FROM base").await, rows);
    assert_eq!(lab.others_rows("base").await, rows, "as another program reads it");
    let again = lab.turn().await;
    assert!(!action(&again, "base", MaintenanceKind::Compact).due, "{again:?}");
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_without_their_deleted_rows_when_those_are_enough() {
    let lab = Lab::new("optimize: { small_files: 1000, deleted_ratio: 0.5 }, vacuum: off", &MARKING).await;
    lab.add(10..100).await;
    lab.run().await;
    lab.delete("id % 10 = 1").await;
    lab.run().await;
    let record = lab.turn().await;
    let few = action(&record, "base", MaintenanceKind::Compact);
    assert!(!few.due, "a tenth of the rows is deleted: {few:?}");
    assert!(of(&record, "base").before.with_deletion_vector > 0, "{record:?}");
    lab.delete("id % 10 < 8").await;
    lab.run().await;
    let record = lab.turn().await;
    let many = action(&record, "base", MaintenanceKind::Compact);
    assert!(many.due && many.outcome.is_some(), "most of the rows are deleted: {many:?}");
    let after = of(&record, "base").after.clone().unwrap();
    assert_eq!(after.with_deletion_vector, 0, "{record:?}");
    assert_eq!(lab.rows("SELECT * FROM base").await, lab.rows("SELECT id, g, v FROM t").await);
    lab.windlass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_laid_out_once_and_new_ones_as_they_come() {
    // Each run adds rows for the newest id: many at first, then few.
    const MANY: &str = "SELECT id * 100000 + n AS id, (n * 48271 + id * 7919) % 65521 AS a, (n * 16807 + id) % 32749 AS b \
                        FROM (SELECT id, unnest(range(0, CASE WHEN id < 10 THEN 60000 ELSE 500 END)) AS n FROM t \
                        WHERE id = (SELECT max(id) FROM t)) AS x";
    const FACTS: &str =
        "SELECT count(*) AS n, sum(id) AS ids, sum(a) AS a, sum(b) AS b, sum(a * (id % 97)) AS m FROM events";
    const IO: &str = "mode: append, target_file_size: 64KiB, maintenance: { optimize: { zorder: [a, b] } }";
    let lab = Lab::new("optimize: { small_files: 1 }, vacuum: off", &[("events", IO, MANY)]).await;
    lab.run().await;
    let folder = lab.table("events");
    let newest = || {
        let history = History::read(&folder);
        history.data_files(history.newest())
    };
    let facts = lab.rows(FACTS).await;
    let is_marked = |name: &String| name.strip_prefix("part-z").is_some_and(|rest| rest.find('-') == Some(8));
    assert!(!newest().iter().any(is_marked), "{:?}", newest());

    let record = lab.turn().await;
    let zorder = action(&record, "events", MaintenanceKind::Zorder);
    assert!(zorder.outcome.as_ref().is_some_and(|outcome| outcome.files_added > 1), "{zorder:?}");
    let laid_out = newest();
    assert!(laid_out.iter().all(is_marked), "files without the mark of the layout: {laid_out:?}");
    assert_eq!(lab.rows(FACTS).await, facts);
    let record = lab.turn().await;
    let again = action(&record, "events", MaintenanceKind::Zorder);
    assert!(!again.due, "what is laid out is laid out again: {again:?}");
    assert_eq!(newest(), laid_out);

    lab.runs([10..11, 11..12]).await;
    let (facts, before) = (lab.rows(FACTS).await, newest());
    assert!(!before.iter().all(is_marked), "the appends added no file");
    let record = lab.turn().await;
    let after = newest();
    assert!(
        after.iter().all(is_marked),
        "new files were not laid out: {:?}",
        action(&record, "events", MaintenanceKind::Zorder)
    );
    assert!(after.intersection(&laid_out).count() > 0, "everything was laid out again: {laid_out:?}, {after:?}");
    assert_eq!(lab.rows(FACTS).await, facts);
    lab.windlass.stop().await;
}
