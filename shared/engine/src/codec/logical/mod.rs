//! Logical plans to bytes and back, without the tables that they read.
//!
//! ```text
//! LogicalPlan ─named_scans→ scans with only a name and columns ─encode→ bytes ─wire→ decode with the session's tables → LogicalPlan
//! ```
//!
//! The engine would encode the provider of a table: a list of files, an empty table, the plan of a view. Here a scan is
//! encoded as a name and columns, and reads the table that the decoding session has under that name, so that a run
//! reads what it has pinned. [`encode_plan`] decodes what it has encoded and compares, so what the encoding would lose
//! is refused by name, when the author can still change it.

mod compare;
mod decode;
mod error;
mod limits;
mod named_scans;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::logical_plan_to_bytes_with_extension_codec;

pub use error::PlanWireError;
use wire::{Functions, WireCodec};

/// An encoded plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WirePlan {
    /// The engine's bytes.
    pub bytes: Vec<u8>,
    /// The tables that the plan reads, sorted.
    pub reads: Vec<String>,
    /// The parameters that it uses, sorted, without the `$`.
    pub params: Vec<String>,
}

/// Encodes a plan. It must be a query; the providers of its tables make no difference.
///
/// # Errors
/// [`PlanWireError`] if the plan is not a query, or contains something that the encoding would change.
pub fn encode_plan(plan: &LogicalPlan) -> Result<WirePlan, PlanWireError> {
    named_scans::check(plan)?;
    let plan = named_scans::with_named_scans(plan)?;
    let bytes = logical_plan_to_bytes_with_extension_codec(&plan, &WireCodec::default())
        .map_err(|error| PlanWireError::refused(&error))?;
    let functions = Functions::of(&plan)?;
    let arrived = decode::decode_unbound(&bytes, &datafusion::execution::TaskContext::default(), functions)?;
    compare::same(&plan, &arrived)?;
    Ok(WirePlan {
        reads: named_scans::tables(&plan)?.into_iter().collect(),
        params: params(&plan)?,
        bytes: bytes.to_vec(),
    })
}

/// Decodes the plan in `bytes`, over the tables of the session. `reads` and `params` are the tables and parameters that
/// its header names; it must not use any others.
///
/// # Errors
/// [`PlanWireError`] if the bytes are not a query, or do not match the tables and functions of the session.
pub async fn decode_plan(
    bytes: &[u8],
    context: &SessionContext,
    reads: &BTreeSet<&str>,
    declared: &BTreeSet<&str>,
) -> Result<LogicalPlan, PlanWireError> {
    let task = context.task_ctx();
    let sent = decode::decode_unbound(bytes, &task, Functions::default())?;
    named_scans::check(&sent)?;
    let params = params(&sent)?;
    if let Some(param) = params.iter().find(|param| !declared.contains(param.as_str())) {
        return Err(PlanWireError::UndeclaredParam { param: param.clone() });
    }
    let mut tables = wire::Tables::default();
    for (name, columns) in named_scans::scans(&sent)? {
        if !reads.contains(name.as_str()) {
            return Err(PlanWireError::Undeclared { table: name });
        }
        let reference = datafusion::common::TableReference::bare(name.as_str());
        let provider = context.table_provider(reference).await.map_err(PlanWireError::Engine)?;
        for columns in columns {
            wire::with_columns_of(&name, &provider, &columns)?;
        }
        tables.insert(name, Arc::clone(&provider));
    }
    let plan = decode::over(bytes, &task, tables)?;
    if params.is_empty() { Ok(plan) } else { decode::typed(plan) }
}

/// The names of the placeholders, sorted, without the `$`.
fn params(plan: &LogicalPlan) -> Result<Vec<String>, PlanWireError> {
    let names = plan.get_parameter_names().map_err(PlanWireError::Engine)?;
    let mut named = BTreeSet::new();
    for name in names {
        let param = name.strip_prefix('$').unwrap_or(&name);
        if param.parse::<u64>().is_ok() || param.is_empty() || param.starts_with('?') {
            return Err(PlanWireError::Refused {
                what: format!("the placeholder `{name}`"),
                help: "name it, such as `$since`, and declare the parameter in the project",
            });
        }
        named.insert(param.to_owned());
    }
    Ok(named.into_iter().collect())
}
