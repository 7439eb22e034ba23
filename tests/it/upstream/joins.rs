//! Joins with keys that treat nulls as equal and keys that do not.

use super::Correct::Rows;
use super::fault;

const O: &str = "CREATE TABLE o AS SELECT * FROM (VALUES (1, 10), (2, 20), (3, NULL)) AS t(id, v)";

#[tokio::test]
async fn null_equality_of_one_key_applies_to_all_keys() {
    let sql = "SELECT a.id FROM o AS a JOIN o AS b ON a.id IS NOT DISTINCT FROM b.id WHERE a.v = b.v ORDER BY a.id";
    let found = fault(&[O], sql, Rows("1|2")).await;
    assert_eq!(found.unwrap(), "1|2|3");
}
