//! The functions that Windlass adds to SQL, and the registry that holds them.

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

/// The functions that every session has besides the engine's own, on the scheduler and on every executor alike.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    /// Functions of a row.
    pub scalar: Vec<Arc<ScalarUDF>>,
    /// Functions of a group of rows.
    pub aggregate: Vec<Arc<AggregateUDF>>,
    /// Functions of a window of rows.
    pub window: Vec<Arc<WindowUDF>>,
}

impl Functions {
    /// The functions that Windlass brings along.
    pub fn standard() -> Self {
        Self::default()
    }

    /// These functions and one more of a row; one of the same name is replaced.
    pub fn with_scalar(mut self, function: ScalarUDF) -> Self {
        self.scalar.retain(|other| other.name() != function.name());
        self.scalar.push(Arc::new(function));
        self
    }
}
