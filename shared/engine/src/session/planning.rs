//! A session for building plans that another process runs.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::prelude::SessionContext;
use windlass_base::config::SessionSettings;
use windlass_base::ids::NodeName;

use super::{SessionError, Sessions};
use crate::function::Functions;

/// A session with tables given by name and columns, and `functions` in addition to the engine's. The tables have no
/// rows here: plans are built over them, and run where the tables are.
///
/// # Errors
/// [`SessionError`] if two functions or tables conflict.
pub fn planning_context(tables: &[(&str, SchemaRef)], functions: Functions) -> Result<SessionContext, SessionError> {
    let context = Sessions::new(SessionSettings::default(), functions)?.context()?;
    for (name, schema) in tables {
        let refused = |source| SessionError::Register { table: NodeName::new(*name), source };
        let table = Arc::new(EmptyTable::new(Arc::clone(schema)));
        if context.register_table(TableReference::bare(*name), table).map_err(refused)?.is_some() {
            let twice = datafusion::error::DataFusionError::Plan("it is given twice".to_owned());
            return Err(refused(twice));
        }
    }
    Ok(context)
}
