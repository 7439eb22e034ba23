//! Plan nodes to bytes and back, one file per node; whole logical plans in [`logical`].
//!
//! ```text
//! a node of ours ─encode→ Envelope { node: "delta_write", body } ─wire→ decode → the same node on an executor
//! any other node ────────→ Envelope { node: "engine", body } ─────────→ Ballista's own codec
//! a function that wraps another → the name of the inner one, and the call options  (functions)
//! ```

mod delta_merge;
mod delta_scan;
mod delta_write;
mod engine_ids;
mod functions;
pub mod logical;
mod records;
mod text_files;

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, WindowUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use prost::Message;

use self::functions::InnerFunctions;
use crate::function::Functions;

/// The name for Ballista's own nodes.
const ENGINE: &str = "engine";

type Encode = fn(&Arc<dyn ExecutionPlan>, &Encoding<'_>) -> Result<Option<Vec<u8>>>;
type Decode = fn(&[u8], &Decoding<'_>) -> Result<Arc<dyn ExecutionPlan>>;

/// How one kind of node is encoded and decoded.
struct NodeCodec {
    /// The name sent with the bytes; it never changes meaning.
    name: &'static str,
    /// The node's bytes, or `None` if the node is of another kind.
    encode: Encode,
    /// Decodes the node.
    decode: Decode,
}

/// The context for encoding a node.
struct Encoding<'a> {
    codec: &'a dyn PhysicalExtensionCodec,
    converter: &'a dyn PhysicalProtoConverterExtension,
}

/// The context for decoding a node.
struct Decoding<'a> {
    inputs: &'a [Arc<dyn ExecutionPlan>],
    task: &'a TaskContext,
    codec: &'a dyn PhysicalExtensionCodec,
    converter: &'a dyn PhysicalProtoConverterExtension,
}

/// Every custom node that a plan may contain.
const NODES: &[NodeCodec] = &[delta_merge::NODE, delta_scan::NODE, delta_write::NODE, records::NODE, text_files::NODE];

/// The physical codec of the scheduler and of every executor: our nodes, and Ballista's for all others.
#[derive(Debug)]
pub struct PlanCodec {
    engine: BallistaPhysicalExtensionCodec,
    functions: InnerFunctions,
}

impl PlanCodec {
    /// The codec for plans that call the engine's functions and `added`.
    pub fn new(added: &Functions) -> Self {
        Self { engine: BallistaPhysicalExtensionCodec::default(), functions: InnerFunctions::with(added) }
    }
}

impl Default for PlanCodec {
    fn default() -> Self {
        Self::new(&Functions::default())
    }
}

#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(string, tag = "1")]
    node: String,
    #[prost(bytes = "vec", tag = "2")]
    body: Vec<u8>,
}

impl PhysicalExtensionCodec for PlanCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let envelope = Envelope::decode(buf).map_err(|error| DataFusionError::External(Box::new(error)))?;
        if envelope.node == ENGINE {
            let node = self.engine.try_decode(&envelope.body, inputs, ctx, proto_converter)?;
            engine_ids::check(&node)?;
            return Ok(node);
        }
        let Some(node) = NODES.iter().find(|node| node.name == envelope.node) else {
            return internal_err!(
                "a plan carries a node `{}` that this version of Windlass does not know; run one version everywhere",
                envelope.node
            );
        };
        (node.decode)(&envelope.body, &Decoding { inputs, task: ctx, codec: self, converter: proto_converter })
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let encoding = Encoding { codec: self, converter: proto_converter };
        let mut envelope = Envelope { node: ENGINE.to_owned(), body: Vec::new() };
        for candidate in NODES {
            if let Some(body) = (candidate.encode)(&node, &encoding)? {
                envelope = Envelope { node: candidate.name.to_owned(), body };
                break;
            }
        }
        if envelope.node == ENGINE {
            self.engine.try_encode(node, &mut envelope.body, proto_converter)?;
        }
        envelope.encode(buf).map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn try_encode_udaf(&self, function: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        functions::encode_aggregate(function, buf)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.functions.decode_aggregate(name, buf)
    }

    fn try_encode_udwf(&self, function: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        functions::encode_window(function, buf)
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.functions.decode_window(name, buf)
    }
}
