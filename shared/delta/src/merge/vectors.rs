//! Deletion vectors, written. Delta protocol, "Deletion Vector Format" and "Deletion Vector File Storage Format".

use deltalake::kernel::{DeletionVectorDescriptor, StorageType};
use object_store::ObjectStoreExt;
use roaring::RoaringTreemap;
use uuid::Uuid;
use windlass_storage::{Location, Stores};

use crate::DeltaError;
use crate::error::WriteError;
use crate::scan::deletion_vector::serialized;

/// The first byte of a file of vectors.
const FORMAT_VERSION: u8 = 1;

/// A file of vectors in the making.
pub(super) struct VectorFile {
    id: Uuid,
    bytes: Vec<u8>,
}

impl VectorFile {
    /// A file without vectors under a name of its own.
    pub(super) fn new() -> Self {
        Self { id: Uuid::new_v4(), bytes: vec![FORMAT_VERSION] }
    }

    /// Appends a vector of `rows`: its length, itself, its checksum. Returns how the log refers to it.
    ///
    /// # Errors
    /// [`WriteError::Encode`] if the file gets too large for what the log can refer to (2 GiB).
    pub(super) fn push(&mut self, rows: &RoaringTreemap) -> Result<DeletionVectorDescriptor, WriteError> {
        let encode = |reason: String| WriteError::Encode { what: "a deletion vector".to_owned(), reason };
        let vector = serialized(rows).map_err(|error| encode(error.to_string()))?;
        let too_large = |_| encode("all vectors together have more than 2 GiB".to_owned());
        let offset = i32::try_from(self.bytes.len()).map_err(too_large)?;
        let size = i32::try_from(vector.len()).map_err(too_large)?;
        self.bytes.extend(size.to_be_bytes());
        self.bytes.extend(&vector);
        self.bytes.extend(crc32fast::hash(&vector).to_be_bytes());
        Ok(DeletionVectorDescriptor {
            storage_type: StorageType::UuidRelativePath,
            path_or_inline_dv: z85::encode(self.id.as_bytes()),
            offset: Some(offset),
            size_in_bytes: size,
            cardinality: rows.len().cast_signed(),
        })
    }

    /// Writes the file at the root of the table at `location`.
    ///
    /// # Errors
    /// [`WriteError::Vectors`] if the store fails.
    pub(super) async fn write(self, location: &Location, stores: &Stores) -> Result<(), DeltaError> {
        let store = stores.store(location)?;
        let path = location.path()?.join(format!("deletion_vector_{}.bin", self.id));
        let put = store.put(&path, self.bytes.into()).await;
        put.map_err(|source| WriteError::Vectors { table: location.to_string(), source })?;
        Ok(())
    }
}
