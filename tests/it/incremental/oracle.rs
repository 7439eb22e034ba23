//! What the tables must hold: the stages' SQL by plain DataFusion over the sources as they are now.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::datasource::ViewTable;
use datafusion::physical_plan::collect;

use super::pipeline::Pipeline;
use super::tables::{Rows, plain_session};

/// The rows that each stage's table must have since the stage ran last.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) tables: BTreeMap<String, Rows>,
}

impl Expected {
    /// The stages `ran`, in any order, over the sources as they are now and the tables of the others as they were.
    pub(super) async fn advance(&mut self, pipeline: &Pipeline, ran: &[String]) {
        let ctx = plain_session();
        for source in &pipeline.sources {
            ctx.register_table(source.relation.name.as_str(), source.rows().await.table()).unwrap();
        }
        for stage in &pipeline.stages {
            let name = stage.name.as_str();
            if !stage.view && !ran.contains(&stage.name) {
                // A stage that has not run yet has no readers that have.
                if let Some(rows) = self.tables.get(name) {
                    ctx.register_table(name, rows.table()).unwrap();
                }
                continue;
            }
            let Ok(frame) = ctx.sql(&stage.sql()).await else {
                assert!(stage.view, "{} cannot be planned:\n{}", name, stage.sql());
                continue;
            };
            if stage.view {
                ctx.register_table(name, Arc::new(ViewTable::new(frame.into_unoptimized_plan(), None))).unwrap();
                continue;
            }
            let plan = frame.create_physical_plan().await.unwrap();
            let schema = plan.schema();
            let batches = collect(plan, ctx.task_ctx()).await.unwrap();
            let rows = Rows { schema, batches };
            ctx.register_table(name, rows.table()).unwrap();
            self.tables.insert(name.to_owned(), rows);
        }
    }
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
