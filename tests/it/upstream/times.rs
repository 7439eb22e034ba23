//! Times that are compared in nanoseconds.

use super::Right::Rows;
use super::fault;

/// In nanoseconds there is nothing after 2262.
#[tokio::test]
async fn a_date_far_away_cannot_be_compared_with_a_time() {
    let t =
        "CREATE TABLE t AS SELECT arrow_cast(d, 'Date32') AS d FROM (VALUES ('9999-12-31'), ('2020-01-01')) AS t(d)";
    for sql in
        ["SELECT count(*) AS n FROM t WHERE d > now()", "SELECT count(*) AS n FROM t WHERE d = TIMESTAMP '9999-12-31'"]
    {
        // Whether it is refused or wrong is all one.
        let _ = fault(&[t], sql, Rows("1")).await;
    }
}
