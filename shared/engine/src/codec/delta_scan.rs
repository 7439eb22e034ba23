//! The scan of a Delta table that needs more than Parquet: the engine's own encoding of the plain scan, extended by the
//! deletion vectors of its files and the column mapping.
//!
//! A task only receives the file groups that it reads, with their deletion vectors.

use std::sync::Arc;

use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::PhysicalPlanDecodeContext;
use datafusion_proto::protobuf::PhysicalPlanNode;
use object_store::path::Path as StorePath;
use prost::Message;
use windlass_delta::scan::address;
use windlass_delta::scan::deletion_vector::DeletionVector;
use windlass_delta::scan::selection::{RowSet, Selections};
use windlass_delta::scan::source::{DeletionVectors, DeltaSource};

use super::{Decoding, Encoding, NodeCodec};

pub(super) const NODE: NodeCodec = NodeCodec { name: "delta_scan", encode, decode };

#[derive(Clone, PartialEq, Message)]
struct DeltaScanNode {
    /// The scan over the engine's Parquet source.
    #[prost(bytes = "vec", tag = "1")]
    scan: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    vectors: Vec<FileVector>,
    /// The column mapping as JSON; empty if there is none.
    #[prost(string, tag = "3")]
    mapping: String,
    #[prost(message, repeated, tag = "5")]
    selections: Vec<FileSelection>,
    /// Whether the last partition column represents the row positions, which the engine would drop.
    #[prost(bool, tag = "8")]
    row_positions: bool,
}

/// The rows that are read from a file of a change feed.
#[derive(Clone, PartialEq, Message)]
struct FileSelection {
    /// The file's group, and its index in the group.
    #[prost(uint32, tag = "1")]
    group: u32,
    #[prost(uint32, tag = "2")]
    place: u32,
    #[prost(message, optional, tag = "3")]
    within: Option<DeletionVector>,
    #[prost(message, optional, tag = "4")]
    without: Option<DeletionVector>,
}

#[derive(Clone, PartialEq, Message)]
struct FileVector {
    #[prost(string, tag = "1")]
    file: String,
    #[prost(message, optional, tag = "2")]
    vector: Option<DeletionVector>,
}

fn encode(node: &Arc<dyn ExecutionPlan>, encoding: &Encoding<'_>) -> Result<Option<Vec<u8>>> {
    let Some(config) = scan_config(node) else { return Ok(None) };
    let Some(source) = config.file_source().downcast_ref::<DeltaSource>() else { return Ok(None) };
    let mut vectors = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for file in config.file_groups.iter().flat_map(|group| group.iter()) {
        let path = &file.object_meta.location;
        if let Some(vector) = source.vectors().get(path)
            && seen.insert(path)
        {
            vectors.push(FileVector { file: path.to_string(), vector: Some(vector.as_ref().clone()) });
        }
    }
    let row_positions = address::has_positions(source.parquet());
    let parquet = match row_positions {
        true => address::with_plain_position(source.parquet())?,
        false => source.parquet().clone(),
    };
    let plain = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(parquet)).build();
    let plain: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(plain);
    let node = DeltaScanNode {
        scan: encoding.converter.execution_plan_to_proto(&plain, encoding.codec)?.encode_to_vec(),
        vectors,
        selections: selections(config, source.selections()),
        mapping: source.mapping().map(serde_json::to_string).transpose().map_err(external)?.unwrap_or_default(),
        row_positions,
    };
    Ok(Some(node.encode_to_vec()))
}

fn decode(bytes: &[u8], decoding: &Decoding<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let node = DeltaScanNode::decode(bytes).map_err(external)?;
    let plain = PhysicalPlanNode::decode(node.scan.as_slice()).map_err(external)?;
    let context = PhysicalPlanDecodeContext::new(decoding.task, decoding.codec);
    let plain = decoding.converter.proto_to_execution_plan(&plain, &context)?;
    let Some(config) = scan_config(&plain) else {
        return internal_err!("the scan of a Delta table was decoded as another node, {}", plain.name());
    };
    let Some(parquet) = config.file_source().downcast_ref::<ParquetSource>() else {
        return internal_err!("the scan of a Delta table was decoded with another source");
    };
    let mut vectors = DeletionVectors::new();
    for FileVector { file, vector } in node.vectors {
        let vector = vector.ok_or_else(|| internal_datafusion_err!("a deletion vector of `{file}` is missing"))?;
        vectors.insert(StorePath::parse(file).map_err(external)?, Arc::new(vector));
    }
    let mapping = match node.mapping.as_str() {
        "" => None,
        text => Some(Arc::new(serde_json::from_str(text).map_err(external)?)),
    };
    let parquet = match node.row_positions {
        true => address::arrived(parquet)?,
        false => parquet.clone(),
    };
    let mut selections = Selections::default();
    for FileSelection { group, place, within, without } in node.selections {
        let file = config.file_groups.get(group as usize).and_then(|group| group.files().get(place as usize));
        let file = file.ok_or_else(|| internal_datafusion_err!("the scan of changes was decoded without a file"))?;
        selections.insert(file, RowSet { within: within.map(Arc::new), without: without.map(Arc::new) });
    }
    let source = DeltaSource::new(parquet, Arc::new(vectors), mapping).with_selections(Arc::new(selections));
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source)).build();
    Ok(DataSourceExec::from_data_source(config))
}

/// The selections of the files that `config` reads.
fn selections(config: &FileScanConfig, selections: &Selections) -> Vec<FileSelection> {
    let mut found = Vec::new();
    for (group, files) in (0..).zip(&config.file_groups) {
        for (place, file) in (0..).zip(files.iter()) {
            if let Some(rows) = selections.get(file) {
                let (within, without) = (rows.within.as_deref().cloned(), rows.without.as_deref().cloned());
                found.push(FileSelection { group, place, within, without });
            }
        }
    }
    found
}

fn scan_config(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
