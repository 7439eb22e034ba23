//! The files of submitted projects, by their digest, for as long as there is room.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
use windlass_api::v1::ProjectFile;
use windlass_api::{TransferError, digest};
use windlass_project::spec::files::MAX_FILE_BYTES;

/// Contents by digest, in memory only: a project that is refused leaves nothing behind.
#[derive(Debug)]
pub(super) struct FileCache {
    room: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    contents: HashMap<String, Entry>,
    bytes: usize,
    /// Counts uses, so that the least recently used goes first.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    content: Bytes,
    used: u64,
}

impl FileCache {
    /// A cache of at most `room` bytes.
    pub(super) fn new(room: usize) -> Self {
        Self { room, inner: Mutex::default() }
    }

    /// The digests of `files` whose contents are not here.
    pub(super) fn missing(&self, files: &[ProjectFile]) -> Vec<String> {
        let mut inner = self.inner.lock();
        let mut missing: Vec<String> =
            files.iter().filter(|file| inner.touch(&file.digest).is_none()).map(|file| file.digest.clone()).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Takes a content.
    pub(super) fn put(&self, claimed: String, content: Bytes) -> Result<(), TransferError> {
        if content.len() > MAX_FILE_BYTES {
            return Err(TransferError::FileTooLarge { path: claimed, bytes: content.len() as u64 });
        }
        if digest(&content) != claimed {
            return Err(TransferError::WrongDigest { digest: claimed });
        }
        let mut inner = self.inner.lock();
        if inner.touch(&claimed).is_some() {
            return Ok(());
        }
        inner.make_room(self.room.saturating_sub(content.len()));
        inner.bytes += content.len();
        inner.clock += 1;
        let used = inner.clock;
        inner.contents.insert(claimed, Entry { content, used });
        Ok(())
    }

    /// The contents of `files` that are here.
    pub(super) fn contents(&self, files: &[ProjectFile]) -> HashMap<String, Bytes> {
        let mut inner = self.inner.lock();
        files.iter().filter_map(|file| Some((file.digest.clone(), inner.touch(&file.digest)?))).collect()
    }
}

impl Inner {
    fn touch(&mut self, digest: &str) -> Option<Bytes> {
        self.clock += 1;
        let entry = self.contents.get_mut(digest)?;
        entry.used = self.clock;
        Some(entry.content.clone())
    }

    /// Drops what has not been used for longest until at most `bytes` are held.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let oldest = self.contents.iter().min_by_key(|(_, entry)| entry.used).map(|(digest, _)| digest.clone());
            let Some(dropped) = oldest.and_then(|digest| self.contents.remove(&digest)) else { return };
            self.bytes -= dropped.content.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> ProjectFile {
        ProjectFile { path: String::new(), digest: digest(content), size: content.len() as u64 }
    }

    #[test]
    fn keeps_what_was_used_last() {
        let cache = FileCache::new(8);
        for content in [b"aaaa", b"bbbb"] {
            cache.put(digest(content), Bytes::from_static(content)).unwrap();
        }
        assert!(cache.missing(&[file(b"aaaa")]).is_empty());
        cache.put(digest(b"cccc"), Bytes::from_static(b"cccc")).unwrap();
        assert_eq!(cache.missing(&[file(b"aaaa"), file(b"bbbb"), file(b"cccc")]), [digest(b"bbbb")]);
        assert_eq!(cache.contents(&[file(b"aaaa"), file(b"bbbb")]).len(), 1);
    }

    #[test]
    fn refuses_a_wrong_digest() {
        let cache = FileCache::new(8);
        let refused = cache.put(digest(b"a"), Bytes::from_static(b"b"));
        assert!(matches!(refused, Err(TransferError::WrongDigest { .. })));
    }
}
