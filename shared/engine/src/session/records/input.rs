//! The bytes of a file, a block after the other.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use windlass_base::error::Coded;
use windlass_storage::StorageError;

use crate::session::SessionError;

/// Bytes of the first block; each further one is four times as large, up to the largest.
const FIRST_BLOCK: u64 = 256 * 1024;
const LARGEST_BLOCK: u64 = 4 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What has been read of a file and not been used yet.
#[derive(Debug)]
pub(super) struct Input {
    store: Arc<dyn ObjectStore>,
    object: ObjectMeta,
    /// What the store called the file's content at the first read: all blocks are of one content.
    e_tag: Option<String>,
    block: u64,
    held: Bytes,
    /// Where in the file `held` ends.
    read: u64,
    /// Bytes of the mark that the file starts with: what comes after it is at the start.
    mark: u64,
}

impl Input {
    /// The file from byte `start` on.
    pub(super) fn new(store: Arc<dyn ObjectStore>, object: ObjectMeta, start: u64) -> Self {
        let e_tag = object.e_tag.clone();
        Self { store, object, e_tag, block: FIRST_BLOCK, held: Bytes::new(), read: start, mark: 0 }
    }

    /// The bytes that were read and not used.
    pub(super) fn unused(&self) -> &[u8] {
        &self.held
    }

    /// Where in the file they start.
    pub(super) fn offset(&self) -> u64 {
        let offset = self.read - self.held.len() as u64;
        if offset <= self.mark { 0 } else { offset }
    }

    /// How many of them lie before byte `end` of the file. A mark at the file's start is a part of what comes first.
    pub(super) fn before(&self, end: u64) -> u64 {
        let start = self.read - self.held.len() as u64;
        if end <= self.offset() { 0 } else { end.saturating_sub(start).max(1) }
    }

    /// Whether nothing follows them in the file.
    pub(super) fn is_at_end(&self) -> bool {
        self.read >= self.object.size
    }

    /// Leaves the first `bytes` behind.
    pub(super) fn use_up(&mut self, bytes: usize) {
        let _ = self.held.split_to(bytes.min(self.held.len()));
    }

    /// Leaves everything behind up to and with the first line break; `false` if there is none so far.
    pub(super) fn use_up_line(&mut self) -> bool {
        let line = self.held.iter().position(|byte| *byte == b'\n');
        self.use_up(line.map_or(self.held.len(), |place| place + 1));
        line.is_some()
    }

    /// Reads a block more.
    ///
    /// # Errors
    /// [`SessionError::FileChanged`] if the file is not what it was when it was listed, or what the store says.
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
        // A store may tell fractions of a second when it lists, and none when it reads.
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

/// The error for the engine, which tries a task again only after an I/O error.
pub(super) fn for_engine(error: &SessionError) -> datafusion::error::DataFusionError {
    let failure = error.to_failure();
    if error.is_retryable() {
        return datafusion::error::DataFusionError::IoError(std::io::Error::other(failure));
    }
    datafusion::error::DataFusionError::External(Box::new(failure))
}
