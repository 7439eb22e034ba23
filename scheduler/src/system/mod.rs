//! The system tables in questions: `SELECT … FROM windlass.runs`. docs/system-tables.md describes them.
//!
//! ```text
//! the question's plan over tables without rows (unread) ─→ which runs each scan can use (demand)
//!     ─choose by the ids and times of runs (choice)→ bundles and turns, read side by side (read) ─→ tables with rows
//! ```
//!
//! The plan is made twice: what its optimizer has moved to a scan holds for all rows that the question can use, so a table
//! that has only these gives the same answer.

mod choice;
mod demand;
mod read;
#[cfg(test)]
mod tests;
mod unread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use windlass_base::coded;
use windlass_base::ids::NodeName;
use windlass_engine::session::{SessionError, register_tables, schema_of};
use windlass_evidence::bundle::{BundleReader, RecordError};
use windlass_evidence::system::{SYSTEM_SCHEMA, SystemTable};

use self::choice::Candidates;
use self::demand::Demand;
use self::read::{Batches, read_runs, read_turns};
use self::unread::Unread;
use crate::Scheduler;
use crate::home::Home;
use crate::record::BundleStore;
use crate::state::StateError;

/// Why the system tables cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The runs, or the turns of maintenance, cannot be listed.
    #[error("the runs of the home cannot be listed")]
    Record(#[from] RecordError),
    /// The state store does not tell which runs are active.
    #[error("the active runs cannot be listed")]
    State(#[from] StateError),
    /// A table cannot be registered.
    #[error(transparent)]
    Session(#[from] SessionError),
}

coded! {
    SystemError {
        Record => inner;
        State => inner;
        Session => inner;
    }
}

/// Registers the tables `asked` without rows, for the plan that tells what is needed of them.
///
/// # Errors
/// [`SystemError::Session`] if the engine refuses one.
pub(crate) fn register_unread(context: &SessionContext, asked: &BTreeSet<SystemTable>) -> Result<(), SystemError> {
    let table = |table: &SystemTable| -> (String, Arc<dyn TableProvider>) {
        (table.as_str().to_owned(), Arc::new(Unread { table: *table, schema: schema(*table) }))
    };
    Ok(register_tables(context, SYSTEM_SCHEMA, asked.iter().map(table).collect())?)
}

/// Registers the tables `asked` with the rows that the question can use, which is `optimized` over tables of
/// [`register_unread`]; with all rows if there is no such plan.
///
/// # Errors
/// [`SystemError`] if the runs cannot be listed. A run that cannot be read is no error.
pub(crate) async fn register_read(
    scheduler: &Scheduler,
    home: &Home,
    context: &SessionContext,
    asked: &BTreeSet<SystemTable>,
    optimized: Option<&LogicalPlan>,
) -> Result<(), SystemError> {
    let demands = match optimized {
        Some(plan) => demand::demands(plan),
        None => asked.iter().map(|table| Demand::all(*table)).collect(),
    };
    let bundles = BundleStore::open(scheduler.sessions.stores(), home.root())?;
    let state = context.state();
    let (of_turns, of_runs): (BTreeSet<SystemTable>, BTreeSet<SystemTable>) =
        asked.iter().copied().partition(|table| *table == SystemTable::Maintenance);
    let mut batches = Batches::default();
    if demands.iter().any(|demand| of_runs.contains(&demand.table)) {
        let reader = BundleReader::new(Arc::new(bundles.clone()));
        let leases = scheduler.state.leases("pipelines/").await?;
        let live = leases.into_iter().filter(|lease| lease.in_force).filter_map(|lease| lease.holder.run_id).collect();
        let runs = Candidates::new(reader.run_ids().await?);
        let choices: BTreeMap<_, _> =
            of_runs.iter().map(|table| (*table, runs.choose(&state, &schema(*table), *table, &demands))).collect();
        read_runs(&reader, &live, &runs, choices, &mut batches).await?;
    }
    if demands.iter().any(|demand| of_turns.contains(&demand.table)) {
        let turns = Candidates::new(bundles.maintenance_turns().await?);
        let table = SystemTable::Maintenance;
        let choice = turns.choose(&state, &schema(table), table, &demands);
        read_turns(&bundles, &turns, &choice, &mut batches).await?;
    }
    let mut tables = Vec::with_capacity(asked.len());
    for table in asked {
        let rows = MemTable::try_new(schema(*table), vec![batches.take(*table)]);
        let rows: Arc<dyn TableProvider> = Arc::new(rows.map_err(|source| refused(*table, source))?);
        tables.push((table.as_str().to_owned(), rows));
    }
    Ok(register_tables(context, SYSTEM_SCHEMA, tables)?)
}

/// The columns of a table, as the engine has them.
fn schema(table: SystemTable) -> SchemaRef {
    let columns = table.columns().into_iter().map(|column| (column.name.to_owned(), column.contract_type()));
    schema_of(&columns.collect::<Vec<_>>())
}

fn refused(table: SystemTable, source: DataFusionError) -> SessionError {
    SessionError::Register { table: NodeName::new(format!("{SYSTEM_SCHEMA}.{}", table.as_str())), source }
}
