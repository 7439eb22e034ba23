//! Creating, opening, comparing and refusing tables.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use deltalake::DeltaTable;
use deltalake::protocol::SaveMode;
use futures::future::join_all;
use serde_json::{Value, json};
use windlass_base::error::Coded;
use windlass_delta::table::TableDefinition;
use windlass_project::spec::table::WriteMode;

use super::lab::Lab;

async fn schema(lab: &Lab, sql: &str) -> SchemaRef {
    lab.rows(sql).await.schema()
}

/// The message of the refusal, without the folder of the test.
async fn refusal(lab: &Lab, definition: &TableDefinition) -> String {
    let error = lab.ensure(definition).await.unwrap_err();
    let root = lab.path("").display().to_string();
    format!("[{}] {}", error.code(), error.to_string().replace(root.trim_end_matches('/'), ""))
}

async fn protocol_for(columns: &str, edit: impl FnOnce(&mut TableDefinition)) -> Value {
    let lab = Lab::on_disk();
    let mut definition = lab.define("t", schema(&lab, &format!("SELECT {columns}")).await);
    edit(&mut definition);
    assert!(lab.ensure(&definition).await.unwrap().created);
    lab.newest_actions("t").await.remove("protocol").unwrap().remove(0)
}

fn on(property: &'static str) -> impl FnOnce(&mut TableDefinition) {
    move |definition| {
        definition.properties.insert(property.to_owned(), "true".to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_lowest_protocol_that_its_features_need() {
    assert_eq!(protocol_for("1 AS id", |_| ()).await, json!({ "minReaderVersion": 1, "minWriterVersion": 2 }));
    let append_only = protocol_for("1 AS id", on("delta.appendOnly")).await;
    assert_eq!(append_only, json!({ "minReaderVersion": 1, "minWriterVersion": 2 }));
    let feed = protocol_for("1 AS id", on("delta.enableChangeDataFeed")).await;
    assert_eq!(feed, json!({ "minReaderVersion": 1, "minWriterVersion": 4 }));
    let check = |definition: &mut TableDefinition| {
        definition.constraints.insert("positive".to_owned(), "id > 0".to_owned());
    };
    assert_eq!(protocol_for("1 AS id", check).await, json!({ "minReaderVersion": 1, "minWriterVersion": 3 }));
    let vectors = protocol_for("1 AS id", on("delta.enableDeletionVectors")).await;
    assert_eq!(
        vectors,
        json!({ "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["appendOnly", "deletionVectors", "invariants"] })
    );
    let local_time = "1 AS id, make_array(named_struct('t', TIMESTAMP '2024-01-01T00:00:00')) AS l";
    assert_eq!(
        protocol_for(local_time, on("delta.enableChangeDataFeed")).await,
        json!({ "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["timestampNtz"],
                "writerFeatures": ["appendOnly", "changeDataFeed", "invariants", "timestampNtz"] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tables_metadata_says_what_was_defined() {
    let lab = Lab::on_disk();
    let mut definition = lab.define("t", schema(&lab, "SELECT 1 AS id, 'x' AS name, DATE '2024-01-01' AS day").await);
    definition.partition_by = vec!["day".to_owned()];
    definition.not_null = vec!["name".to_owned()];
    definition.comment = Some("of a test".to_owned());
    definition.properties.insert("owner".to_owned(), "me".to_owned());
    definition.constraints.insert("named".to_owned(), "length(name) > 0".to_owned());
    let state = lab.ensure(&definition).await.unwrap();
    assert_eq!((state.created, state.version.0), (true, 0));
    let actions = lab.newest_actions("t").await;
    let metadata = &actions["metaData"][0];
    assert_eq!(metadata["description"], "of a test");
    assert_eq!(metadata["partitionColumns"], json!(["day"]));
    assert_eq!(metadata["configuration"], json!({ "owner": "me", "delta.constraints.named": "length(name) > 0" }));
    let schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let columns: Vec<Value> =
        schema["fields"].as_array().unwrap().iter().map(|f| json!([f["name"], f["type"], f["nullable"]])).collect();
    assert_eq!(json!(columns), json!([["id", "long", true], ["name", "string", false], ["day", "date", true]]));
    assert_eq!(actions["commitInfo"][0]["windlassStage"], "create");

    let again = lab.ensure(&definition).await.unwrap();
    assert_eq!((again.created, &again.table_id, &again.fingerprint), (false, &state.table_id, &state.fingerprint));
    let spec = again.write_spec("t");
    assert_eq!((spec.partition_by, spec.constraints), (definition.partition_by, definition.constraints));
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_creators_make_one_table() {
    for _ in 0..20 {
        let lab = Arc::new(Lab::on_disk());
        let definition = lab.define("t", schema(&lab, "SELECT 1 AS id").await);
        let racers = (0..8).map(|_| {
            let (lab, definition) = (Arc::clone(&lab), definition.clone());
            tokio::spawn(async move { lab.ensure(&definition).await.unwrap() })
        });
        let states: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(states.iter().filter(|state| state.created).count(), 1);
        assert!(states.iter().all(|state| state.table_id == states[0].table_id));
        assert_eq!(lab.open("t", None).await.version(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_named() {
    let lab = Lab::on_disk();
    let mut definition =
        lab.define("t", schema(&lab, "SELECT 1 AS id, 'x' AS name, make_array(1) AS l, 1 AS gone").await);
    definition.constraints.insert("positive".to_owned(), "id > 0".to_owned());
    lab.ensure(&definition).await.unwrap();
    let mut other =
        lab.define("t", schema(&lab, "SELECT 'a' AS id, 'x' AS name, make_array('b') AS l, 2 AS new").await);
    other.not_null = vec!["name".to_owned()];
    other.partition_by = vec!["name".to_owned()];
    other.constraints.insert("positive".to_owned(), "id > 1".to_owned());
    other.constraints.insert("short".to_owned(), "length(name) < 9".to_owned());
    insta::assert_snapshot!(refusal(&lab, &other).await.replace("; ", "\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_types_are_refused_before_anything_is_written() {
    let lab = Lab::on_disk();
    let mut messages = Vec::new();
    for columns in [
        "count(*)",
        "1 AS a, 2 AS \"A\"",
        "NULL AS n",
        "INTERVAL '1' DAY AS i",
        "named_struct('t', arrow_cast(1, 'Time64(Nanosecond)')) AS s",
        "named_struct('x y', 1) AS s",
        "arrow_cast(1, 'Decimal256(60, 2)') AS d",
        "arrow_cast(1, 'Decimal128(10, -2)') AS d",
    ] {
        let definition = lab.define("t", schema(&lab, &format!("SELECT {columns}")).await);
        messages.push(format!("{columns}\n  {}", refusal(&lab, &definition).await));
    }
    let plain = lab.define("t", schema(&lab, "SELECT 1 AS id, make_array(1) AS l, 'x' AS p").await);
    let mut edits: Vec<(&str, TableDefinition)> = Vec::new();
    let mut edit = |what: &'static str, edit: &dyn Fn(&mut TableDefinition)| {
        let mut definition = plain.clone();
        edit(&mut definition);
        edits.push((what, definition));
    };
    edit("not_null: [nme]", &|d| d.not_null = vec!["nme".to_owned()]);
    edit("partition_by: [l]", &|d| d.partition_by = vec!["l".to_owned()]);
    edit("partition_by: [q]", &|d| d.partition_by = vec!["q".to_owned()]);
    edit("partition_by: [p, p]", &|d| d.partition_by = vec!["p".to_owned(), "p".to_owned()]);
    for (key, value) in [
        ("delta.appendonly", "true"),
        ("delta.appendOnly", "yes"),
        ("delta.checkpointInterval", "0"),
        ("delta.logRetentionDuration", "30 days"),
        ("delta.columnMapping.mode", "name"),
        ("delta.setTransactionRetentionDuration", "interval 1 day"),
        ("delta.constraints.c", "id > 0"),
        ("delta.enableRowTracking", "true"),
    ] {
        let mut definition = plain.clone();
        definition.properties.insert(key.to_owned(), value.to_owned());
        edits.push((key, definition));
    }
    for (what, definition) in edits {
        messages.push(format!("{what}\n  {}", refusal(&lab, &definition).await));
    }
    insta::assert_snapshot!(messages.join("\n"));
    assert!(!lab.path("t").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_other_writers_are_appended_to_or_refused_by_name() {
    let lab = Lab::on_disk();
    let rows = lab.rows("SELECT 1 AS id, 'x' AS name").await;
    let foreign = async |name: &str, configuration: Vec<(&str, &str)>| {
        let folder = lab.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        let table =
            DeltaTable::try_from_url(deltalake::ensure_table_uri(folder.to_str().unwrap()).unwrap()).await.unwrap();
        let configuration = configuration.into_iter().map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
        table
            .write(vec![rows.clone()])
            .with_save_mode(SaveMode::Append)
            .with_configuration(configuration)
            .await
            .unwrap();
    };
    foreign("plain", vec![("delta.enableChangeDataFeed", "true")]).await;
    let more = lab.rows("SELECT 2 AS id, 'y' AS name").await;
    lab.write(&lab.define("plain", rows.schema()), &more, WriteMode::Append, 1).await;
    assert_eq!(lab.read("plain", &rows.schema()).await.num_rows(), 2);

    foreign("forgetful", vec![("delta.setTransactionRetentionDuration", "interval 1 day")]).await;
    foreign("mapped", vec![("delta.columnMapping.mode", "name")]).await;
    let mut messages = Vec::new();
    for name in ["forgetful", "mapped"] {
        messages.push(refusal(&lab, &lab.define(name, rows.schema())).await);
    }
    let log = lab.path("future/_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let metadata = std::fs::read_to_string(lab.path("plain/_delta_log/00000000000000000000.json")).unwrap();
    let metadata = metadata.lines().find(|line| line.contains("metaData")).unwrap();
    let protocol = json!({ "protocol": { "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["typeWidening"],
                           "writerFeatures": ["typeWidening", "rowTracking", "domainMetadata"] } });
    std::fs::write(log.join("00000000000000000000.json"), format!("{protocol}\n{metadata}\n")).unwrap();
    messages.push(refusal(&lab, &lab.define("future", rows.schema())).await);
    insta::assert_snapshot!(messages.join("\n"));
}
