//! Keys of a join that take nulls for equal, and keys that do not.

use super::Right::Rows;
use super::fault;

const O: &str = "CREATE TABLE o AS SELECT * FROM (VALUES (1, 10), (2, 20), (3, NULL)) AS t(id, v)";

#[tokio::test]
async fn a_key_of_another_kind_takes_nulls_for_equal_too() {
    let sql = "SELECT a.id FROM o AS a JOIN o AS b ON a.id IS NOT DISTINCT FROM b.id WHERE a.v = b.v ORDER BY a.id";
    let found = fault(&[O], sql, Rows("1|2")).await;
    assert_eq!(found.unwrap(), "1|2|3");
}
