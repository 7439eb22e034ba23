//! The code version of a stage: equal as long as the stage, on equal inputs, makes equal rows.

use std::fmt;

use datafusion::logical_expr::LogicalPlan;
use serde_json::json;
use windlass_shared::delta::cursor::hash_mark;
use windlass_shared::graph::Stage;
use windlass_shared::session::{Registration, ResultIdentity, TableKind};

/// A hash of everything about a stage that decides its rows, in 32 hexadecimal digits: the normalised plan of its query
/// with views and caches seen through and parameters set, what its table demands of rows, how files are read, and what
/// queries mean in the session. White space, comments, descriptions, tags and the order of keys are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodeVersion(String);

impl CodeVersion {
    /// The code version of `stage`, whose query is `plan` before it is optimized, over tables registered as `inputs`.
    pub fn of(stage: &Stage, plan: &LogicalPlan, inputs: &[Registration], results: &ResultIdentity) -> Self {
        // Which Delta table is read, and at which version, is data; how files become rows is code, and so are rows that
        // the project holds.
        let files = inputs.iter().filter(|input| !matches!(input.kind, TableKind::Delta | TableKind::View));
        let settings = &stage.table;
        let mut described = json!({
            "format": 1,
            "plan": plan.display_indent_schema().to_string(),
            "files": files.map(|input| (input.name.as_str(), input.scan_identity.as_str())).collect::<Vec<_>>(),
            "mode": settings.mode,
            "partition_by": settings.partition_by,
            "key": settings.key,
            "not_null": settings.not_null,
            "constraints": settings.constraints,
            "results": results,
        });
        // Only where there is one: other stages keep their code versions.
        if let Some(contract) = &stage.contract {
            described["contract"] = contract.value.identity().into();
        }
        if !stage.expectations.is_empty() {
            let expected = stage.expectations.iter().map(|expectation| json!([expectation.rule, expectation.severity]));
            described["expect"] = expected.collect();
        }
        Self(blake3::hash(described.to_string().as_bytes()).to_hex()[..32].to_owned())
    }

    /// The version as transactions of the stage's table write it.
    pub fn mark(&self) -> i64 {
        hash_mark(&self.0)
    }

    /// 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
