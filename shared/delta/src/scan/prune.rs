//! Which files a query's filters leave.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::files::DataFiles;
use super::known_rows::rows_that_meet;

/// Whether `filter` asks for partition values alone, so that it holds for all rows of a file or for none.
pub(super) fn is_about_partitions(filter: &Expr, partition_columns: &[String]) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty()
        && columns.iter().all(|column| partition_columns.contains(&column.name))
        && !filter.is_volatile()
        && !has_subquery(filter)
}

fn has_subquery(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    filter
        .exists(|expr| {
            Ok(matches!(
                expr,
                Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(_, _)
            ))
        })
        .unwrap_or(true)
}

/// The files that may hold rows for which all `filters` are true: exactly those, for filters about partitions.
pub(super) fn prune(
    state: &dyn Session,
    files: &DataFiles,
    schema: &SchemaRef,
    partition_columns: &[String],
    filters: &[Expr],
) -> Result<Vec<usize>> {
    let (partition, data): (Vec<Expr>, Vec<Expr>) =
        filters.iter().cloned().partition(|filter| is_about_partitions(filter, partition_columns));
    let rows = partition_rows(files, schema, partition_columns)?;
    let mut keep = vec![false; files.len()];
    rows_that_meet(state, &partition, &rows)?.into_iter().for_each(|file| keep[file] = true);
    for filter in data {
        // A filter that the statistics cannot answer is no error: the scan reads, and the query filters.
        let Ok(filter) = DFSchema::try_from(Arc::clone(schema)).and_then(|df| state.create_physical_expr(filter, &df))
        else {
            continue;
        };
        let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(filter);
        let Ok(predicate) = predicate else { continue };
        if let Ok(matching) = predicate.prune(&files.statistics) {
            keep.iter_mut().zip(matching).for_each(|(keep, matches)| *keep &= matches);
        }
    }
    Ok(keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(file, _)| file).collect())
}

/// Partition values as rows, one a file.
fn partition_rows(files: &DataFiles, schema: &SchemaRef, partition_columns: &[String]) -> Result<RecordBatch> {
    let fields = partition_columns
        .iter()
        .map(|name| Ok(schema.field_with_name(name)?.clone().with_nullable(true)))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(files.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), files.partitions.clone(), &options)?)
}
