//! Projects built in code, and stages that are plans of the engine.

mod cluster;
mod project;
mod received;
mod sent;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use windlass_client::builder::{ProjectBuilder, Source, planning_context};
use windlass_project::spec::source::FileFormat;

const ORDERS: &str = "id,customer,amount\n1,ada,5\n2,ada,20\n3,bo,30\n4,bo,40\n5,cy,40\n6,,7\n";
const CUSTOMERS: &str = "customer,city\nada,Rome\nbo,Oslo\ndi,Rome\n";

/// Columns, all of which may be null.
fn columns(columns: &[(&str, DataType)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn orders() -> SchemaRef {
    columns(&[("id", DataType::Int64), ("customer", DataType::Utf8), ("amount", DataType::Int64)])
}

fn customers() -> SchemaRef {
    columns(&[("customer", DataType::Utf8), ("city", DataType::Utf8)])
}

/// A session that knows the sources of [`shop`], and `paid`, which has the columns of `orders`.
fn session() -> SessionContext {
    planning_context(&[("orders", orders()), ("customers", customers()), ("paid", orders())]).unwrap()
}

/// The plan of a query, not optimized.
async fn plan(sql: &str) -> LogicalPlan {
    session().sql(sql).await.unwrap().into_unoptimized_plan()
}

/// A project without stages over two files in `dir`.
fn shop(dir: &Path) -> ProjectBuilder {
    fs::write(dir.join("orders.csv"), ORDERS).unwrap();
    fs::write(dir.join("customers.csv"), CUSTOMERS).unwrap();
    let csv = FileFormat::Csv { has_header: true, delimiter: b',' };
    ProjectBuilder::new("shop")
        .dir(dir)
        .source("orders", Source::listing("orders.csv", &csv))
        .source("customers", Source::listing("customers.csv", &csv))
}
