//! Files whose content is misread.

use std::fs;

use datafusion::prelude::{CsvReadOptions, JsonReadOptions};

use super::{plain, text};

#[tokio::test]
async fn csv_columns_are_read_by_position() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1.csv"), "a,b\n1,2\n").unwrap();
    fs::write(folder.path().join("2.csv"), "b,a\n4,3\n").unwrap();
    let ctx = plain();
    ctx.register_csv("t", folder.path().to_str().unwrap(), CsvReadOptions::new()).await.unwrap();
    let found = text(&ctx.sql("SELECT a, b FROM t ORDER BY a").await.unwrap().collect().await.unwrap());
    assert_ne!(found, "1 2|3 4", "they are taken by their names now: look at decision 0004");
    // Which file the columns are named after is up to the file system.
    assert!(["1 2|4 3", "2 1|3 4"].contains(&found.as_str()), "{found}");
}

/// The type of a column is inferred from the first thousand records.
#[tokio::test]
async fn a_number_after_the_first_thousand_records_is_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.json");
    fs::write(&path, format!("{}{{\"x\":1.9}}\n", "{\"x\":1}\n".repeat(1_000))).unwrap();
    let ctx = plain();
    ctx.register_json("t", path.to_str().unwrap(), JsonReadOptions::default()).await.unwrap();
    let found = text(&ctx.sql("SELECT max(x) AS m FROM t").await.unwrap().collect().await.unwrap());
    assert_ne!(found, "1.9", "all records are looked at now: look at decision 0004");
    assert_eq!(found, "1");
}
