//! Why a plan cannot be sent, or is invalid for its receiver.

use datafusion::error::DataFusionError;
use windlass_base::coded;

/// Why a plan cannot be sent, or is invalid for its receiver.
#[derive(Debug, thiserror::Error)]
pub enum PlanWireError {
    /// Something that a plan stage must not contain.
    #[error("the plan contains {what}, which the plan of a stage must not")]
    Refused {
        /// What it is.
        what: String,
        /// What to do about it.
        help: &'static str,
    },
    /// The engine cannot encode a part of the plan.
    #[error("the plan cannot be sent: {reason}")]
    NotSendable {
        /// The engine's message.
        reason: String,
    },
    /// The plan would change on the way.
    #[error("the plan cannot be sent: {what} would be lost")]
    Lost {
        /// What would change.
        what: String,
    },
    /// The plan is nested too deeply to be decoded.
    #[error("the plan is too deep to be sent")]
    TooDeep,
    /// The bytes are not a plan.
    #[error("the plan cannot be read: {reason}")]
    Unreadable {
        /// Why.
        reason: String,
    },
    /// The plan reads more than its header names.
    #[error("the plan reads `{table}`, which `reads` does not name")]
    Undeclared {
        /// The table.
        table: String,
    },
    /// The plan uses a parameter that its header does not name.
    #[error("the plan takes the parameter `${param}`, which `params` does not name")]
    UndeclaredParam {
        /// The parameter.
        param: String,
    },
    /// A table lacks a column.
    #[error("the plan reads the column `{column}` of `{table}`, which has no such column")]
    NoColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The existing columns.
        help: Option<String>,
    },
    /// A column has another type.
    #[error("the column `{column}` of `{table}` is {found}, and the plan was made for {wanted}")]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The type that it has.
        found: String,
        /// The type that the plan expects.
        wanted: String,
    },
    /// A function that the session does not have.
    #[error("the plan calls the function `{function}`, which this cluster does not have")]
    NoFunction {
        /// The function.
        function: String,
    },
    /// The plan is inconsistent with the existing tables.
    #[error("the plan does not fit what it reads")]
    Engine(#[source] DataFusionError),
}

impl PlanWireError {
    /// The error of the engine when encoding a plan.
    pub(super) fn refused(error: &DataFusionError) -> Self {
        let reason = error.strip_backtrace();
        let reason = reason.rsplit_once("Proto serialization error: ").map_or(reason.as_str(), |(_, reason)| reason);
        Self::NotSendable { reason: reason.to_owned() }
    }
}

coded! {
    PlanWireError {
        Refused { help } => "WL0354", help;
        NotSendable | Lost => "WL0354", "write this stage in SQL, or the plan without that part";
        TooDeep => "WL0354", "split it: a stage may read what another one computes";
        Unreadable => "WL0355", "write the file again: `StageBuilder::plan` of the client library makes it";
        Engine => "WL0355", "make the plan for the tables as they are";
        Undeclared { table } => "WL0356", format!("add `{table}` to `reads`, or write the file again");
        UndeclaredParam { param } => "WL0356", format!("add `{param}` to `params`, or write the file again");
        NoColumn { help } => "WL0357", help.as_deref().unwrap_or("make the plan for the columns that the table has");
        ColumnType => "WL0357", "make the plan for the type that the column has, and cast it there";
        NoFunction => "WL0358", "register the function in every process, or write the plan without it";
    }
}
