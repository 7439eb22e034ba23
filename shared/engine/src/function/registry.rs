//! The registry of functions: the functions of every session in addition to the engine's.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Signature, WindowUDF};
use serde::{Deserialize, Serialize};

use super::{Languages, stable_id, syntax_nodes};

/// The version of a function that was registered without one.
const FIRST_VERSION: u32 = 1;

/// The functions of every session in addition to the engine's, on the scheduler and on every executor.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    /// Scalar functions.
    pub scalar: Vec<Arc<ScalarUDF>>,
    /// Aggregate functions.
    pub aggregate: Vec<Arc<AggregateUDF>>,
    /// Window functions.
    pub window: Vec<Arc<WindowUDF>>,
    versions: BTreeMap<String, u32>,
}

/// What the session identity contains about a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionRecord {
    /// Its kind.
    pub kind: FunctionKind,
    /// The name in SQL.
    pub name: String,
    /// The version; it changes when the function's results do.
    pub version: u32,
    /// The arguments that it takes.
    pub arguments: Vec<String>,
    /// `immutable`, `stable` or `volatile`.
    pub volatility: String,
}

/// The kind of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FunctionKind {
    /// A row.
    Scalar,
    /// An aggregate function.
    Aggregate,
    /// A window function.
    Window,
}

impl Functions {
    /// The standard functions: `syntax_nodes` over the standard [`Languages`], and `stable_id`.
    pub fn standard() -> Self {
        Self::default()
            .with_scalar(syntax_nodes(Languages::standard()))
            .with_version("syntax_nodes", 2)
            .with_scalar(stable_id())
    }

    /// Adds a scalar function; one with the same name is replaced, and its version reset.
    pub fn with_scalar(mut self, function: ScalarUDF) -> Self {
        self.versions.remove(function.name());
        self.scalar.retain(|other| other.name() != function.name());
        self.scalar.push(Arc::new(function));
        self
    }

    /// Adds an aggregate function; one with the same name is replaced, and its version reset.
    pub fn with_aggregate(mut self, function: AggregateUDF) -> Self {
        self.versions.remove(function.name());
        self.aggregate.retain(|other| other.name() != function.name());
        self.aggregate.push(Arc::new(function));
        self
    }

    /// Adds a window function; one with the same name is replaced, and its version reset.
    pub fn with_window(mut self, function: WindowUDF) -> Self {
        self.versions.remove(function.name());
        self.window.retain(|other| other.name() != function.name());
        self.window.push(Arc::new(function));
        self
    }

    /// Sets the version of the function `name`. Increment it when the results of the function change, so that results
    /// computed with the older version no longer count as current. The default version is 1.
    pub fn with_version(mut self, name: &str, version: u32) -> Self {
        self.versions.insert(name.to_owned(), version);
        self
    }

    /// What identifies the functions, sorted: independent of the order in which they were added.
    pub fn records(&self) -> Vec<FunctionRecord> {
        let scalar = self.scalar.iter().map(|f| self.record(FunctionKind::Scalar, f.name(), f.signature()));
        let aggregate = self.aggregate.iter().map(|f| self.record(FunctionKind::Aggregate, f.name(), f.signature()));
        let window = self.window.iter().map(|f| self.record(FunctionKind::Window, f.name(), f.signature()));
        let mut records: Vec<_> = scalar.chain(aggregate).chain(window).collect();
        records.sort();
        records
    }

    fn record(&self, kind: FunctionKind, name: &str, signature: &Signature) -> FunctionRecord {
        use datafusion::logical_expr::Volatility;
        let volatility = match signature.volatility {
            Volatility::Immutable => "immutable",
            Volatility::Stable => "stable",
            Volatility::Volatile => "volatile",
        };
        FunctionRecord {
            kind,
            name: name.to_owned(),
            version: self.versions.get(name).copied().unwrap_or(FIRST_VERSION),
            arguments: signature.type_signature.to_string_repr(),
            volatility: volatility.to_owned(),
        }
    }
}
