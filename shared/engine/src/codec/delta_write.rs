//! [`DeltaWriteExec`] on the wire: its spec as JSON and its constraints as expressions over the table's columns.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::PhysicalPlanDecodeContext;
use datafusion_proto::protobuf::PhysicalExprNode;
use prost::Message;
use windlass_delta::write::{DeltaWriteExec, RowConstraint, WriteSpec};

use super::{Decoding, Encoding, NodeCodec};

pub(super) const NODE: NodeCodec = NodeCodec { name: "delta_write", encode, decode };

/// The encoded form of a write, for all kinds of nodes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteBody {
    #[prost(string, tag = "1")]
    spec: String,
    #[prost(message, repeated, tag = "2")]
    constraints: Vec<Constraint>,
}

#[derive(Clone, PartialEq, Message)]
struct Constraint {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    sql: String,
    #[prost(message, optional, tag = "3")]
    condition: Option<PhysicalExprNode>,
}

impl WriteBody {
    pub(super) fn of(spec: &WriteSpec, constraints: &[RowConstraint], encoding: &Encoding<'_>) -> Result<Self> {
        let constraint = |constraint: &RowConstraint| {
            Ok(Constraint {
                name: constraint.name.clone(),
                sql: constraint.sql.clone(),
                condition: Some(encoding.converter.physical_expr_to_proto(&constraint.condition, encoding.codec)?),
            })
        };
        let constraints = constraints.iter().map(constraint).collect::<Result<_>>()?;
        Ok(Self { spec: serde_json::to_string(spec).map_err(external)?, constraints })
    }

    pub(super) fn into_parts(self, decoding: &Decoding<'_>) -> Result<(WriteSpec, Vec<RowConstraint>)> {
        let spec: WriteSpec = serde_json::from_str(&self.spec).map_err(external)?;
        let schema: &Schema = &spec.schema;
        let context = PhysicalPlanDecodeContext::new(decoding.task, decoding.codec);
        let mut constraints = Vec::with_capacity(self.constraints.len());
        for constraint in self.constraints {
            let Some(condition) = &constraint.condition else {
                return internal_err!("the constraint `{}` was encoded without its condition", constraint.name);
            };
            let condition = decoding.converter.proto_to_physical_expr(condition, schema, &context)?;
            constraints.push(RowConstraint { name: constraint.name, sql: constraint.sql, condition });
        }
        Ok((spec, constraints))
    }
}

fn encode(plan: &Arc<dyn ExecutionPlan>, encoding: &Encoding<'_>) -> Result<Option<Vec<u8>>> {
    let Some(write) = plan.downcast_ref::<DeltaWriteExec>() else { return Ok(None) };
    Ok(Some(WriteBody::of(write.spec(), write.constraints(), encoding)?.encode_to_vec()))
}

fn decode(bytes: &[u8], decoding: &Decoding<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let (spec, constraints) = WriteBody::decode(bytes).map_err(external)?.into_parts(decoding)?;
    let [input] = decoding.inputs else {
        return internal_err!("a write has one input, not {}", decoding.inputs.len());
    };
    let write = DeltaWriteExec::try_new(Arc::clone(input), Arc::new(spec), constraints).map_err(external)?;
    Ok(Arc::new(write))
}

pub(super) fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
