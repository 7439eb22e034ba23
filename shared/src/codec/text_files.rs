//! Scans of text files.

use std::sync::Arc;

use datafusion::common::internal_datafusion_err;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use object_store::path::Path as StorePath;
use prost::Message;

use super::{Decoding, Encoding, NodeCodec};
use crate::session::text_files::{Chunk, TextFile, TextFilesScan};

pub(super) const NODE: NodeCodec = NodeCodec { name: "text_files", encode, decode };

#[derive(Clone, PartialEq, Message)]
struct ScanProto {
    #[prost(string, tag = "1")]
    store: String,
    #[prost(string, tag = "2")]
    folder: String,
    #[prost(uint64, tag = "3")]
    max_file_bytes: u64,
    #[prost(message, repeated, tag = "4")]
    columns: Vec<ColumnProto>,
    #[prost(message, repeated, tag = "5")]
    groups: Vec<GroupProto>,
    #[prost(uint64, optional, tag = "6")]
    limit: Option<u64>,
    #[prost(bool, tag = "7")]
    preserve_order: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ColumnProto {
    #[prost(uint32, tag = "1")]
    index: u32,
    #[prost(string, tag = "2")]
    alias: String,
}

#[derive(Clone, PartialEq, Message)]
struct GroupProto {
    #[prost(message, repeated, tag = "1")]
    chunks: Vec<ChunkProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ChunkProto {
    #[prost(message, repeated, tag = "1")]
    files: Vec<FileProto>,
}

/// Files of a chunk are sorted by path, so neighbours begin alike: a path is what it shares with the one before it,
/// and the rest.
#[derive(Clone, PartialEq, Message)]
struct FileProto {
    #[prost(uint32, tag = "1")]
    shared: u32,
    #[prost(string, tag = "2")]
    rest: String,
    #[prost(uint64, tag = "3")]
    size: u64,
    #[prost(int64, tag = "4")]
    modified: i64,
}

fn encode(node: &Arc<dyn ExecutionPlan>, _encoding: &Encoding<'_>) -> Result<Option<Vec<u8>>> {
    let Some((config, scan)) = node.downcast_ref::<DataSourceExec>().and_then(|exec| {
        let config = exec.data_source().downcast_ref::<FileScanConfig>()?;
        Some((config, config.file_source().downcast_ref::<TextFilesScan>()?))
    }) else {
        return Ok(None);
    };
    let mut groups = Vec::with_capacity(config.file_groups.len());
    for group in &config.file_groups {
        let chunks = group.iter().map(|file| file.extension::<Chunk>().map(encode_chunk)).collect::<Option<_>>();
        let chunks =
            chunks.ok_or_else(|| internal_datafusion_err!("a scan of text files lost the list of its files"))?;
        groups.push(GroupProto { chunks });
    }
    let column = |(index, alias): (usize, String)| ColumnProto { index: index as u32, alias };
    let proto = ScanProto {
        store: config.object_store_url.as_str().to_owned(),
        folder: scan.folder.to_string(),
        max_file_bytes: scan.max_file_bytes,
        columns: scan.columns().into_iter().map(column).collect(),
        groups,
        limit: config.limit.map(|limit| limit as u64),
        preserve_order: config.preserve_order,
    };
    Ok(Some(proto.encode_to_vec()))
}

fn decode(bytes: &[u8], _decoding: &Decoding<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let proto = ScanProto::decode(bytes).map_err(|error| DataFusionError::External(Box::new(error)))?;
    let folder = StorePath::parse(&proto.folder).map_err(|error| DataFusionError::External(Box::new(error)))?;
    let columns: Vec<_> = proto.columns.into_iter().map(|column| (column.index as usize, column.alias)).collect();
    let mut groups = Vec::with_capacity(proto.groups.len());
    for group in proto.groups {
        groups.push(group.chunks.into_iter().map(decode_chunk).collect::<Result<Vec<_>>>()?);
    }
    let config = TextFilesScan::new(folder, proto.max_file_bytes)
        .with_columns(&columns)
        .config(ObjectStoreUrl::parse(&proto.store)?, groups);
    let config = FileScanConfigBuilder::from(config)
        .with_limit(proto.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
        .with_preserve_order(proto.preserve_order)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}

fn encode_chunk(chunk: &Chunk) -> ChunkProto {
    let mut files = Vec::with_capacity(chunk.files.len());
    let mut previous = "";
    for file in &chunk.files {
        let shared = shared_prefix(previous, &file.path);
        files.push(FileProto {
            shared: shared as u32,
            rest: file.path.get(shared..).unwrap_or_default().to_owned(),
            size: file.size,
            modified: file.modified,
        });
        previous = &file.path;
    }
    ChunkProto { files }
}

fn decode_chunk(chunk: ChunkProto) -> Result<Chunk> {
    let mut files: Vec<TextFile> = Vec::with_capacity(chunk.files.len());
    for file in chunk.files {
        let previous = files.last().map_or("", |file| file.path.as_str());
        let shared = previous
            .get(..file.shared as usize)
            .ok_or_else(|| internal_datafusion_err!("the list of text files in a plan is damaged"))?;
        files.push(TextFile { path: format!("{shared}{}", file.rest), size: file.size, modified: file.modified });
    }
    Ok(Chunk { files })
}

/// Bytes that both texts begin with, up to a character's boundary.
fn shared_prefix(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    b.floor_char_boundary(same)
}
