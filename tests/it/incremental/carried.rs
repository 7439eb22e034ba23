//! Rows that one row of an input becomes, found again by that row's key.

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use windlass_shared::artifact::{PlanText, Strategy};
use windlass_shared::config::SessionSettings;

use super::one_source::{OneSource, Stage, has, summary};
use crate::delta_read::tables::{array, batch};

/// `shelves` calls a key what is none: books share shelves.
const STAGES: &[Stage] = &[
    ("pages", "key: [id]", "SELECT id, text FROM source"),
    ("shelves", "key: [shelf], incremental: off", "SELECT id % 2 AS shelf, text FROM source"),
    ("words", "key: [page, word]", "SELECT id AS page, unnest(string_to_array(text, ' ')) AS word FROM pages"),
    ("labels", "key: [shelf, word]", "SELECT shelf, unnest(string_to_array(text, ' ')) AS word FROM shelves"),
];

/// Runs the pipeline. The steps of the two stages that unnest come back, if they are row by row.
async fn unnested(library: &OneSource) -> [Vec<String>; 2] {
    let run = library.run().await;
    let steps = async |name: &str| match summary(&run, name).strategy {
        Some(Strategy::RowWise) => library.steps(&run, name, PlanText::Physical).await,
        _ => Vec::new(),
    };
    [steps("words").await, steps("labels").await]
}

fn pages(rows: &[(i64, &str)]) -> RecordBatch {
    batch(vec![
        ("id", array(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id)))),
        ("text", array(StringArray::from_iter_values(rows.iter().map(|(_, text)| *text)))),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_the_key_that_they_carry_if_it_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = pages(&[(1, "a b"), (2, "c d"), (3, "e f"), (4, "g h"), (5, "i j")]);
    let partition_bytes = SessionSettings::default().partition_bytes;
    let library = OneSource::new(dir.path(), "source", vec![first], STAGES, partition_bytes).await;
    unnested(&library).await;

    let check = |[words, labels]: [Vec<String>; 2]| {
        // What the old text had become is not computed again…
        assert!(has(&words, "ambiguous") && !has(&words, "keys"), "{words:?}");
        // … unless a row that did not change has the same key.
        assert!(has(&labels, "ambiguous") && has(&labels, "keys"), "{labels:?}");
    };
    library.update("id = 3", "text", "'e k l'").await;
    check(unnested(&library).await);

    library.delete("id = 2").await;
    check(unnested(&library).await);

    library.update("id = 1", "text", "'m'").await;
    library.append(pages(&[(6, "n o"), (7, "p")])).await;
    check(unnested(&library).await);
    library.windlass.stop().await;
}
