//! [`DeltaMergeExec`] on the wire: a write, and whether changes are recorded.

use std::sync::Arc;

use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use prost::Message;
use windlass_delta::merge::DeltaMergeExec;

use super::delta_write::{WriteBody, external};
use super::{Decoding, Encoding, NodeCodec};

pub(super) const NODE: NodeCodec = NodeCodec { name: "delta_merge", encode, decode };

#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(message, optional, tag = "1")]
    write: Option<WriteBody>,
    #[prost(bool, tag = "2")]
    change_feed: bool,
}

fn encode(plan: &Arc<dyn ExecutionPlan>, encoding: &Encoding<'_>) -> Result<Option<Vec<u8>>> {
    let Some(merge) = plan.downcast_ref::<DeltaMergeExec>() else { return Ok(None) };
    let write = Some(WriteBody::of(merge.spec(), merge.constraints(), encoding)?);
    Ok(Some(Body { write, change_feed: merge.change_feed() }.encode_to_vec()))
}

fn decode(bytes: &[u8], decoding: &Decoding<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let body = Body::decode(bytes).map_err(external)?;
    let Some(write) = body.write else { return internal_err!("a merge was encoded without its write") };
    let (spec, constraints) = write.into_parts(decoding)?;
    let [input] = decoding.inputs else {
        return internal_err!("a merge has one input, not {}", decoding.inputs.len());
    };
    let merge = DeltaMergeExec::try_new(Arc::clone(input), Arc::new(spec), constraints, body.change_feed);
    Ok(Arc::new(merge.map_err(external)?))
}
