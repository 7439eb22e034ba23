//! Rows derived from one input row, found by that row's key.

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use windlass_base::config::SessionSettings;
use windlass_client::RunOptions;
use windlass_evidence::artifact::{PlanText, RunRecord};
use windlass_project::strategy::Strategy;

use super::one_source::{OneSource, Stage, has, summary};
use crate::delta_read::tables::{array, batch};

/// Another program adds a second text to one of the `shelves`.
const STAGES: &[Stage] = &[
    ("pages", "key: [id]", "SELECT id, text FROM source"),
    ("shelves", "key: [shelf], incremental: off", "SELECT id AS shelf, text FROM source"),
    ("words", "key: [page, word]", "SELECT id AS page, unnest(string_to_array(text, ' ')) AS word FROM pages"),
    ("labels", "key: [shelf, word]", "SELECT shelf, unnest(string_to_array(text, ' ')) AS word FROM shelves"),
];

/// The steps of a stage in a run, if it was computed row by row.
async fn steps(library: &OneSource, run: &RunRecord, name: &str) -> Vec<String> {
    match summary(run, name).strategy {
        Some(Strategy::RowWise) => library.steps(run, name, PlanText::Physical).await,
        _ => Vec::new(),
    }
}

fn texts(key: &str, rows: &[(i64, &str)]) -> RecordBatch {
    batch(vec![
        (key, array(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id)))),
        ("text", array(StringArray::from_iter_values(rows.iter().map(|(_, text)| *text)))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_the_key_that_they_carry_if_it_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = texts("id", &[(1, "a b"), (2, "c d"), (3, "e f"), (4, "g h"), (5, "i j")]);
    let partition_bytes = SessionSettings::default().partition_bytes;
    let library = OneSource::new(dir.path(), "source", vec![first], STAGES, partition_bytes).await;
    library.run().await;

    // The rows of the old text are not recomputed…
    let check = async || {
        let run = library.run().await;
        for stage in ["words", "labels"] {
            let steps = steps(&library, &run, stage).await;
            assert!(has(&steps, "ambiguous") && !has(&steps, "keys"), "{stage}: {steps:?}");
        }
    };
    library.update("id = 3", "text", "'e k l'").await;
    check().await;
    library.delete("id = 2").await;
    check().await;
    library.update("id = 1", "text", "'m'").await;
    library.append(texts("id", &[(6, "n o"), (7, "p")])).await;
    check().await;

    // … unless an unchanged row has the same key.
    library.append_to("shelves", texts("shelf", &[(3, "x y")])).await;
    library.delete_from("shelves", "shelf = 5").await;
    let only = RunOptions { select: vec!["labels".to_owned()], ..RunOptions::default() };
    let run = library.run_with(&only).await;
    let steps = steps(&library, &run, "labels").await;
    assert!(has(&steps, "ambiguous") && has(&steps, "keys"), "{steps:?}");
    let labels = "SELECT shelf, unnest(string_to_array(text, ' ')) AS word FROM shelves";
    assert_eq!(library.rows("SELECT * FROM labels").await, library.rows(labels).await);
    library.windlass.stop().await;
}
