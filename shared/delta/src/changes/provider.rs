//! The changes of a table as the engine scans them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{case, col, is_not_null};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use super::files::{CONSTANT_TYPE, scanned_schema};
use super::range::ChangeKind;
use super::{CHANGE_TYPE, COMMIT_TIMESTAMP, COMMIT_VERSION, Changes};
use crate::scan::file_table::FileTable;
use crate::scan::{DeltaScan, ScanOptions};

/// The scan of all files that hold changes, data files and change data files alike. What happened to a row is a constant of
/// its file or, in change data files, a column of it.
#[derive(Debug)]
pub(super) struct ChangeScan {
    schema: SchemaRef,
    files: DeltaScan,
    types: ChangeTypes,
}

/// Where change types are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangeTypes {
    Constant,
    Recorded,
    Both,
}

impl ChangeScan {
    pub(super) fn new(changes: &Changes, options: ScanOptions) -> Self {
        let schema = Arc::clone(&changes.schema);
        let scanned = scanned_schema(&schema.fields()[..schema.fields().len() - 3]);
        let constants = [CONSTANT_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP].map(str::to_owned);
        let table = FileTable {
            location: changes.location.clone(),
            schema: scanned,
            partition_columns: changes.range.metadata.partition_columns.iter().cloned().chain(constants).collect(),
            mapping: changes.mapping.clone(),
            files: Arc::clone(&changes.files),
        };
        let is_recorded = |kind| kind == ChangeKind::Recorded;
        let mut kinds = changes.range.files.iter().map(|changed| changed.kind);
        let types = match (kinds.clone().any(is_recorded), kinds.all(is_recorded)) {
            (false, _) => ChangeTypes::Constant,
            (true, true) => ChangeTypes::Recorded,
            (true, false) => ChangeTypes::Both,
        };
        Self { schema, files: DeltaScan::new(table, options), types }
    }

    /// The scanned columns that make `column`.
    fn scanned(&self, column: usize) -> Vec<usize> {
        let change_type = self.schema.fields().len() - 3;
        match (column == change_type, self.types) {
            (true, ChangeTypes::Constant) => vec![column + 1],
            (true, ChangeTypes::Recorded) => vec![column],
            (true, ChangeTypes::Both) => vec![column, column + 1],
            (false, _) => vec![if column < change_type { column } else { column + 1 }],
        }
    }

    /// The change type of rows of the scanned columns `schema`.
    fn change_type(&self, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
        match self.types {
            ChangeTypes::Constant => col(CONSTANT_TYPE, schema),
            ChangeTypes::Recorded => col(CHANGE_TYPE, schema),
            ChangeTypes::Both => {
                let recorded = col(CHANGE_TYPE, schema)?;
                let when = vec![(is_not_null(Arc::clone(&recorded))?, recorded)];
                case(None, when, Some(col(CONSTANT_TYPE, schema)?))
            }
        }
    }
}

fn is_about_change_type(filter: &Expr) -> bool {
    filter.column_refs().iter().any(|column| column.name == CHANGE_TYPE)
}

#[async_trait]
impl TableProvider for ChangeScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let scanned: Vec<usize> = wanted.iter().flat_map(|column| self.scanned(*column)).collect();
        let (open, known): (Vec<Expr>, Vec<Expr>) = filters.iter().cloned().partition(is_about_change_type);
        let limit = limit.filter(|_| open.is_empty());
        let files = self.files.scan(state, Some(&scanned), &known, limit).await?;
        let columns = self.schema.project(&wanted)?;
        if !columns.fields().iter().any(|field| field.name() == CHANGE_TYPE) {
            return Ok(files);
        }
        let input = files.schema();
        let expressions = columns
            .fields()
            .iter()
            .map(|field| {
                let expression = match field.name().as_str() {
                    CHANGE_TYPE => self.change_type(&input)?,
                    name => col(name, &input)?,
                };
                Ok((expression, field.name().clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(expressions, files)?))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        filters
            .iter()
            .map(|filter| match is_about_change_type(filter) {
                true => Ok(TableProviderFilterPushDown::Unsupported),
                false => Ok(self.files.supports_filters_pushdown(&[filter])?.remove(0)),
            })
            .collect()
    }

    fn statistics(&self) -> Option<Statistics> {
        let scanned = self.files.statistics()?;
        let mut columns = scanned.column_statistics;
        let recorded = self.schema.fields().len() - 3;
        // Of the two columns that make the change type, the constant is known.
        let constant = columns.remove(recorded + 1);
        *columns.get_mut(recorded)? = match self.types {
            ChangeTypes::Constant => constant,
            ChangeTypes::Recorded | ChangeTypes::Both => ColumnStatistics::new_unknown(),
        };
        Some(Statistics { column_statistics: columns, ..scanned })
    }
}

/// The scans of parts of the changes, one after the other: files that are partitioned in different ways.
#[derive(Debug)]
pub(super) struct ChangeUnion {
    parts: Vec<ChangeScan>,
    schema: SchemaRef,
}

impl ChangeUnion {
    /// The union of `parts`, which have the same columns.
    pub(super) fn new(parts: Vec<ChangeScan>) -> Self {
        let schema = parts.first().map_or_else(|| Arc::new(Schema::empty()), |part| Arc::clone(&part.schema));
        Self { parts, schema }
    }
}

#[async_trait]
impl TableProvider for ChangeUnion {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plans = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            plans.push(part.scan(state, projection, filters, limit).await?);
        }
        UnionExec::try_new(plans)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Each part leaves out files and row groups; the rows are looked at behind the union.
        filters
            .iter()
            .map(|filter| match is_about_change_type(filter) {
                true => Ok(TableProviderFilterPushDown::Unsupported),
                false => Ok(TableProviderFilterPushDown::Inexact),
            })
            .collect()
    }
}
