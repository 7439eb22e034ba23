//! The statistics in the log against those computed from the rows, and readers that prune by them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_project::spec::table::WriteMode;

use super::lab::Lab;

/// Writes the rows of `sql` as one file and returns its statistics.
async fn stats_of(lab: &Lab, sql: &str, properties: &[(&str, &str)]) -> Value {
    let rows = lab.rows(sql).await;
    let mut definition = lab.define("t", rows.schema());
    definition.properties = properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let state = lab.ensure(&definition).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
    lab.commit(&lab.request(&state, staged, 1)).await;
    let actions = lab.newest_actions("t").await;
    serde_json::from_str(actions["add"][0]["stats"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_and_null_counts_of_scalars() {
    let lab = Lab::on_disk();
    let stats = stats_of(
        &lab,
        "SELECT * FROM (VALUES
            (1, true,  'b',  CAST(-0.5 AS DOUBLE), DATE '2024-02-29', CAST('-12345678901234567890.123' AS DECIMAL(38,3)), CAST(NULL AS INT)),
            (5, NULL,  NULL, CAST(2.25 AS DOUBLE), DATE '1969-12-31', CAST(0.001 AS DECIMAL(38,3)),                    NULL),
            (3, false, 'a',  NULL,                 NULL,              CAST('99999999999999999999.999' AS DECIMAL(38,3)), NULL)
         ) AS t(id, flag, name, ratio, day, amount, nothing)
         UNION ALL SELECT 4, NULL, NULL, NULL, NULL, NULL, NULL",
        &[],
    )
    .await;
    let decimal = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        stats,
        json!({
            "numRecords": 4,
            "minValues": {
                "id": 1, "flag": false, "name": "a", "ratio": -0.5, "day": "1969-12-31",
                "amount": decimal("-12345678901234567890.123"),
            },
            "maxValues": {
                "id": 5, "flag": true, "name": "b", "ratio": 2.25, "day": "2024-02-29",
                "amount": decimal("99999999999999999999.999"),
            },
            "nullCount": { "id": 0, "flag": 2, "name": 2, "ratio": 2, "day": 2, "amount": 1, "nothing": 4 },
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_are_rounded_away_from_the_values() {
    let lab = Lab::on_disk();
    let stats = stats_of(
        &lab,
        "SELECT i AS id, arrow_cast(i, 'Timestamp(Microsecond, Some(\"UTC\"))') AS instant,
                arrow_cast(i, 'Timestamp(Microsecond, None)') AS local
         FROM (VALUES (-1), (1000001), (2000)) AS t(i)",
        &[],
    )
    .await;
    assert_eq!(stats["minValues"]["instant"], "1969-12-31T23:59:59.999Z");
    assert_eq!(stats["maxValues"]["instant"], "1970-01-01T00:00:01.001Z");
    assert_eq!(stats["minValues"]["local"], "1969-12-31T23:59:59.999");
    assert_eq!(stats["maxValues"]["local"], "1970-01-01T00:00:01.001");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_are_cut_so_that_the_bounds_hold() {
    let lab = Lab::on_disk();
    let stats = stats_of(&lab, "SELECT 1 AS id, repeat('ä', 500) AS s, repeat('\u{10FFFF}', 300) AS top", &[]).await;
    let (min, max) = (stats["minValues"]["s"].as_str().unwrap(), stats["maxValues"]["s"].as_str().unwrap());
    let value = "ä".repeat(500);
    assert!(min.len() < 100 && max.len() < 100, "{min} {max}");
    assert!(min <= value.as_str() && value.as_str() <= max, "{min} {max}");
    assert!(stats["minValues"]["top"].is_string());
    assert_eq!(stats["maxValues"].get("top"), None, "a text that cannot be cut upwards has no maximum");
}

#[tokio::test(flavor = "multi_thread")]
async fn floats_with_nan_have_no_bounds_and_infinities_none_on_their_side() {
    let lab = Lab::on_disk();
    let stats = stats_of(
        &lab,
        "SELECT id, CAST(a AS DOUBLE) AS a, arrow_cast(b, 'Float32') AS b, named_struct('c', CAST(a AS DOUBLE)) AS s
         FROM (VALUES (1, 'NaN', '1.5'), (2, '1', 'Infinity')) AS t(id, a, b)",
        &[],
    )
    .await;
    assert_eq!(stats["minValues"], json!({ "id": 1, "b": 1.5 }));
    assert_eq!(stats["maxValues"], json!({ "id": 2 }));
    assert_eq!(stats["nullCount"], json!({ "id": 0, "a": 0, "b": 0, "s": { "c": 0 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_columns_have_the_statistics_of_their_scalars() {
    let lab = Lab::on_disk();
    let stats = stats_of(
        &lab,
        "SELECT value AS id,
                CASE WHEN value > 1 THEN named_struct('a', nullif(value, 3), 'in', named_struct('b', 'x' || value)) END AS s,
                CASE WHEN value > 2 THEN make_array(value) END AS list,
                CASE WHEN value > 3 THEN map(make_array('k'), make_array(value)) END AS m,
                arrow_cast('bytes', 'Binary') AS bytes
         FROM generate_series(1, 4)",
        &[],
    )
    .await;
    assert_eq!(stats["minValues"], json!({ "id": 1, "s": { "a": 2, "in": { "b": "x2" } } }));
    assert_eq!(stats["maxValues"], json!({ "id": 4, "s": { "a": 4, "in": { "b": "x4" } } }));
    let nulls = json!({ "id": 0, "s": { "a": 2, "in": { "b": 1 } }, "list": 2, "m": 3, "bytes": 0 });
    assert_eq!(stats["nullCount"], nulls);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_leaf_columns_are_covered() {
    let lab = Lab::on_disk();
    let columns: Vec<String> = (0..40).map(|i| format!("{i} AS c{i}")).collect();
    let sql = format!("SELECT 1 AS id, {}", columns.join(", "));
    let stats = stats_of(&lab, &sql, &[]).await;
    assert_eq!(stats["minValues"].as_object().unwrap().len(), 32);
    let lab = Lab::on_disk();
    let stats = stats_of(&lab, &sql, &[("delta.dataSkippingNumIndexedCols", "2")]).await;
    assert_eq!(stats["nullCount"], json!({ "id": 0, "c0": 0 }));
    let lab = Lab::on_disk();
    let stats = stats_of(&lab, &sql, &[("delta.dataSkippingNumIndexedCols", "-1")]).await;
    assert_eq!(stats["nullCount"].as_object().unwrap().len(), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_prune_find_every_row() {
    let lab = Lab::on_disk();
    let rows = lab
        .rows(
            "SELECT value AS id, value % 97 AS n, 'key ' || lpad(CAST(value AS VARCHAR), 80, '0') AS k,
                    CAST(value AS DECIMAL(20, 2)) / 4 AS d,
                    arrow_cast(value * 333333, 'Timestamp(Microsecond, Some(\"UTC\"))') AS t,
                    CAST(CASE WHEN value = 500 THEN 'NaN' ELSE '' || value END AS DOUBLE) AS f
             FROM generate_series(0, 999) ORDER BY id",
        )
        .await;
    let state = lab.ensure(&lab.define("t", rows.schema())).await.unwrap();
    let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 10).await).await.unwrap();
    assert_eq!(staged.files(), 10);
    lab.commit(&lab.request(&state, staged, 1)).await;
    let cases = BTreeMap::from([
        ("id = 555", 1),
        ("id BETWEEN 190 AND 209", 20),
        ("n = 96", 10),
        ("k >= 'key ' || lpad('990', 80, '0')", 10),
        ("k = 'key ' || lpad('100', 80, '0')", 1),
        ("d = 124.75", 1),
        ("t = TIMESTAMP '1970-01-01T00:00:33.299967Z'", 0),
        ("t >= TIMESTAMP '1970-01-01T00:05:32.999667Z'", 1),
        ("f > 998", 2),
        ("f < 2", 2),
        ("id IS NULL", 0),
    ]);
    for (condition, count) in cases {
        let found = lab.select("t", None, condition, &rows.schema()).await.num_rows();
        assert_eq!(found, count, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_counts_survive_an_append_of_partitioned_rows() {
    let lab = Lab::on_disk();
    let rows = lab.rows("SELECT value AS id, value % 2 AS p, nullif(value, 2) AS v FROM generate_series(1, 4)").await;
    let mut definition = lab.define("t", rows.schema());
    definition.partition_by = vec!["p".to_owned()];
    lab.write(&definition, &rows, WriteMode::Append, 1).await;
    let mut stats: Vec<Value> = lab.newest_actions("t").await["add"]
        .iter()
        .map(|add| {
            json!([add["partitionValues"]["p"], serde_json::from_str::<Value>(add["stats"].as_str().unwrap()).unwrap()])
        })
        .collect();
    stats.sort_by_key(ToString::to_string);
    let even = json!({ "numRecords": 2, "minValues": { "id": 2, "v": 4 }, "maxValues": { "id": 4, "v": 4 },
                       "nullCount": { "id": 0, "v": 1 } });
    let odd = json!({ "numRecords": 2, "minValues": { "id": 1, "v": 1 }, "maxValues": { "id": 3, "v": 3 },
                      "nullCount": { "id": 0, "v": 0 } });
    assert_eq!(stats, [json!(["0", even]), json!(["1", odd])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn floats_are_counted_through_nested_nulls_and_zeros_lose_their_sign() {
    let lab = Lab::on_disk();
    let stats = stats_of(
        &lab,
        "SELECT id, z, CASE WHEN id > 1 THEN named_struct('f', arrow_cast(f, 'Float32')) END AS s
         FROM (VALUES (1, CAST('0.0' AS DOUBLE), 5.5), (2, CAST('-0.0' AS DOUBLE), 0.1), (3, NULL, NULL)) AS t(id, z, f)",
        &[],
    )
    .await;
    assert_eq!(stats["minValues"].to_string(), r#"{"id":1,"z":0.0,"s":{"f":0.1}}"#);
    assert_eq!(stats["maxValues"].to_string(), r#"{"id":3,"z":0.0,"s":{"f":0.1}}"#);
    assert_eq!(stats["nullCount"], json!({ "id": 0, "z": 1, "s": { "f": 2 } }));
}
