//! The files of a project on the wire, addressed by their content.

use std::collections::HashMap;
use std::hash::BuildHasher;

use bytes::Bytes;
use windlass_base::coded;
use windlass_base::error::ErrorCode;
use windlass_base::ids::received::check_relative_path;
use windlass_project::spec::ProjectFiles;
use windlass_project::spec::files::{MAX_FILE_BYTES, MAX_STAGES};

use super::v1;

/// The code with which files are refused that have not arrived, or not as they were sent: they are to be sent again.
pub const FILES_MISSING: ErrorCode = ErrorCode("WL0803");

/// Why the files of a project are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// An invalid path.
    #[error("`{path}` is not a valid path of a file in a project: {reason}")]
    BadPath {
        /// The path.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// Two files have the same path.
    #[error("`{path}` is given twice")]
    Twice {
        /// The path.
        path: String,
    },
    /// The project is too large.
    #[error("the project's files have {bytes} bytes, and the scheduler takes up to {limit}")]
    TooLarge {
        /// Bytes of all files.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are too many files, or one is too large.
    #[error("`{path}` has {bytes} bytes, and a project file may have {MAX_FILE_BYTES}")]
    FileTooLarge {
        /// The path or digest.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// There are too many files.
    #[error("the project has {files} files, and may have {}", MAX_STAGES + 1)]
    TooMany {
        /// How many.
        files: usize,
    },
    /// The content does not match its digest.
    #[error("the content uploaded as {digest} has another digest")]
    WrongDigest {
        /// The digest that was given.
        digest: String,
    },
    /// A file's content is missing.
    #[error("the content of `{path}` has not been uploaded")]
    Missing {
        /// The path.
        path: String,
    },
    /// A file is not UTF-8.
    #[error("`{path}` is not UTF-8 text")]
    NotUtf8 {
        /// The path.
        path: String,
    },
}

coded! {
    TransferError {
        BadPath | Twice | NotUtf8 => "WL0801",
            "send text files by their path below the project's folder, parts separated by `/`";
        TooLarge | FileTooLarge | TooMany => "WL0802",
            "keep data out of project files, split the project, or raise `project-limit` of the scheduler";
        WrongDigest | Missing => (FILES_MISSING) retry, "upload the project's files again, then submit again";
    }
}

/// The digest of a content: BLAKE3 in 64 hexadecimal digits.
pub fn digest(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

/// The manifest of a project's files for a submission.
pub fn manifest(files: &ProjectFiles) -> Vec<v1::ProjectFile> {
    let entry = |(path, text): (&std::sync::Arc<str>, &std::sync::Arc<str>)| v1::ProjectFile {
        path: path.to_string(),
        digest: digest(text.as_bytes()),
        size: text.len() as u64,
    };
    files.iter().map(entry).collect()
}

/// Whether a path stays inside a project's folder.
///
/// # Errors
/// [`TransferError::BadPath`].
pub fn check_path(path: &str) -> Result<(), TransferError> {
    check_relative_path(path).map_err(|reason| TransferError::BadPath { path: path.to_owned(), reason })
}

/// Assembles the project of a manifest from the contents by digest.
///
/// # Errors
/// [`TransferError`]; sizes are checked first.
pub fn assemble<S: BuildHasher>(
    manifest: &[v1::ProjectFile],
    contents: &HashMap<String, Bytes, S>,
    limit: u64,
) -> Result<ProjectFiles, TransferError> {
    check_manifest(manifest, limit)?;
    let mut files = ProjectFiles::new();
    for file in manifest {
        let path = || file.path.clone();
        let content = contents.get(&file.digest).ok_or_else(|| TransferError::Missing { path: path() })?;
        if content.len() as u64 != file.size {
            return Err(TransferError::WrongDigest { digest: file.digest.clone() });
        }
        let text = std::str::from_utf8(content).map_err(|_| TransferError::NotUtf8 { path: path() })?;
        if files.get(&file.path).is_some() {
            return Err(TransferError::Twice { path: path() });
        }
        files.insert(file.path.as_str(), text);
    }
    Ok(files)
}

/// Checks the limits of a manifest.
fn check_manifest(manifest: &[v1::ProjectFile], limit: u64) -> Result<(), TransferError> {
    if manifest.len() > MAX_STAGES + 1 {
        return Err(TransferError::TooMany { files: manifest.len() });
    }
    let bytes = manifest.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    if bytes > limit {
        return Err(TransferError::TooLarge { bytes, limit });
    }
    for file in manifest {
        check_path(&file.path)?;
        if file.size > MAX_FILE_BYTES as u64 {
            return Err(TransferError::FileTooLarge { path: file.path.clone(), bytes: file.size });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> ProjectFiles {
        files.iter().copied().collect()
    }

    fn contents(files: &ProjectFiles) -> HashMap<String, Bytes> {
        files.iter().map(|(_, text)| (digest(text.as_bytes()), Bytes::copy_from_slice(text.as_bytes()))).collect()
    }

    #[test]
    fn a_project_arrives_as_it_was_sent() {
        let files = project(&[("windlass.yaml", "name: a\n"), ("stages/b.sql", "SELECT 1"), ("stages/c.sql", "")]);
        assert_eq!(assemble(&manifest(&files), &contents(&files), 100).unwrap(), files);
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["a.sql", "stages/x/y.sql", "stages/..x.sql"] {
            check_path(path).unwrap();
        }
        for path in ["", "/etc/passwd", "../a", "stages/../../a", "a//b", "./a", "C:/a", "a\\b", "a\nb", "a/"] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn limits_and_digests_are_enforced() {
        let files = project(&[("windlass.yaml", "name: a\n")]);
        let mut entries = manifest(&files);
        assert!(matches!(assemble(&entries, &contents(&files), 7), Err(TransferError::TooLarge { .. })));
        assert!(matches!(assemble(&entries, &HashMap::new(), 8), Err(TransferError::Missing { .. })));
        entries[0].size = 7;
        assert!(matches!(assemble(&entries, &contents(&files), 8), Err(TransferError::WrongDigest { .. })));
        entries.push(v1::ProjectFile { size: MAX_FILE_BYTES as u64 + 1, ..entries[0].clone() });
        assert!(matches!(assemble(&entries, &contents(&files), 1 << 30), Err(TransferError::FileTooLarge { .. })));
    }
}
