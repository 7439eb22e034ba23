//! Writes output files named by the user: never partially, and never replacing another file unless requested.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use windlass_client::document::WrittenDocument;

use crate::args::{Global, Output};
use crate::failure::CommandError;
use crate::output::{self, bytes, counted};

/// A file that is being written. It gets its name when it is complete; until then it is a temporary file next to it,
/// which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct OutputFile {
    /// The file as the user named it.
    named: PathBuf,
    /// The target: after following links, if it replaces an existing file.
    target: PathBuf,
    /// The temporary file; `None` if written directly to the target, which is a pipe or a device.
    temporary: Option<PathBuf>,
    file: File,
    force: bool,
}

impl OutputFile {
    /// Refuses an existing file. To be called before computing the content.
    pub(crate) fn check(file: &Path, force: bool) -> Result<(), CommandError> {
        match !force && would_replace(file) {
            true => Err(CommandError::Exists { file: file.to_owned() }),
            false => Ok(()),
        }
    }

    /// Begins a file.
    pub(crate) fn create(named: &Path, force: bool) -> Result<Self, CommandError> {
        Self::check(named, force)?;
        let failed = |source| CommandError::Write { file: named.to_owned(), source };
        let target = fs::canonicalize(named).unwrap_or_else(|_| named.to_owned());
        if is_special(&target) {
            let file = File::options().write(true).open(&target).map_err(failed)?;
            return Ok(Self { named: named.to_owned(), target, temporary: None, file, force });
        }
        if target.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let temporary = temporary_path(&target).ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        let file = File::create_new(&temporary).map_err(failed)?;
        Ok(Self { named: named.to_owned(), target, temporary: Some(temporary), file, force })
    }

    /// Writes a whole file; returns its size, as [`OutputFile::finish`] does.
    pub(crate) fn write(named: &Path, force: bool, text: &str) -> Result<Option<u64>, CommandError> {
        let mut file = Self::create(named, force)?;
        file.file.write_all(text.as_bytes()).map_err(|source| file.failed(source))?;
        file.finish()
    }

    /// Something to write the file with.
    pub(crate) fn writer(&self) -> Result<File, CommandError> {
        self.file.try_clone().map_err(|source| self.failed(source))
    }

    /// Renames the file to its target; returns its size, which pipes and devices do not have.
    pub(crate) fn finish(mut self) -> Result<Option<u64>, CommandError> {
        let Some(temporary) = self.temporary.clone() else { return Ok(None) };
        self.file.sync_all().map_err(|source| self.failed(source))?;
        let bytes = self.file.metadata().map_err(|source| self.failed(source))?.len();
        let placed = match self.force {
            true => fs::rename(&temporary, &self.target),
            // Unlike renaming, this fails if the file was created in the meantime.
            false => fs::hard_link(&temporary, &self.target),
        };
        match placed {
            Ok(()) if self.force => self.temporary = None,
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || would_replace(&self.target) => {
                return Err(CommandError::Exists { file: self.named.clone() });
            }
            // Not every file system supports links.
            Err(_) => {
                fs::rename(&temporary, &self.target).map_err(|source| self.failed(source))?;
                self.temporary = None;
            }
        }
        Ok(Some(bytes))
    }

    fn failed(&self, source: io::Error) -> CommandError {
        CommandError::Write { file: self.named.clone(), source }
    }
}

/// Says what was written: as the JSON document, or else in a line on stderr.
pub(crate) fn report_written(global: &Global, written: &WrittenDocument) -> io::Result<()> {
    if global.output == Output::Json {
        return output::json(written);
    }
    output::note(line_about(written));
    Ok(())
}

fn line_about(written: &WrittenDocument) -> String {
    let facts = [written.rows.map(|rows| counted(rows, "row")), written.bytes.map(bytes)];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    match facts.as_slice() {
        [] => format!("wrote {}", written.file.display()),
        facts => format!("wrote {} to {}", facts.join(", "), written.file.display()),
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // It may already have its name by a link.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Whether writing would replace an existing file.
fn would_replace(file: &Path) -> bool {
    file.symlink_metadata().is_ok() && !is_special(file)
}

/// Whether it is a pipe, a terminal or another device: writing to it replaces nothing.
fn is_special(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A unique name in the same folder.
fn temporary_path(target: &Path) -> Option<PathBuf> {
    let name = target.file_name()?.to_string_lossy();
    let short: String = name.chars().take(64).collect();
    Some(target.with_file_name(format!(".{short}.{}", uuid::Uuid::new_v4().simple())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_known_of_a_file() {
        let line = |rows, bytes| {
            let format = "csv".to_owned();
            line_about(&WrittenDocument { file: "out/rows.csv".into(), format, rows, bytes })
        };
        assert_eq!(line(Some(1), Some(2_048)), "wrote 1 row, 2.00 KiB to out/rows.csv");
        assert_eq!(line(None, Some(12)), "wrote 12 B to out/rows.csv");
        assert_eq!(line(Some(1_000), None), "wrote 1,000 rows to out/rows.csv");
        assert_eq!(line(None, None), "wrote out/rows.csv");
    }
}
