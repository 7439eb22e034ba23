//! Finds duplicate column names in files. The engine's readers merge two columns with the same name.

use std::collections::HashSet;

use datafusion::arrow::ipc::root_as_message;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use datafusion::parquet::file::metadata::PageIndexPolicy;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::session::SessionError;

/// The numbers of bytes at the start of a file in which its schema is searched for, first and last.
const HEADS: [u64; 2] = [1 << 16, 1 << 24];

/// The names of a Parquet file whose schema the engine has just read: the footer is in its cache.
pub(super) async fn of_parquet(
    state: &dyn Session,
    store: &dyn ObjectStore,
    object: &ObjectMeta,
) -> Result<Vec<String>, DataFusionError> {
    let metadata = DFParquetMetadata::new(store, object)
        .with_metadata_size_hint(state.default_table_options().parquet.global.metadata_size_hint)
        .with_page_index_policy(Some(PageIndexPolicy::Skip))
        .with_file_metadata_cache(Some(state.runtime_env().cache_manager.get_file_metadata_cache()))
        .fetch_metadata()
        .await?;
    let columns = metadata.file_metadata().schema_descr().root_schema().get_fields();
    Ok(columns.iter().map(|column| column.name().to_owned()).collect())
}

/// The names of an Arrow file; none if its start is malformed, which the reader reports.
pub(super) async fn of_arrow(store: &dyn ObjectStore, object: &ObjectMeta) -> Result<Vec<String>, DataFusionError> {
    for length in HEADS {
        let head = store.get_range(&object.location, 0..length.min(object.size)).await?;
        if let Some(names) = in_arrow(&head) {
            return Ok(names);
        }
        if length >= object.size {
            break;
        }
    }
    Ok(Vec::new())
}

/// The names in the schema at the start of an Arrow file or stream, if it is complete in `head`.
fn in_arrow(head: &[u8]) -> Option<Vec<String>> {
    let mut rest = head;
    if head.starts_with(b"ARROW1") {
        // After the magic, writers pad to a multiple of eight bytes.
        rest = head.get(8..)?;
        while let Some(next) = rest.strip_prefix(&[0; 8]) {
            rest = next;
        }
    }
    // Older writers have no continuation marker before a message.
    rest = rest.strip_prefix(&[0xff; 4]).unwrap_or(rest);
    let (length, rest) = rest.split_first_chunk()?;
    let message = rest.get(..usize::try_from(i32::from_le_bytes(*length)).ok()?)?;
    let columns = root_as_message(message).ok()?.header_as_schema()?.fields()?;
    Some(columns.iter().filter_map(|column| column.name()).map(str::to_owned).collect())
}

/// Checks that no two of the `names` of a file are the same.
///
/// # Errors
/// [`SessionError::OtherColumns`] naming the file and the column.
pub(super) fn check(object: &ObjectMeta, names: &[String]) -> Result<(), SessionError> {
    let mut known = HashSet::new();
    match names.iter().find(|name| !known.insert(*name)) {
        Some(name) => Err(SessionError::OtherColumns {
            file: object.location.to_string(),
            reason: format!("has two columns `{name}`"),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::arrow::ipc::MetadataVersion;
    use datafusion::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

    use super::*;

    #[test]
    fn names_are_found_in_files_and_streams_of_arrow() {
        let columns: Vec<_> = ["a", "b", "a"].map(|name| Field::new(name, DataType::Int64, true)).into();
        let schema = Schema::new(columns);
        let mut heads = vec![StreamWriter::try_new(Vec::new(), &schema).unwrap().into_inner().unwrap()];
        for alignment in [8, 64] {
            let options = IpcWriteOptions::try_new(alignment, false, MetadataVersion::V5).unwrap();
            let writer = FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
            heads.push(writer.into_inner().unwrap());
        }
        for head in heads {
            assert_eq!(in_arrow(&head).unwrap(), ["a", "b", "a"]);
            assert_eq!(in_arrow(&head[..60]), None);
        }
        assert_eq!(in_arrow(b"no arrow"), None);
        assert_eq!(in_arrow(b""), None);
    }
}
