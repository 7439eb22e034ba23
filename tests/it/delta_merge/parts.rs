//! What a merge accepts and refuses, and its encoding.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::physical_plan::{ExecutionPlan, collect_partitioned, displayable};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use windlass_base::error::Coded;
use windlass_delta::merge::{
    DeltaMergeExec, MergeCounts, MergeStrategy, StagedMerge, choose_strategy, delta_merge_plan, finish,
};
use windlass_delta::table::TableDefinition;
use windlass_delta::write::StagedFiles;
use windlass_engine::codec::PlanCodec;
use windlass_project::spec::table::{MergeWrite, WriteMode};

use super::lab::{FEED, VECTORS, changes_sql, copies, define, merge, pinned, session, small_files, stage};
use crate::delta_write::lab::Lab;

const ROWS: &str = "SELECT value AS id, value % 2 AS p, 'name ' || value AS name FROM generate_series(1, 20)";

async fn table(lab: &Lab, change: impl Fn(&mut TableDefinition)) -> TableDefinition {
    let rows = lab.rows(ROWS).await;
    let mut definition = define(lab, rows.schema());
    change(&mut definition);
    lab.write(&definition, &rows, WriteMode::Append, 0).await;
    definition
}

/// The plan of a merge of the rows of `sql`, which supplies the columns of a merge's input except those of [`changes`].
async fn plan_of(lab: &Lab, definition: &TableDefinition, sql: &str) -> Arc<dyn ExecutionPlan> {
    let state = lab.ensure(definition).await.unwrap();
    let table = pinned(lab, "t").await;
    let context = session(lab, &table, &lab.rows(sql).await);
    let changes = context.sql(&changes_sql(table.schema())).await.unwrap().create_physical_plan().await.unwrap();
    delta_merge_plan(changes, state.write_spec("people"), true, &lab.context.state()).unwrap()
}

fn over_the_wire(lab: &Lab, plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let codec = PlanCodec::default();
    let node = PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), &codec).unwrap();
    let mut bytes = Vec::new();
    node.try_encode(&mut bytes).unwrap();
    let node = PhysicalPlanNode::try_decode(&bytes).unwrap();
    node.try_into_physical_plan(&lab.context.task_ctx(), &codec).unwrap()
}

async fn run(lab: &Lab, plan: Arc<dyn ExecutionPlan>) -> Result<StagedMerge, String> {
    let reports = collect_partitioned(plan, lab.context.task_ctx()).await;
    let reports = reports.map_err(|error| error.strip_backtrace())?;
    StagedMerge::from_batches(&reports.concat()).map_err(|error| error.to_string())
}

const WANTED: &str = "SELECT value AS id, value % 2 AS p, 'new ' || value AS name, value > 23 OR value < 8 AS gone \
                      FROM generate_series(5, 25)";

#[tokio::test(flavor = "multi_thread")]
async fn it_travels_with_all_that_it_is() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |definition| {
        definition.partition_by = vec!["p".to_owned()];
        definition.constraints.insert("positive".to_owned(), "id > 0".to_owned());
    })
    .await;
    let plan = plan_of(&lab, &definition, WANTED).await;
    let arrived = over_the_wire(&lab, &plan);
    let text = |plan: &Arc<dyn ExecutionPlan>| displayable(plan.as_ref()).indent(true).to_string();
    assert_eq!(text(&arrived), text(&plan));
    let merge = |plan: &Arc<dyn ExecutionPlan>| plan.downcast_ref::<DeltaMergeExec>().unwrap().clone();
    assert_eq!(merge(&arrived).spec(), merge(&plan).spec());
    assert!(merge(&arrived).change_feed());
    let staged = run(&lab, Arc::clone(&arrived)).await.unwrap();
    assert_eq!(staged.counts(), MergeCounts { inserted: 3, updated: 13, deleted: 3 });
    let metrics = arrived.metrics().unwrap().aggregate_by_name();
    let count = |name: &str| metrics.sum_by_name(name).map(|value| value.as_usize());
    assert_eq!((count("rows_written"), count("rows_replaced")), (Some(16), Some(16)));
    assert!(count("change_files_written") > Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_are_checked_against_constraints_and_existing_ones_are_not() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |definition| {
        definition.not_null = vec!["name".to_owned()];
        definition.constraints.insert("small".to_owned(), "id < 100".to_owned());
    })
    .await;
    let refused = |sql: &'static str| {
        let (lab, definition) = (&lab, &definition);
        async move { run(lab, plan_of(lab, definition, sql).await).await.unwrap_err() }
    };
    let error = refused("SELECT 3 AS id, 1 AS p, CAST(NULL AS TEXT) AS name, false AS gone").await;
    assert!(error.contains("WL0426"), "{error}");
    let error = refused("SELECT 100 AS id, 1 AS p, 'x' AS name, false AS gone").await;
    assert!(error.contains("WL0427"), "{error}");
    // A deleted row has no new values.
    let gone = "SELECT 3 AS id, CAST(NULL AS BIGINT) AS p, CAST(NULL AS TEXT) AS name, true AS gone";
    let staged = run(&lab, plan_of(&lab, &definition, gone).await).await.unwrap();
    assert_eq!(staged.counts(), MergeCounts { inserted: 0, updated: 0, deleted: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_do_not_fit_together_are_refused() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |_| {}).await;
    let state = lab.ensure(&definition).await.unwrap();
    let columns = ["id", "p", "name"].map(|name| {
        let null = if name == "name" { "CAST(NULL AS TEXT)" } else { "CAST(NULL AS BIGINT)" };
        format!("{null} AS \"old.{name}\", {null} AS \"new.{name}\"")
    });
    let row = |op: &str, file: &str, row: &str| {
        let (file, row) = (format!("CAST({file} AS TEXT)"), format!("CAST({row} AS BIGINT)"));
        format!("SELECT {op} AS __wl_op, {file} AS __wl_file, {row} AS __wl_row, {}", columns.join(", "))
    };
    let mut printed = Vec::new();
    let twice = format!("{} UNION ALL {}", row("'delete'", "'f'", "3"), row("'update'", "'f'", "3"));
    for sql in [
        twice,
        row("'insert'", "'f'", "3"),
        row("'update'", "NULL", "3"),
        row("'delete'", "'f'", "NULL"),
        row("'delete'", "'f'", "-1"),
        row("'upsert'", "'f'", "1"),
        row("CAST(NULL AS TEXT)", "'f'", "1"),
    ] {
        let input = lab.input(&lab.rows(&sql).await, 1).await;
        let plan = delta_merge_plan(input, state.write_spec("people"), true, &lab.context.state()).unwrap();
        printed.push(run(&lab, plan).await.unwrap_err());
    }
    insta::assert_snapshot!(printed.join("\n"), @r#"
    External error: the changes for the table `people` cannot be merged: row 3 of `f` is replaced twice [WL0441]
    External error: the changes for the table `people` cannot be merged: a row to insert has an address [WL0441]
    External error: the changes for the table `people` cannot be merged: a row to replace has no address [WL0441]
    External error: the changes for the table `people` cannot be merged: a row to replace has no address [WL0441]
    External error: the changes for the table `people` cannot be merged: there is no row -1 in a file [WL0441]
    External error: the changes for the table `people` cannot be merged: `upsert` is not an operation [WL0441]
    External error: the changes for the table `people` cannot be merged: a row has no operation [WL0441]
    "#);
    // With two tasks, it is not seen before the reports are combined.
    let one = |lab: Arc<Lab>, state: windlass_delta::table::TableState, sql: String| async move {
        let input = lab.input(&lab.rows(&sql).await, 1).await;
        let plan = delta_merge_plan(input, state.write_spec("people"), true, &lab.context.state()).unwrap();
        collect_partitioned(plan, lab.context.task_ctx()).await.unwrap().concat()
    };
    let lab = Arc::new(lab);
    let mut reports = one(Arc::clone(&lab), state.clone(), row("'delete'", "'f'", "3")).await;
    reports.extend(one(Arc::clone(&lab), state.clone(), row("'delete'", "'f'", "3")).await);
    let error = StagedMerge::from_batches(&reports).unwrap_err().to_string();
    assert_eq!(error, "the changes for the table cannot be merged: a row of `f` is replaced twice");
    let part = reports[0].slice(0, reports[0].num_rows() - 1);
    assert_eq!(StagedMerge::from_batches(&[part]).unwrap_err().code().to_string(), "WL0432");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_do_not_fit_their_table_are_refused() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |_| {}).await;
    let state = lab.ensure(&definition).await.unwrap();
    let mut printed = Vec::new();
    for sql in [
        "SELECT 1 AS id",
        "SELECT 'insert' AS __wl_op, 1 AS __wl_file, 1 AS __wl_row",
        "SELECT 'insert' AS __wl_op, 'f' AS __wl_file, 1 AS __wl_row, \
         1 AS \"new.id\", 'x' AS \"new.p\", 2 AS \"new.more\"",
        "SELECT 'insert' AS __wl_op, 'f' AS __wl_file, 1 AS __wl_row, \
         1 AS \"new.id\", 1 AS \"new.p\", 'x' AS \"new.name\"",
    ] {
        let input = lab.input(&lab.rows(sql).await, 1).await;
        let error = delta_merge_plan(input, state.write_spec("people"), true, &lab.context.state()).unwrap_err();
        printed.push(format!("{} {error}", error.code()));
    }
    insta::assert_snapshot!(printed.join("\n"), @r#"
    WL0431 the rows to be written do not match the table `people`: the table's column `__wl_op` is missing from the rows
    WL0431 the rows to be written do not match the table `people`: column `__wl_file` is long, but string in the table
    WL0431 the rows to be written do not match the table `people`: column `p` is string, but long in the table; the table's column `name` is missing from the rows; the table has no column `more`
    WL0431 the rows to be written do not match the table `people`: the table's column `id` is missing from the rows; the table's column `p` is missing from the rows; the table's column `name` is missing from the rows
    "#);
    // Without a change feed old values are not needed.
    let sql = "SELECT 'insert' AS __wl_op, CAST(NULL AS TEXT) AS __wl_file, CAST(NULL AS BIGINT) AS __wl_row, \
               1 AS \"new.id\", 1 AS \"new.p\", 'x' AS \"new.name\"";
    let input = lab.input(&lab.rows(sql).await, 1).await;
    let plan = delta_merge_plan(input, state.write_spec("people"), false, &lab.context.state()).unwrap();
    assert_eq!(run(&lab, plan).await.unwrap().counts().inserted, 1);

    let mut reserved = define(&lab, lab.rows("SELECT 1 AS id, 'x' AS _change_type").await.schema());
    reserved.location = lab.location("reserved");
    let error = lab.ensure(&reserved).await.unwrap_err();
    assert_eq!(error.code().to_string(), "WL0421");
    reserved.properties.remove(FEED);
    lab.ensure(&reserved).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_marked_where_few_change_and_the_table_allows_it() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |_| {}).await;
    let state = lab.ensure(&definition).await.unwrap();
    let table = pinned(&lab, "t").await;
    let wanted =
        |ids: &str| format!("SELECT id, p, name, false AS gone FROM ({ROWS}) t(id, p, name) WHERE id IN ({ids})");
    let staged = |sql: String| {
        let (lab, table, state) = (&lab, &table, &state);
        async move { stage(lab, table, &state.write_spec("t"), &lab.rows(&sql).await).await }
    };
    // Files of seven rows.
    let (few, many) = (staged(wanted("3")).await, staged(wanted("3, 4")).await);
    assert_eq!(choose_strategy(MergeWrite::Auto, &table, &few).unwrap(), MergeStrategy::DeletionVectors);
    assert_eq!(choose_strategy(MergeWrite::Auto, &table, &many).unwrap(), MergeStrategy::Rewrite);
    assert_eq!(choose_strategy(MergeWrite::DeletionVectors, &table, &many).unwrap(), MergeStrategy::DeletionVectors);
    assert_eq!(choose_strategy(MergeWrite::Rewrite, &table, &few).unwrap(), MergeStrategy::Rewrite);

    let other = Lab::on_disk();
    let mut definition = define(&other, lab.rows(ROWS).await.schema());
    definition.properties.remove(VECTORS);
    other.write(&definition, &other.rows(ROWS).await, WriteMode::Append, 0).await;
    let state = other.ensure(&definition).await.unwrap();
    let table = pinned(&other, "t").await;
    let few = stage(&other, &table, &state.write_spec("t"), &other.rows(&wanted("3")).await).await;
    for setting in [MergeWrite::Auto, MergeWrite::DeletionVectors, MergeWrite::Rewrite] {
        assert_eq!(choose_strategy(setting, &table, &few).unwrap(), MergeStrategy::Rewrite);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_must_be_the_rows_that_stay() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |_| {}).await;
    let state = lab.ensure(&definition).await.unwrap();
    let table = pinned(&lab, "t").await;
    let wanted = lab.rows("SELECT 3 AS id, 1 AS p, 'x' AS name, false AS gone").await;
    let spec = small_files(&state);
    let staged = stage(&lab, &table, &spec, &wanted).await;
    for copies in [None, Some(StagedFiles::default())] {
        let error = finish(&table, &staged, MergeStrategy::Rewrite, copies, lab.stores()).await.unwrap_err();
        assert!(error.to_string().ends_with("the touched files keep 6 rows, but the merge copied 0"), "{error}");
    }
    let copied = copies(&lab, &table, &spec, &staged).await;
    assert_eq!(copied.as_ref().map(StagedFiles::rows), Some(6));
    let error = finish(&table, &staged, MergeStrategy::DeletionVectors, copied, lab.stores()).await.unwrap_err();
    assert_eq!(error.code().to_string(), "WL0441");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_of_another_version_is_refused() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |_| {}).await;
    let state = lab.ensure(&definition).await.unwrap();
    let wanted = lab.rows("SELECT 3 AS id, 1 AS p, 'x' AS name, false AS gone").await;
    let old = pinned(&lab, "t").await;
    let staged = stage(&lab, &old, &small_files(&state), &wanted).await;
    merge(&lab, &definition, &wanted, MergeStrategy::DeletionVectors, 1).await;
    // The row has been deleted by now, marked in the same file.
    let new = pinned(&lab, "t").await;
    let error = finish(&new, &staged, MergeStrategy::DeletionVectors, None, lab.stores()).await.unwrap_err();
    assert!(error.to_string().ends_with("is replaced that was deleted before"), "{error}");
    merge(&lab, &definition, &wanted, MergeStrategy::Rewrite, 2).await;
    let all = lab.rows("SELECT value AS id, 1 AS p, 'y' AS name, false AS gone FROM generate_series(1, 20)").await;
    merge(&lab, &definition, &all, MergeStrategy::Rewrite, 3).await;
    let newest = pinned(&lab, "t").await;
    let error = finish(&newest, &staged, MergeStrategy::DeletionVectors, None, lab.stores()).await.unwrap_err();
    assert!(error.to_string().contains("version 4 has no file `part-"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_changes_nothing_is_empty() {
    let lab = Lab::on_disk();
    let definition = table(&lab, |_| {}).await;
    let state = lab.ensure(&definition).await.unwrap();
    let table = pinned(&lab, "t").await;
    let nothing: RecordBatch = lab.rows("SELECT 99 AS id, 1 AS p, 'x' AS name, true AS gone").await;
    let staged = stage(&lab, &table, &state.write_spec("t"), &nothing).await;
    assert!(staged.is_empty());
    assert_eq!((staged.touched_files(), staged.bytes(), staged.added().files()), (0, 0, 0));
}
