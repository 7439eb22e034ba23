//! Timestamps that are compared in nanoseconds.

use super::Correct::Rows;
use super::fault;

/// Nanoseconds cannot represent times after 2262.
#[tokio::test]
async fn a_date_after_2262_cannot_be_compared_with_a_time() {
    let t =
        "CREATE TABLE t AS SELECT arrow_cast(d, 'Date32') AS d FROM (VALUES ('9999-12-31'), ('2020-01-01')) AS t(d)";
    for sql in
        ["SELECT count(*) AS n FROM t WHERE d > now()", "SELECT count(*) AS n FROM t WHERE d = TIMESTAMP '9999-12-31'"]
    {
        // It may be refused or wrong.
        let _ = fault(&[t], sql, Rows("1")).await;
    }
}
