//! Scans of files of CSV and of JSON objects: the engine's encoding of the file scan, extended by how the records are
//! read.

use std::sync::Arc;

use datafusion::common::internal_err;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::PhysicalPlanDecodeContext;
use datafusion_proto::physical_plan::from_proto::{parse_protobuf_file_scan_config, parse_table_schema_from_proto};
use datafusion_proto::physical_plan::to_proto::serialize_file_scan_config;
use datafusion_proto::protobuf::FileScanExecConf;
use prost::Message;

use super::{Decoding, Encoding, NodeCodec};
use crate::session::records::{Origin, RecordFormat, RecordsScan};

pub(super) const NODE: NodeCodec = NodeCodec { name: "records", encode, decode };

#[derive(Clone, PartialEq, Message)]
struct RecordsNode {
    /// The engine's encoding of the file scan.
    #[prost(bytes = "vec", tag = "1")]
    scan: Vec<u8>,
    /// The CSV format; absent for JSON.
    #[prost(message, optional, tag = "2")]
    csv: Option<Csv>,
    /// Whether the project declares the columns.
    #[prost(bool, tag = "3")]
    declared: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Csv {
    #[prost(bool, tag = "1")]
    has_header: bool,
    #[prost(uint32, tag = "2")]
    delimiter: u32,
}

fn encode(node: &Arc<dyn ExecutionPlan>, encoding: &Encoding<'_>) -> Result<Option<Vec<u8>>> {
    let Some((config, scan)) = node.downcast_ref::<DataSourceExec>().and_then(|exec| {
        let config = exec.data_source().downcast_ref::<FileScanConfig>()?;
        Some((config, config.file_source().downcast_ref::<RecordsScan>()?))
    }) else {
        return Ok(None);
    };
    let csv = match scan.format() {
        RecordFormat::Csv { has_header, delimiter } => Some(Csv { has_header, delimiter: delimiter.into() }),
        RecordFormat::Json => None,
    };
    let common = serialize_file_scan_config(config, encoding.codec, encoding.converter)?;
    let node = RecordsNode { scan: common.encode_to_vec(), csv, declared: scan.origin() == Origin::Declared };
    Ok(Some(node.encode_to_vec()))
}

fn decode(bytes: &[u8], decoding: &Decoding<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let node = RecordsNode::decode(bytes).map_err(external)?;
    let common = FileScanExecConf::decode(node.scan.as_slice()).map_err(external)?;
    let format = match node.csv {
        Some(Csv { has_header, delimiter }) => match u8::try_from(delimiter) {
            Ok(delimiter) => RecordFormat::Csv { has_header, delimiter },
            Err(_) => return internal_err!("a scan of CSV was decoded with the delimiter {delimiter}"),
        },
        None => RecordFormat::Json,
    };
    let origin = if node.declared { Origin::Declared } else { Origin::Found };
    let source = RecordsScan::new(format, origin, parse_table_schema_from_proto(&common)?);
    let context = PhysicalPlanDecodeContext::new(decoding.task, decoding.codec);
    let config = parse_protobuf_file_scan_config(&common, &context, decoding.converter, Arc::new(source))?;
    Ok(DataSourceExec::from_data_source(config))
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
