//! Numbers that do not fit their types, and numbers with a point beside decimals.

use super::Right::{Error, Rows};
use super::fault;

const N: &str = "CREATE TABLE n AS SELECT * FROM (VALUES (9223372036854775807), (1)) AS t(x)";
const D: &str = "CREATE TABLE d AS SELECT arrow_cast(x, 'Decimal128(38, 0)') AS x FROM (VALUES \
     ('60000000000000000000000000000000000000'), ('60000000000000000000000000000000000000')) AS t(x)";

#[tokio::test]
async fn whole_numbers_begin_anew_at_the_other_end() {
    let found = fault(&[N], "SELECT x + 1 AS y FROM n WHERE x > 1", Error("WL0373")).await;
    assert_eq!(found.unwrap(), "-9223372036854775808");
}

#[tokio::test]
async fn sums_begin_anew_at_the_other_end() {
    let found = fault(&[N], "SELECT sum(x) AS s FROM n", Error("WL0373")).await;
    assert_eq!(found.unwrap(), "-9223372036854775808");
}

#[tokio::test]
async fn decimals_get_more_digits_than_their_type_has() {
    for sql in ["SELECT x + x AS y FROM d", "SELECT sum(x) AS s FROM d"] {
        fault(&[D], sql, Error("WL0373")).await.unwrap();
    }
}

/// A number with a point is a float, of which a decimal of many digits is made.
#[tokio::test]
async fn a_number_with_a_point_is_not_the_decimal_that_is_written() {
    let p = "CREATE TABLE p AS SELECT arrow_cast('99999.99', 'Decimal128(10, 2)') AS c";
    let found = fault(&[p], "SELECT c FROM p WHERE c = 99999.99", Rows("99999.99")).await;
    assert_eq!(found.unwrap(), "");
}
