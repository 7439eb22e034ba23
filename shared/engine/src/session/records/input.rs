//! Reads the bytes of a file block by block.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use windlass_base::error::Coded;
use windlass_storage::StorageError;

use crate::session::SessionError;

/// The size of the first block in bytes; each further one is four times as large, up to the maximum.
const FIRST_BLOCK: u64 = 256 * 1024;
const LARGEST_BLOCK: u64 = 4 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes of a file that have been read but not consumed.
#[derive(Debug)]
pub(super) struct Input {
    store: Arc<dyn ObjectStore>,
    object: ObjectMeta,
    /// The store's tag of the file's content at the first read: all blocks must have the same one.
    e_tag: Option<String>,
    block: u64,
    held: Bytes,
    /// The offset in the file where `held` ends.
    read: u64,
    /// The size of the byte order mark at the start of the file.
    mark: u64,
}

impl Input {
    /// The file, starting at byte `start`.
    pub(super) fn new(store: Arc<dyn ObjectStore>, object: ObjectMeta, start: u64) -> Self {
        let e_tag = object.e_tag.clone();
        Self { store, object, e_tag, block: FIRST_BLOCK, held: Bytes::new(), read: start, mark: 0 }
    }

    /// The unconsumed bytes.
    pub(super) fn unused(&self) -> &[u8] {
        &self.held
    }

    /// Their offset in the file.
    pub(super) fn offset(&self) -> u64 {
        let offset = self.read - self.held.len() as u64;
        if offset <= self.mark { 0 } else { offset }
    }

    /// How many of them precede byte `end` of the file. A byte order mark belongs to the first record.
    pub(super) fn before(&self, end: u64) -> u64 {
        let start = self.read - self.held.len() as u64;
        if end <= self.offset() { 0 } else { end.saturating_sub(start).max(1) }
    }

    /// Whether nothing follows them in the file.
    pub(super) fn is_at_end(&self) -> bool {
        self.read >= self.object.size
    }

    /// Consumes the first `bytes`.
    pub(super) fn use_up(&mut self, bytes: usize) {
        let _ = self.held.split_to(bytes.min(self.held.len()));
    }

    /// Consumes everything up to and including the first line break; `false` if there is none so far.
    pub(super) fn use_up_line(&mut self) -> bool {
        let line = self.held.iter().position(|byte| *byte == b'\n');
        self.use_up(line.map_or(self.held.len(), |place| place + 1));
        line.is_some()
    }

    /// Reads another block.
    ///
    /// # Errors
    /// [`SessionError::FileChanged`] if the file has changed since it was listed, or the store's error.
    pub(super) async fn more(&mut self) -> Result<(), SessionError> {
        let end = self.read.saturating_add(self.block).min(self.object.size);
        if end <= self.read {
            return Ok(());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(self.read..end)),
            if_match: self.e_tag.clone(),
            ..GetOptions::default()
        };
        let result = self.store.get_opts(&self.object.location, options).await.map_err(|error| self.failed(error))?;
        // A store may return fractions of a second when listing, but not when reading.
        let same_time = result.meta.last_modified.timestamp() == self.object.last_modified.timestamp();
        if result.meta.size != self.object.size || !same_time {
            return Err(self.changed());
        }
        self.e_tag = result.meta.e_tag.clone();
        let mut block = result.bytes().await.map_err(|error| self.failed(error))?;
        if block.len() as u64 != end - self.read {
            return Err(self.changed());
        }
        if self.read == 0 && block.starts_with(BYTE_ORDER_MARK) {
            block = block.slice(BYTE_ORDER_MARK.len()..);
            self.mark = BYTE_ORDER_MARK.len() as u64;
        }
        self.held = match self.held.is_empty() {
            true => block,
            false => [self.held.as_ref(), block.as_ref()].concat().into(),
        };
        self.read = end;
        self.block = (self.block * 4).min(LARGEST_BLOCK);
        Ok(())
    }

    /// How many line breaks there are before byte `end`.
    ///
    /// # Errors
    /// As [`Input::more`].
    pub(super) async fn lines_before(&self, end: u64) -> Result<u64, SessionError> {
        let mut lines = 0;
        let mut start = 0;
        while start < end {
            let next = end.min(start + LARGEST_BLOCK);
            let block = self.store.get_range(&self.object.location, start..next).await;
            lines += block.map_err(|error| self.failed(error))?.iter().filter(|byte| **byte == b'\n').count() as u64;
            start = next;
        }
        Ok(lines)
    }

    fn changed(&self) -> SessionError {
        SessionError::FileChanged { path: self.object.location.to_string() }
    }

    fn failed(&self, error: object_store::Error) -> SessionError {
        match error {
            object_store::Error::NotFound { .. } | object_store::Error::Precondition { .. } => self.changed(),
            source => StorageError::Access { location: self.object.location.to_string(), source }.into(),
        }
    }
}

/// The error for the engine, which only retries tasks after an I/O error.
pub(super) fn for_engine(error: &SessionError) -> datafusion::error::DataFusionError {
    let failure = error.to_failure();
    if error.is_retryable() {
        return datafusion::error::DataFusionError::IoError(std::io::Error::other(failure));
    }
    datafusion::error::DataFusionError::External(Box::new(failure))
}
