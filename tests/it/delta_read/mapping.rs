//! Column mapping: logical names over files with physical ones.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use datafusion::prelude::{col, lit};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_base::config::SessionSettings;
use windlass_project::spec::source::PinAt;

use super::cluster_like::{pinned, provider, scan_all, scanned_files, sessions, sessions_with, with_table};
use super::tables::{Log, add, array, metadata, protocol, rows_of, write_parquet};

/// A field of a mapped Delta schema.
fn mapped(name: &str, physical: &str, id: i32, data_type: Value) -> Value {
    json!({"name": name, "type": data_type, "nullable": true, "metadata": {
        "delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical,
    }})
}

/// A field of a file, with its Parquet field id.
fn stored(name: &str, id: i32, data_type: &DataType) -> FieldRef {
    let id = [("PARQUET:field_id".to_owned(), id.to_string())];
    Arc::new(Field::new(name, data_type.clone(), true).with_metadata(id.into()))
}

fn file(columns: Vec<(FieldRef, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn structs(fields: Vec<(FieldRef, ArrayRef)>) -> StructArray {
    let (fields, arrays): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    StructArray::new(Fields::from(fields), arrays, None)
}

/// One row per value: a number, a struct, a list of structs and a map to structs, all under physical names.
fn nested(values: &[i32]) -> RecordBatch {
    let int = DataType::Int32;
    let ints = || array(Int32Array::from(values.to_vec()));
    let inner = |id| structs(vec![(stored("p-x", id, &int), ints()), (stored("p-gone", id + 1, &int), ints())]);
    let ones = || OffsetBuffer::from_lengths(values.iter().map(|_| 1));
    let element = Arc::new(Field::new("element", inner(20).data_type().clone(), true));
    let list = ListArray::new(element, ones(), Arc::new(inner(20)), None);
    let keys = array(StringArray::from_iter_values(values.iter().map(|value| format!("k{value}"))));
    let entries = structs(vec![
        (Arc::new(Field::new("key", DataType::Utf8, false)), keys),
        (Arc::new(Field::new("value", inner(30).data_type().clone(), true)), array(inner(30))),
    ]);
    let entry = Arc::new(Field::new("key_value", entries.data_type().clone(), false));
    let map = MapArray::new(entry, ones(), entries, None, false);
    let ids = array(Int64Array::from_iter_values(values.iter().map(|value| i64::from(*value))));
    file(vec![
        (stored("p-id", 1, &DataType::Int64), ids),
        (stored("p-struct", 2, inner(10).data_type()), array(inner(10))),
        (stored("p-list", 3, list.data_type()), array(list)),
        (stored("p-map", 4, map.data_type()), array(map)),
        // Dropped from the table; a column of the same name was added later.
        (stored("again", 5, &int), ints()),
    ])
}

pub(crate) fn write_table(folder: &Path, mode: &str) {
    let inner = |id| {
        json!({"type": "struct", "fields": [
            mapped("x", "p-x", id, json!("integer")),
            mapped("added", "p-added", id + 2, json!("string")),
        ]})
    };
    // The engine adds no fields to the values of maps.
    let value = json!({"type": "struct", "fields": [
        mapped("x", "p-x", 30, json!("integer")),
        mapped("y", "p-gone", 31, json!("integer")),
    ]});
    let fields = [
        mapped("id", "p-id", 1, json!("long")),
        mapped("point", "p-struct", 2, inner(10)),
        mapped("points", "p-list", 3, json!({"type": "array", "elementType": inner(20), "containsNull": true})),
        mapped(
            "by key",
            "p-map",
            4,
            json!({
                "type": "map", "keyType": "string", "valueType": value, "valueContainsNull": true,
            }),
        ),
        mapped("again", "p-again", 6, json!("integer")),
        mapped("region", "p-region", 7, json!("string")),
    ];
    let mut actions =
        vec![protocol(&["columnMapping"]), metadata(&fields, &["region"], &json!({"delta.columnMapping.mode": mode}))];
    for (name, region, values) in [("a.parquet", "north", [1, 2, 3]), ("b.parquet", "south", [40, 50, 60])] {
        write_parquet(&folder.join(name), &[nested(&values)]);
        let stats = json!({
            "numRecords": 3, "minValues": {"p-id": values[0]}, "maxValues": {"p-id": values[2]}, "nullCount": {"p-id": 0},
        });
        actions.push(add(name, &json!({"p-region": region}), &stats, &folder.join(name)));
    }
    Log::new(folder).commit(&actions);
}

#[tokio::test]
async fn nested_columns_are_found_by_physical_name_and_by_id() {
    for mode in ["name", "id"] {
        let folder = TempDir::new().unwrap();
        write_table(folder.path(), mode);
        let sessions = sessions(2);
        let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
        let rows = rows_of(&scan_all(&sessions, &provider(&sessions, &table)).await, table.schema());
        assert_eq!(rows.len(), 6, "{mode}");
        insta::allow_duplicates! { insta::assert_snapshot!(rows[..2].join("\n"), @r#"
    1 | {x: 1, added: NULL} | [{x: 1, added: NULL}] | {k1: {x: 1, y: 1}} | NULL | north
    2 | {x: 2, added: NULL} | [{x: 2, added: NULL}] | {k2: {x: 2, y: 2}} | NULL | north
    "#); }
    }
}

#[tokio::test]
async fn filters_and_pruning_go_by_logical_names() {
    for (mode, parquet_pushdown) in [("name", true), ("name", false), ("id", true), ("id", false)] {
        let folder = TempDir::new().unwrap();
        write_table(folder.path(), mode);
        let sessions = sessions_with(SessionSettings { parquet_pushdown, ..SessionSettings::default() });
        let table = pinned(&sessions, folder.path(), PinAt::Latest).await;
        let state = sessions.context().unwrap().state();
        let scan = provider(&sessions, &table).scan(&state, None, &[col("id").gt(lit(10i64))], None).await.unwrap();
        assert_eq!(scanned_files(&scan), ["b.parquet"]);
        let ctx = with_table(&sessions, folder.path()).await;
        for (sql, expected) in [
            ("SELECT id FROM t WHERE id > 2 AND id < 50", vec!["3", "40"]),
            ("SELECT id FROM t WHERE region = 'north' AND id <> 1", vec!["2", "3"]),
            ("SELECT id FROM t WHERE point['x'] = 60", vec!["60"]),
            ("SELECT points[1]['x'] FROM t WHERE id = 50", vec!["50"]),
            ("SELECT id FROM t WHERE again IS NOT NULL", vec![]),
            ("SELECT count(*) FROM t WHERE again IS NULL AND point['added'] IS NULL", vec!["6"]),
        ] {
            let rows = ctx.sql(sql).await.unwrap().collect().await.unwrap();
            let rows = rows.first().map_or_else(Vec::new, |first| rows_of(&rows, &first.schema()));
            assert_eq!(rows, expected, "{sql}, mode {mode}, pushdown {parquet_pushdown}");
        }
    }
}
