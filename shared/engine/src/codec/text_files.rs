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

/// Files of a chunk are sorted by path, so neighbours share a prefix: a path is encoded as the length of the prefix
/// shared with the previous one, and the rest.
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
        let path = format!("{shared}{}", file.rest);
        files.push(TextFile { path, size: file.size, modified: file.modified, mark: None });
    }
    Ok(Chunk { files })
}

/// The length of the common prefix in bytes, up to a character boundary.
fn shared_prefix(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    b.floor_char_boundary(same)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::SessionContext;
    use datafusion_proto::bytes::{
        physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
    };
    use object_store::ObjectStoreExt;
    use windlass_base::config::SessionSettings;
    use windlass_project::spec::source::TextFilesSource;
    use windlass_storage::Location;

    use super::*;
    use crate::codec::PlanCodec;
    use crate::function::Functions;
    use crate::session::{Sessions, TableInput, register};

    async fn session(files: &[(String, String)]) -> (Sessions, SessionContext) {
        let settings = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
        let sessions = Sessions::new(settings, Functions::standard()).unwrap();
        let ctx = sessions.context().unwrap();
        let location = Location::parse("memory:///some/code", std::path::Path::new("/")).unwrap();
        let store = sessions.stores().store(&location).unwrap();
        for (path, content) in files {
            let path = StorePath::parse(format!("some/code/{path}")).unwrap();
            store.put(&path, content.clone().into()).await.unwrap();
        }
        let source = TextFilesSource {
            location: location.to_string(),
            include: Vec::new(),
            exclude: Vec::new(),
            max_file_bytes: 100,
        };
        let table = TableInput::TextFiles { source, location };
        register(&ctx, sessions.stores(), &"files".into(), table).await.unwrap();
        (sessions, ctx)
    }

    async fn plan(ctx: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
        ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
    }

    fn round_trip(plan: Arc<dyn ExecutionPlan>, ctx: &SessionContext) -> (usize, Arc<dyn ExecutionPlan>) {
        let codec = PlanCodec::default();
        let bytes = physical_plan_to_bytes_with_extension_codec(plan, &codec).unwrap();
        let back = physical_plan_from_bytes_with_extension_codec(&bytes, &ctx.task_ctx(), &codec).unwrap();
        (bytes.len(), back)
    }

    fn shown(plan: &Arc<dyn ExecutionPlan>) -> String {
        datafusion::physical_plan::displayable(plan.as_ref()).indent(true).to_string()
    }

    async fn rows(plan: Arc<dyn ExecutionPlan>, ctx: &SessionContext) -> String {
        let batches = datafusion::physical_plan::collect(plan, ctx.task_ctx()).await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    #[tokio::test]
    async fn a_scan_comes_back_the_same_with_its_projection_and_functions() {
        let file = |path: &str, content: &str| (path.to_owned(), content.to_owned());
        let files = [
            file("a.rs", "fn a() {}"),
            file("dir/ä.rs", "fn ä() {}"),
            file("dir/äb.rs", "fn b() { ä() }"),
            file("large.rs", &"x".repeat(101)),
        ];
        let (_sessions, ctx) = session(&files).await;
        for sql in [
            "SELECT * FROM files ORDER BY path",
            "SELECT content, path AS p FROM files WHERE size < 12 ORDER BY p",
            "SELECT path, cardinality(syntax_nodes(content, 'rust')) AS nodes, stable_id(path, size) AS id FROM files \
             ORDER BY path",
            "SELECT path FROM files ORDER BY windlass_zorder('a', 'z', path, 1, NULL, size), path",
            "SELECT count(*) FROM files WHERE content LIKE 'fn%'",
            "SELECT length(content_hash) FROM files LIMIT 3",
        ] {
            let plan = plan(&ctx, sql).await;
            let (_, back) = round_trip(Arc::clone(&plan), &ctx);
            assert_eq!(shown(&plan), shown(&back), "{sql}");
            assert_eq!(plan.schema(), back.schema(), "{sql}");
            assert_eq!(rows(plan, &ctx).await, rows(back, &ctx).await, "{sql}");
        }
    }

    #[tokio::test]
    async fn a_task_over_thousands_of_files_is_a_small_message() {
        let path = |i: usize| {
            let (owner, module) = (i / 100, i % 100);
            format!("a-registry-of-packages-1949cf8c6b5b/some-crate-{owner}.0.1/src/module/submodule_{module}.rs")
        };
        let files: Vec<_> = (0..20_000).map(|i| (path(i), "x".repeat(i % 7))).collect();
        let (_sessions, ctx) = session(&files).await;
        let plan = plan(&ctx, "SELECT path, size, content FROM files").await;
        let (bytes, back) = round_trip(plan, &ctx);
        assert!(bytes < 1 << 20, "{bytes} bytes");
        let batches = datafusion::physical_plan::collect(back, ctx.task_ctx()).await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 20_000);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let damaged = ChunkProto { files: vec![FileProto { shared: 5, rest: "x".to_owned(), size: 0, modified: 0 }] };
        assert!(decode_chunk(damaged).is_err());
        assert_eq!(shared_prefix("dir/ä", "dir/ö"), 4);
    }
}
