//! Row addresses: the file of each row and its position in there, as two more columns of a scan.
//!
//! The file is a partition value, the position a virtual column of the Parquet reader. The engine's encoding of plans
//! has no virtual columns, so the position travels as a partition column behind the others and turns back on arrival.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::parquet::arrow::RowNumber;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};

/// The column of an addressed scan that holds the path of each row's file, as the log names it.
pub const ROW_FILE: &str = "__wl_file";
/// The column of an addressed scan that holds each row's position in its file, from 0.
pub const ROW_POSITION: &str = "__wl_row";

/// `schema` and the columns of an address.
pub(super) fn schema_with(schema: &Schema) -> SchemaRef {
    let address = [
        Arc::new(Field::new(ROW_FILE, DataType::Utf8, false)),
        Arc::new(Field::new(ROW_POSITION, DataType::Int64, false)),
    ];
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(address).collect::<Vec<_>>()))
}

/// `scanned` and the columns of an address; `None` if it has columns of these names.
pub(super) fn scanned_with(scanned: &TableSchema) -> Option<TableSchema> {
    let taken = |name: &str| scanned.table_schema().index_of(name).is_ok();
    if taken(ROW_FILE) || taken(ROW_POSITION) {
        return None;
    }
    let file: FieldRef = Arc::new(Field::new(ROW_FILE, DataType::Utf8, false));
    let partitions = scanned.table_partition_cols().iter().cloned().chain([file]);
    Some(
        TableSchema::builder(Arc::clone(scanned.file_schema()))
            .with_table_partition_cols(partitions.collect::<Vec<_>>())
            .with_virtual_columns(vec![position_field()])
            .build(),
    )
}

/// The position as the Parquet reader is asked for it.
fn position_field() -> FieldRef {
    Arc::new(Field::new(ROW_POSITION, DataType::Int64, false).with_extension_type(RowNumber))
}

/// These columns of `scanned`, the position as a plain number.
pub(super) fn projection(columns: &[usize], scanned: &TableSchema) -> ProjectionExprs {
    let first_virtual = scanned.schema_without_virtual_columns().fields().len();
    let projected = columns.iter().map(|index| {
        let name = scanned.table_schema().field(*index).name();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, *index));
        // A cast drops the mark by which the reader knows the column, so that it does not spread through plans.
        let column = match *index < first_virtual {
            true => column,
            false => Arc::new(CastExpr::new(column, DataType::Int64, None)),
        };
        ProjectionExpr::new(column, name.clone())
    });
    ProjectionExprs::new(projected.collect::<Vec<_>>())
}

/// Whether `parquet` gives positions.
pub fn has_positions(parquet: &ParquetSource) -> bool {
    !parquet.table_schema().virtual_columns().is_empty()
}

/// `parquet` with the position as its last partition column: the columns keep their places.
///
/// # Errors
/// The engine's, if the source does not take its projection again.
pub fn with_plain_position(parquet: &ParquetSource) -> Result<ParquetSource> {
    let schema = parquet.table_schema();
    let partitions = schema.table_partition_cols().iter().chain(schema.virtual_columns()).cloned();
    let plain = TableSchema::builder(Arc::clone(schema.file_schema()))
        .with_table_partition_cols(partitions.collect::<Vec<_>>())
        .build();
    over(parquet, plain)
}

/// `parquet`, which [`with_plain_position`] has made, with the position as what it is.
///
/// # Errors
/// If the last partition column does not stand for positions, or the source does not take its projection again.
pub fn arrived(parquet: &ParquetSource) -> Result<ParquetSource> {
    let schema = parquet.table_schema();
    let mut partitions = schema.table_partition_cols().to_vec();
    if partitions.pop().is_none_or(|last| last.name() != ROW_POSITION) {
        return internal_err!("a scan with row addresses came back without the column `{ROW_POSITION}`");
    }
    let arrived = TableSchema::builder(Arc::clone(schema.file_schema()))
        .with_table_partition_cols(partitions)
        .with_virtual_columns(vec![position_field()])
        .build();
    over(parquet, arrived)
}

/// `parquet` over another schema with columns of the same names in the same places.
fn over(parquet: &ParquetSource, schema: TableSchema) -> Result<ParquetSource> {
    let mut source = ParquetSource::new(schema).with_table_parquet_options(parquet.table_parquet_options().clone());
    if let Some(readers) = parquet.parquet_file_reader_factory() {
        source = source.with_parquet_file_reader_factory(Arc::clone(readers));
    }
    if let Some(predicate) = parquet.filter() {
        source = source.with_predicate(predicate);
    }
    let Some(projection) = parquet.projection() else { return Ok(source) };
    let projected = source.try_pushdown_projection(projection)?;
    projected
        .as_ref()
        .and_then(|source| source.downcast_ref::<ParquetSource>())
        .cloned()
        .ok_or_else(|| internal_datafusion_err!("a Parquet source does not take a projection"))
}
