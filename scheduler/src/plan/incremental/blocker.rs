//! What stands against an incremental run of a stage.

use std::fmt;

use datafusion::error::DataFusionError;

/// The part of a query through which changes cannot be followed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// The operator, as a reader of the query knows it, such as `LIMIT` or `the aggregate max(price)`.
    pub operator: String,
    /// Why changes cannot be followed through it.
    pub reason: String,
}

impl Blocker {
    pub(super) fn new(operator: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { operator: operator.into(), reason: reason.into() }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operator, self.reason)
    }
}

/// Why no plan came out.
#[derive(Debug)]
pub enum TraceError {
    /// The query cannot be followed.
    Blocked(Blocker),
    /// The engine refused a plan that was built.
    Engine(DataFusionError),
}

impl From<DataFusionError> for TraceError {
    fn from(error: DataFusionError) -> Self {
        Self::Engine(error)
    }
}

pub(super) fn blocked<T>(operator: impl Into<String>, reason: impl Into<String>) -> Result<T, TraceError> {
    Err(TraceError::Blocked(Blocker::new(operator, reason)))
}

/// `None` where the way is blocked: there may be another.
pub(super) fn unless_blocked<T>(outcome: Result<T, TraceError>) -> Result<Option<T>, DataFusionError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(TraceError::Blocked(_)) => Ok(None),
        Err(TraceError::Engine(error)) => Err(error),
    }
}
