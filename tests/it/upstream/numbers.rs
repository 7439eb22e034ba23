//! Numeric overflow, and decimal literals compared with decimals.

use super::Correct::{Error, Rows};
use super::fault;

const N: &str = "CREATE TABLE n AS SELECT * FROM (VALUES (9223372036854775807), (1)) AS t(x)";
const D: &str = "CREATE TABLE d AS SELECT arrow_cast(x, 'Decimal128(38, 0)') AS x FROM (VALUES \
     ('60000000000000000000000000000000000000'), ('60000000000000000000000000000000000000')) AS t(x)";

#[tokio::test]
async fn integer_arithmetic_wraps_around() {
    let found = fault(&[N], "SELECT x + 1 AS y FROM n WHERE x > 1", Error("WL0373")).await;
    assert_eq!(found.unwrap(), "-9223372036854775808");
}

#[tokio::test]
async fn integer_sums_wrap_around() {
    let found = fault(&[N], "SELECT sum(x) AS s FROM n", Error("WL0373")).await;
    assert_eq!(found.unwrap(), "-9223372036854775808");
}

#[tokio::test]
async fn decimals_exceed_the_precision_of_their_type() {
    for sql in ["SELECT x + x AS y FROM d", "SELECT sum(x) AS s FROM d"] {
        fault(&[D], sql, Error("WL0373")).await.unwrap();
    }
}

/// A decimal literal is a float, which is converted to a decimal of many digits.
#[tokio::test]
async fn a_decimal_literal_is_read_as_a_float() {
    let p = "CREATE TABLE p AS SELECT arrow_cast('99999.99', 'Decimal128(10, 2)') AS c";
    let found = fault(&[p], "SELECT c FROM p WHERE c = 99999.99", Rows("99999.99")).await;
    assert_eq!(found.unwrap(), "");
}
