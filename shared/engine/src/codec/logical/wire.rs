//! The codec that encodes a scan as a name and columns, and decodes it to the session's table.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::{
    AggregateUDF, Expr, Extension, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableType, WindowUDF,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use parking_lot::Mutex;
use windlass_base::suggest::did_you_mean;

use super::PlanWireError;

/// The tables that scans read, by name.
pub(super) type Tables = HashMap<String, Arc<dyn TableProvider>>;

/// A table with columns only. It cannot be read.
#[derive(Debug)]
pub(super) struct NamedTable {
    pub(super) schema: SchemaRef,
}

#[async_trait]
impl TableProvider for NamedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::NotImplemented(
            "a plan that was sent is read by the session that it was sent to".to_owned(),
        ))
    }
}

/// The functions that a plan calls, by name.
#[derive(Debug, Default)]
pub(super) struct Functions {
    scalar: HashMap<String, Arc<ScalarUDF>>,
    higher_order: HashMap<String, Arc<HigherOrderUDF>>,
    aggregate: HashMap<String, Arc<AggregateUDF>>,
    window: HashMap<String, Arc<WindowUDF>>,
}

impl Functions {
    /// Those of `plan`.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Self, PlanWireError> {
        let mut functions = Self::default();
        let walked = plan.apply_with_subqueries(|node| {
            node.apply_expressions(|root| {
                root.apply(|expr| {
                    functions.add(expr);
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        });
        walked.map_err(PlanWireError::Engine)?;
        Ok(functions)
    }

    fn add(&mut self, expr: &Expr) {
        match expr {
            Expr::ScalarFunction(call) => {
                self.scalar.insert(call.func.name().to_owned(), Arc::clone(&call.func));
            }
            Expr::HigherOrderFunction(call) => {
                self.higher_order.insert(call.func.name().to_owned(), Arc::clone(&call.func));
            }
            Expr::AggregateFunction(call) => {
                self.aggregate.insert(call.func.name().to_owned(), Arc::clone(&call.func));
            }
            Expr::WindowFunction(call) => match &call.fun {
                WindowFunctionDefinition::AggregateUDF(function) => {
                    self.aggregate.insert(function.name().to_owned(), Arc::clone(function));
                }
                WindowFunctionDefinition::WindowUDF(function) => {
                    self.window.insert(function.name().to_owned(), Arc::clone(function));
                }
            },
            _ => {}
        }
    }
}

/// The codec. Without tables a scan is decoded to a name and columns.
#[derive(Debug, Default)]
pub(super) struct WireCodec {
    tables: Option<Tables>,
    functions: Functions,
    /// The first error. The engine converts errors inside expressions to texts.
    failure: Mutex<Option<PlanWireError>>,
}

impl WireCodec {
    /// A codec that keeps scans as names and columns, and has `functions` in addition to those of the session.
    pub(super) fn with_functions(functions: Functions) -> Self {
        Self { functions, ..Self::default() }
    }

    /// A codec that reads `tables`.
    pub(super) fn over(tables: Tables) -> Self {
        Self { tables: Some(tables), ..Self::default() }
    }

    /// Converts the engine's `error`: returns the error of this codec, if it had one.
    pub(super) fn explain(&self, error: DataFusionError) -> PlanWireError {
        self.failure.lock().take().unwrap_or(PlanWireError::Engine(error))
    }

    fn fail<T>(&self, error: PlanWireError) -> Result<T> {
        let text = error.to_string();
        self.failure.lock().get_or_insert(error);
        Err(DataFusionError::Plan(text))
    }

    fn function<F>(&self, known: &HashMap<String, Arc<F>>, name: &str) -> Result<Arc<F>> {
        match known.get(name) {
            Some(function) => Ok(Arc::clone(function)),
            None => self.fail(PlanWireError::NoFunction { function: name.to_owned() }),
        }
    }
}

impl LogicalExtensionCodec for WireCodec {
    fn try_decode(&self, _buf: &[u8], _inputs: &[LogicalPlan], _ctx: &TaskContext) -> Result<Extension> {
        Err(DataFusionError::NotImplemented("nodes of extensions cannot be received".to_owned()))
    }

    fn try_encode(&self, node: &Extension, _buf: &mut Vec<u8>) -> Result<()> {
        Err(DataFusionError::NotImplemented(format!("the node `{}` cannot be sent", node.node.name())))
    }

    fn try_decode_table_provider(
        &self,
        _buf: &[u8],
        table_ref: &TableReference,
        schema: SchemaRef,
        _ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        let Some(tables) = &self.tables else { return Ok(Arc::new(NamedTable { schema })) };
        let name = table_ref.table();
        let Some(provider) = tables.get(name) else {
            return self.fail(PlanWireError::Undeclared { table: name.to_owned() });
        };
        with_columns_of(name, provider, &schema).or_else(|error| self.fail(error))
    }

    fn try_encode_table_provider(
        &self,
        _table_ref: &TableReference,
        _node: Arc<dyn TableProvider>,
        _buf: &mut Vec<u8>,
    ) -> Result<()> {
        // The name and the columns are sent anyway.
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, _buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.function(&self.functions.scalar, name)
    }

    fn try_decode_higher_order_function(&self, name: &str, _buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.function(&self.functions.higher_order, name)
    }

    fn try_decode_udaf(&self, name: &str, _buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.function(&self.functions.aggregate, name)
    }

    fn try_decode_udwf(&self, name: &str, _buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.function(&self.functions.window, name)
    }
}

/// `provider` with exactly the columns of `wanted`, in their order. Columns added to the table since are omitted, so
/// that a plan that reads all columns always reads the same ones.
pub(super) fn with_columns_of(
    name: &str,
    provider: &Arc<dyn TableProvider>,
    wanted: &SchemaRef,
) -> Result<Arc<dyn TableProvider>, PlanWireError> {
    let found = provider.schema();
    let mut columns = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        columns.push(column(name, &found, field)?);
    }
    if columns.iter().copied().eq(0..found.fields().len()) {
        return Ok(Arc::clone(provider));
    }
    let source = provider_as_source(Arc::clone(provider));
    let plan = LogicalPlanBuilder::scan(TableReference::bare(name), source, Some(columns))
        .and_then(LogicalPlanBuilder::build)
        .map_err(PlanWireError::Engine)?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The index of a plan's column in the table.
fn column(table: &str, found: &SchemaRef, wanted: &Field) -> Result<usize, PlanWireError> {
    let Some((index, field)) = found.column_with_name(wanted.name()) else {
        let names = found.fields().iter().map(|field| field.name().as_str());
        return Err(PlanWireError::NoColumn {
            table: table.to_owned(),
            column: wanted.name().clone(),
            help: did_you_mean(wanted.name(), "its columns are", names),
        });
    };
    if plain(field.data_type()) == plain(wanted.data_type()) {
        return Ok(index);
    }
    Err(PlanWireError::ColumnType {
        table: table.to_owned(),
        column: wanted.name().clone(),
        found: field.data_type().to_string(),
        wanted: wanted.data_type().to_string(),
    })
}

/// The type independent of its in-memory representation, which may differ between sources.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => &DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => &DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        other => other,
    }
}
