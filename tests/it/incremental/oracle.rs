//! The expected content of the tables: the stages' SQL in one process over the current sources. The engine is plain
//! DataFusion, unless the sources hold floats that are equal in one place and not in another: which of them are one
//! value is Windlass's own rule (docs/values.md), so a session of ours applies it, and rows are stored as its tables
//! store them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::datasource::ViewTable;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use windlass_base::config::SessionSettings;
use windlass_delta::values::normalised;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;

use super::pipeline::{Pipeline, Wish};
use super::tables::{Rows, plain_session};

/// The rows that each stage's table must have since the stage's last run.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) tables: BTreeMap<String, Rows>,
}

impl Expected {
    /// The stages `ran`, in any order, over the sources as they are now and the tables of the others as they were. Returns
    /// the rows that every stage would have, those that did not run included.
    pub(super) async fn advance(&mut self, pipeline: &Pipeline, ran: &[String]) -> BTreeMap<String, Rows> {
        let ctx = if pipeline.odd_floats { session_of_ours() } else { plain_session() };
        let mut computed = BTreeMap::new();
        for source in &pipeline.sources {
            ctx.register_table(source.relation.name.as_str(), source.rows().await.table()).unwrap();
        }
        for stage in &pipeline.stages {
            let name = stage.name.as_str();
            let held = !stage.view && !ran.contains(&stage.name);
            let Ok(frame) = ctx.sql(&stage.sql()).await else {
                // A stage that has not run yet has no readers that have run.
                assert!(stage.view || held, "{} cannot be planned:\n{}", name, stage.sql());
                continue;
            };
            if stage.view {
                ctx.register_table(name, Arc::new(ViewTable::new(frame.into_unoptimized_plan(), None))).unwrap();
                continue;
            }
            let plan = frame.create_physical_plan().await.unwrap();
            let schema = plan.schema();
            let mut batches = collect(plan, ctx.task_ctx()).await.unwrap();
            if pipeline.odd_floats {
                batches = batches.iter().map(stored).collect();
            }
            let rows = Rows { schema, batches };
            if !held {
                self.tables.insert(name.to_owned(), rows.clone());
            }
            if let Some(rows) = self.tables.get(name) {
                ctx.register_table(name, rows.table()).unwrap();
            }
            computed.insert(name.to_owned(), rows);
        }
        computed
    }
}

fn session_of_ours() -> SessionContext {
    let settings = SessionSettings { target_partitions: 1, ..SessionSettings::default() };
    Sessions::new(settings, Functions::standard()).unwrap().context().unwrap()
}

fn stored(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| normalised(column).unwrap()).collect();
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// What is wrong with the key of some rows: two of them have it, or it is null where the stage does not allow that.
pub(super) fn broken_key(rows: &Rows, key: &[String], wish: Wish) -> Option<String> {
    let mut seen = BTreeSet::new();
    for batch in &rows.batches {
        let columns: Vec<_> = key.iter().map(|name| batch.column_by_name(name).unwrap()).collect();
        for row in 0..batch.num_rows() {
            if wish != Wish::Off && columns.iter().any(|column| column.is_null(row)) {
                return Some("a key is null".to_owned());
            }
            let values: Vec<String> =
                columns.iter().map(|column| array_value_to_string(column, row).unwrap()).collect();
            if seen.contains(&values) {
                return Some(format!("two rows have the key {values:?}"));
            }
            seen.insert(values);
        }
    }
    None
}

/// How the rows of a table differ from those expected; none if they do not.
pub(super) fn difference(expected: &[String], actual: &[String]) -> Option<String> {
    if expected == actual {
        return None;
    }
    let without = |of: &[String], other: &[String]| {
        let mut left: BTreeMap<&String, i64> = BTreeMap::new();
        of.iter().for_each(|row| *left.entry(row).or_default() += 1);
        other.iter().for_each(|row| *left.entry(row).or_default() -= 1);
        let left = left.into_iter().filter(|(_, count)| *count > 0);
        left.map(|(row, count)| format!("    {count} × {row}\n")).take(12).collect::<String>()
    };
    Some(format!(
        "{} rows, expected {}\n  missing:\n{}  too many:\n{}",
        actual.len(),
        expected.len(),
        without(expected, actual),
        without(actual, expected)
    ))
}
