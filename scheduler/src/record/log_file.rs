//! `log.jsonl` while it grows.
//!
//! On a local disk every line is appended to the file with one write, so that it is there for `tail -f` and after a
//! `kill -9`. Objects cannot be appended to: elsewhere the whole log is put again, after every few lines and after
//! every line that matters.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use windlass_base::ids::RunId;
use windlass_evidence::artifact::{LOG_VERSION, LogEvent, LogKind, LogLevel};
use windlass_evidence::bundle::{BundleFiles, RecordError, complete_lines};

use super::store::{BundleStore, malformed};

/// How many lines of a log in an object store may be missing there.
const MOST_PENDING: usize = 32;
/// How old they may be when the next line comes.
const LONGEST_PENDING: Duration = Duration::from_secs(2);

/// The log of one run, open for appending.
#[derive(Debug)]
pub(super) struct LogFile {
    bundles: BundleStore,
    relative: String,
    run_id: RunId,
    next: u64,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File(File),
    Object {
        /// The log so far.
        content: Vec<u8>,
        pending: usize,
        last_put: Instant,
    },
}

impl LogFile {
    /// Opens the log to go on with it. A last line that a crash cut short is dropped.
    pub(super) async fn open(bundles: BundleStore, relative: String, run_id: RunId) -> Result<Self, RecordError> {
        let mut content = bundles.get(&relative).await?.map(Vec::from).unwrap_or_default();
        let whole = complete_lines(&content).len();
        content.truncate(whole);
        let next = content.iter().filter(|byte| **byte == b'\n').count() as u64;
        let sink = match bundles.local_path(&relative) {
            Some(path) => Sink::File(
                open_file(&path, whole as u64).map_err(|source| RecordError::Log { path: relative.clone(), source })?,
            ),
            None => Sink::Object { content, pending: 0, last_put: Instant::now() },
        };
        Ok(Self { bundles, relative, run_id, next, sink })
    }

    /// Appends an event; answers with it as written.
    pub(super) async fn append(&mut self, at: DateTime<Utc>, kind: LogKind) -> Result<LogEvent, RecordError> {
        let level = kind.level();
        let event = LogEvent { v: LOG_VERSION, ts: at, run_id: self.run_id.clone(), seq: self.next, level, kind };
        let mut line = serde_json::to_vec(&event).map_err(|source| malformed(&self.relative, source))?;
        line.push(b'\n');
        match &mut self.sink {
            Sink::File(file) => {
                file.write_all(&line).map_err(|source| RecordError::Log { path: self.relative.clone(), source })?;
            }
            Sink::Object { content, pending, .. } => {
                content.extend_from_slice(&line);
                *pending += 1;
            }
        }
        self.next += 1;
        if self.is_due(level) {
            self.put().await?;
        }
        Ok(event)
    }

    /// Makes sure that every line outlives the machine.
    pub(super) async fn flush(&mut self) -> Result<(), RecordError> {
        if let Sink::File(file) = &self.sink {
            return file.sync_all().map_err(|source| RecordError::Log { path: self.relative.clone(), source });
        }
        self.put().await
    }

    fn is_due(&self, level: LogLevel) -> bool {
        match &self.sink {
            Sink::File(_) => false,
            Sink::Object { pending, last_put, .. } => {
                level >= LogLevel::Warn || *pending >= MOST_PENDING || last_put.elapsed() >= LONGEST_PENDING
            }
        }
    }

    async fn put(&mut self) -> Result<(), RecordError> {
        if let Sink::Object { content, pending, last_put } = &mut self.sink
            && *pending > 0
        {
            self.bundles.put(&self.relative, content.clone().into()).await?;
            *pending = 0;
            *last_put = Instant::now();
        }
        Ok(())
    }
}

fn open_file(path: &Path, length: u64) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if file.metadata()?.len() != length {
        file.set_len(length)?;
    }
    Ok(file)
}
