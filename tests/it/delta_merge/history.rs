//! Random merges into real tables against a model.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::json::ReaderBuilder;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_delta::commit::CommitReceipt;
use windlass_delta::merge::{MergeCounts, MergeStrategy};
use windlass_delta::table::TableDefinition;
use windlass_project::spec::table::WriteMode;

use super::lab::{define, merge, others_rows, own_rows, small_files};
use crate::delta_read::tables::rows_of;
use crate::delta_write::lab::{Lab, receipt};

#[derive(Debug, Clone, PartialEq)]
struct Row {
    part: Option<u8>,
    name: Option<String>,
    amount: Option<i32>,
    tags: Option<Vec<Option<String>>>,
    place: Option<(Option<i32>, Option<String>)>,
}

/// Rows by id; none is a deleted row.
type Rows = BTreeMap<i64, Option<Row>>;

#[derive(Debug, Clone)]
struct History {
    partitioned: bool,
    first: Rows,
    rounds: Vec<(Rows, bool)>,
}

fn row() -> impl Strategy<Value = Row> {
    let text = || "[a-c]{0,3}";
    (
        option::of(0..3u8),
        option::of(text()),
        option::of(-9999..9999i32),
        option::of(vec(option::of(text()), 0..3)),
        option::of((option::of(any::<i32>()), option::of(text()))),
    )
        .prop_map(|(part, name, amount, tags, place)| Row { part, name, amount, tags, place })
}

fn history() -> impl Strategy<Value = History> {
    let ids = 0..60i64;
    let round = (btree_map(ids.clone(), option::weighted(0.7, row()), 0..25), any::<bool>());
    let first = btree_map(ids, row().prop_map(Some), 0..60);
    (any::<bool>(), first, vec(round, 1..5)).prop_map(|(partitioned, first, rounds)| History {
        partitioned,
        first,
        rounds,
    })
}

fn schema() -> SchemaRef {
    let element = Field::new("element", DataType::Utf8, true);
    let place = vec![Field::new("x", DataType::Int32, true), Field::new("y", DataType::Utf8, true)];
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("part", DataType::Int16, true),
        Field::new("amount", DataType::Decimal128(9, 2), true),
        Field::new("tags", DataType::List(Arc::new(element)), true),
        Field::new("place", DataType::Struct(place.into()), true),
    ]))
}

fn with(schema: &SchemaRef, more: Field) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().cloned().chain([Arc::new(more)]).collect::<Vec<_>>()))
}

/// `rows` as a batch of the table's columns and `gone`.
fn batch(rows: &Rows) -> RecordBatch {
    let schema = with(&schema(), Field::new("gone", DataType::Boolean, true));
    let lines: Vec<Value> = rows
        .iter()
        .map(|(id, row)| match row {
            None => json!({"id": id, "gone": true}),
            Some(row) => json!({
                "id": id, "gone": false, "name": row.name, "part": row.part, "tags": row.tags,
                "amount": row.amount.map(|cents| format!("{}", f64::from(cents) / 100.0)),
                "place": row.place.as_ref().map(|(x, y)| json!({"x": x, "y": y})),
            }),
        })
        .collect();
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).build_decoder().unwrap();
    decoder.serialize(&lines).unwrap();
    decoder.flush().unwrap().unwrap_or_else(|| RecordBatch::new_empty(schema))
}

fn without_gone(batch: &RecordBatch) -> RecordBatch {
    batch.project(&(0..batch.num_columns() - 1).collect::<Vec<_>>()).unwrap()
}

fn texts(rows: &Rows) -> Vec<String> {
    rows_of(&[without_gone(&batch(rows))], &schema())
}

/// What the change feed of a merge must contain: the kind of change and the row.
fn expected_changes(before: &Rows, wanted: &Rows) -> (Vec<String>, MergeCounts) {
    let (mut changes, mut counts) = (Vec::new(), MergeCounts::default());
    let one = |id: i64, row: &Option<Row>| texts(&Rows::from([(id, row.clone())])).remove(0);
    for (id, row) in wanted {
        match (before.get(id), row) {
            (None, None) => {}
            (None, Some(_)) => {
                changes.push(format!("{} | insert", one(*id, row)));
                counts.inserted += 1;
            }
            (Some(old), None) => {
                changes.push(format!("{} | delete", one(*id, old)));
                counts.deleted += 1;
            }
            (Some(old), Some(_)) => {
                changes.push(format!("{} | update_preimage", one(*id, old)));
                changes.push(format!("{} | update_postimage", one(*id, row)));
                counts.updated += 1;
            }
        }
    }
    changes.sort();
    (changes, counts)
}

/// The contents of the change data files of the newest commit.
async fn changes_written(lab: &Lab, partitioned: bool) -> Vec<String> {
    let schema = with(&schema(), Field::new("_change_type", DataType::Utf8, true));
    let mut rows = Vec::new();
    for action in lab.newest_actions("t").await.remove("cdc").unwrap_or_default() {
        assert_eq!(action["dataChange"], false);
        let path = action["path"].as_str().unwrap();
        assert!(path.starts_with("_change_data/"), "{path}");
        let file = std::fs::File::open(lab.path("t").join(path)).unwrap();
        let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<RecordBatch> = read.map(Result::unwrap).collect();
        let mut batch = concat_batches(&batches[0].schema(), &batches).unwrap();
        assert_eq!(batch.column_by_name("part").is_some(), !partitioned);
        if partitioned {
            let value = action["partitionValues"]["part"].as_str();
            let values = StringArray::from(vec![value; batch.num_rows()]);
            let values = cast(&values, &DataType::Int16).unwrap();
            let fields = with(&batch.schema(), Field::new("part", DataType::Int16, true));
            batch = RecordBatch::try_new(fields, batch.columns().iter().cloned().chain([values]).collect()).unwrap();
        }
        rows.extend(rows_of(&[batch], &schema));
    }
    rows.sort();
    rows
}

/// The feed of one version as deltalake reads it.
async fn changes_read(lab: &Lab, version: u64) -> Vec<String> {
    use datafusion::physical_plan::collect;
    use datafusion::prelude::SessionContext;
    let context = SessionContext::new();
    let feed = lab.open("t", None).await.scan_cdf().with_starting_version(version).with_ending_version(version);
    let plan = feed.build(&context.state(), None).await.unwrap();
    let rows = collect(plan, context.task_ctx()).await.unwrap();
    rows_of(&rows, &with(&schema(), Field::new("_change_type", DataType::Utf8, true)))
}

/// Writes the first rows in three files of small row groups.
async fn write_first(lab: &Lab, definition: &TableDefinition, rows: &Rows) -> CommitReceipt {
    let state = lab.ensure(definition).await.unwrap();
    let plan = lab.write_plan(small_files(&state), &without_gone(&batch(rows)), 3).await;
    let staged = lab.run(plan).await.unwrap();
    receipt(lab.commit(&lab.request(&state, staged, 0)).await)
}

async fn check(history: History) {
    let lab = Lab::on_disk();
    let mut definition = define(&lab, schema());
    if history.partitioned {
        definition.partition_by = vec!["part".to_owned()];
    }
    let mut model = history.first;
    write_first(&lab, &definition, &model).await;
    for (run, (wanted, mark)) in (1..).zip(history.rounds) {
        let way = if mark { MergeStrategy::DeletionVectors } else { MergeStrategy::Rewrite };
        let (changes, counts) = expected_changes(&model, &wanted);
        let receipt = merge(&lab, &definition, &batch(&wanted), way, run).await;
        for (id, row) in wanted {
            match row {
                Some(_) => drop(model.insert(id, row)),
                None => drop(model.remove(&id)),
            }
        }
        assert_eq!(own_rows(&lab, &schema()).await, texts(&model));
        assert_eq!(others_rows(&lab, &schema()).await, texts(&model));
        assert_eq!(changes_written(&lab, history.partitioned).await, changes);
        assert_eq!(receipt.merged, Some(counts));
        if !changes.is_empty() {
            assert_eq!(changes_read(&lab, receipt.version.0).await, changes);
        }
        assert_eq!(super::lab::pinned(&lab, "t").await.pin().rows, Some(model.len() as u64));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn merges_match_the_model(history in history()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(check(history));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_survives_both_ways() {
    use crate::delta_write::lab::like_input;
    use crate::delta_write::round_trip::EVERY_TYPE;
    for way in [MergeStrategy::DeletionVectors, MergeStrategy::Rewrite] {
        let lab = Lab::on_disk();
        let all = lab.rows(&EVERY_TYPE.replace("generate_series(0, 99)", "generate_series(0, 149)")).await;
        let definition = define(&lab, all.schema());
        // Every row's values belong to another id first.
        let shifted = EVERY_TYPE.replace("SELECT i AS id", "SELECT (i + 37) % 100 AS id");
        lab.write(&definition, &lab.rows(&shifted).await, WriteMode::Append, 0).await;
        let columns: Vec<usize> = (0..all.num_columns()).collect();
        let rows = all.project(&columns).unwrap();
        let gone = Arc::new(datafusion::arrow::array::BooleanArray::from(vec![false; rows.num_rows()]));
        let fields = with(&rows.schema(), Field::new("gone", DataType::Boolean, true));
        let columns = rows.columns().iter().cloned().chain([gone as _]).collect();
        let wanted = RecordBatch::try_new(fields, columns).unwrap();
        let receipt = merge(&lab, &definition, &wanted, way, 1).await;
        assert_eq!(receipt.merged, Some(MergeCounts { inserted: 50, updated: 100, deleted: 0 }));
        let stored = super::lab::pinned(&lab, "t").await.schema().clone();
        assert_eq!(lab.read("t", &stored).await, like_input(&rows, &stored));
    }
}
