//! Deletion vectors: which rows of a file are deleted.
//!
//! Delta protocol, "Deletion Vectors". The scheduler only resolves *where* a vector is; the task that opens the data
//! file reads the vector's few bytes itself, so a plan stays small however many rows were deleted.

use std::io::Cursor;

use bytes::Bytes;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use prost::Message;
use roaring::RoaringTreemap;
use uuid::Uuid;
use windlass_base::count::counted;
use windlass_storage::Location;

use super::files::resolve;
use crate::ReadError;

/// The four bytes before a bitmap in the portable format.
const MAGIC: u32 = 1_681_511_377;

/// Letters of a base85-encoded UUID at the end of a relative path.
const ENCODED_UUID: usize = 20;

/// A data file's deletion vector: where it is and how many rows it removes. It travels with the plan.
#[derive(Clone, PartialEq, Message)]
pub struct DeletionVector {
    /// Path below the root of the table's store; empty if the vector is `inline`.
    #[prost(string, tag = "1")]
    path: String,
    /// First byte of the vector in the file at `path`: of the length that precedes it.
    #[prost(uint64, tag = "2")]
    offset: u64,
    /// Bytes of the vector, magic number included, without the length before and the checksum behind it.
    #[prost(uint64, tag = "3")]
    bytes: u64,
    /// The rows it removes.
    #[prost(uint64, tag = "4")]
    pub(super) cardinality: u64,
    /// The vector itself, if the log contains it.
    #[prost(bytes = "bytes", tag = "5")]
    inline: Bytes,
}

/// Why a vector could not be read.
#[derive(Debug)]
pub(crate) enum VectorError {
    /// The store failed.
    Store(object_store::Error),
    /// The bytes are not the vector that the log promises.
    Invalid(String),
}

impl DeletionVector {
    /// The vector that the log of the table at `location` gives `file`, from the fields of its descriptor.
    ///
    /// # Errors
    /// [`ReadError::DeletionVector`] for a malformed descriptor, [`ReadError::ForeignFile`] for another store.
    pub(crate) fn of(
        location: &Location,
        file: &str,
        kind: &str,
        path_or_inline: &str,
        offset: Option<i32>,
        bytes: i32,
        cardinality: i64,
    ) -> Result<Self, ReadError> {
        let invalid = |reason: &str| ReadError::DeletionVector { file: file.to_owned(), reason: reason.to_owned() };
        let mut vector = Self {
            bytes: u64::try_from(bytes).map_err(|_| invalid("its size is negative"))?,
            cardinality: u64::try_from(cardinality).map_err(|_| invalid("its cardinality is negative"))?,
            offset: u64::try_from(offset.unwrap_or_default()).map_err(|_| invalid("its offset is negative"))?,
            ..Self::default()
        };
        match kind {
            "i" => {
                let inline = z85::decode(path_or_inline).map_err(|_| invalid("it is not base85 text"))?;
                // Base85 encodes four bytes at a time.
                let length = usize::try_from(vector.bytes).unwrap_or(usize::MAX).min(inline.len());
                vector.inline = Bytes::from(inline).slice(..length);
            }
            "p" => vector.path = resolve(location, path_or_inline)?.into(),
            "u" => {
                let split = path_or_inline.len().checked_sub(ENCODED_UUID);
                let (prefix, encoded) = split
                    .and_then(|split| path_or_inline.split_at_checked(split))
                    .ok_or_else(|| invalid("its path is too short"))?;
                let uuid = z85::decode(encoded).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
                let uuid = uuid.ok_or_else(|| invalid("its path does not end with an encoded UUID"))?;
                let folder = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
                vector.path = resolve(location, &format!("{folder}deletion_vector_{uuid}.bin"))?.into();
            }
            other => return Err(invalid(&format!("its storage type `{other}` is not known"))),
        }
        Ok(vector)
    }

    /// A vector of `rows` that travels with the plan and is stored nowhere.
    pub(crate) fn in_plan(rows: &RoaringTreemap) -> std::io::Result<Self> {
        let inline = Bytes::from(serialized(rows)?);
        Ok(Self { bytes: inline.len() as u64, cardinality: rows.len(), inline, ..Self::default() })
    }

    /// The file that contains the vector, below the root of the table's store; `None` if the log itself does.
    pub(crate) fn file(&self) -> Option<&str> {
        (!self.path.is_empty()).then_some(self.path.as_str())
    }

    /// Reads the positions of the removed rows, counted from 0 through the whole file.
    pub(crate) async fn read(&self, store: &dyn ObjectStore) -> Result<RoaringTreemap, VectorError> {
        let rows = if self.path.is_empty() {
            parse(&self.inline)?
        } else {
            let path = StorePath::parse(&self.path).map_err(|error| VectorError::Invalid(error.to_string()))?;
            let end = self.offset + 4 + self.bytes + 4;
            let stored = store.get_range(&path, self.offset..end).await.map_err(VectorError::Store)?;
            parse(&checked(&stored, self.bytes)?)?
        };
        if rows.len() == self.cardinality {
            Ok(rows)
        } else {
            Err(VectorError::Invalid(format!(
                "the log says that it removes {}, but it names {}",
                counted(self.cardinality, "row"),
                rows.len()
            )))
        }
    }
}

/// The vector in `stored`, which is its length, itself and its checksum.
fn checked(stored: &Bytes, bytes: u64) -> Result<Bytes, VectorError> {
    let invalid = |reason: &str| VectorError::Invalid(reason.to_owned());
    let (length, rest) = stored.split_first_chunk::<4>().ok_or_else(|| invalid("its file is too short"))?;
    if u64::from(u32::from_be_bytes(*length)) != bytes {
        return Err(invalid("its length in the file is not that in the log"));
    }
    let (vector, checksum) = rest.split_last_chunk::<4>().ok_or_else(|| invalid("its file is too short"))?;
    if vector.len() as u64 != bytes {
        return Err(invalid("its file is too short"));
    }
    if u32::from_be_bytes(*checksum) != crc32fast::hash(vector) {
        return Err(invalid("its checksum is wrong"));
    }
    Ok(stored.slice(4..4 + vector.len()))
}

/// `rows` in the portable format, the magic number before them.
pub(crate) fn serialized(rows: &RoaringTreemap) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(MAGIC.to_le_bytes().len() + rows.serialized_size());
    bytes.extend(MAGIC.to_le_bytes());
    rows.serialize_into(&mut bytes)?;
    Ok(bytes)
}

/// What [`serialized`] has written; bytes behind it are ignored.
pub(crate) fn parsed(vector: &[u8]) -> Result<RoaringTreemap, VectorError> {
    parse(&Bytes::copy_from_slice(vector))
}

fn parse(vector: &Bytes) -> Result<RoaringTreemap, VectorError> {
    let (magic, bitmap) =
        vector.split_first_chunk::<4>().ok_or_else(|| VectorError::Invalid("it is empty".to_owned()))?;
    if u32::from_le_bytes(*magic) != MAGIC {
        return Err(VectorError::Invalid("it is not in the portable format".to_owned()));
    }
    RoaringTreemap::deserialize_from(Cursor::new(bitmap)).map_err(|error| VectorError::Invalid(error.to_string()))
}
