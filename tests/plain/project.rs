//! The files of a project folder.

use std::path::{Path, PathBuf};

use windlass_shared::spec::ProjectFiles;
use windlass_shared::spec::files::{MANIFEST, STAGES_DIR};

use super::PlainError;

/// The manifest and the stages of the project in `folder`.
///
/// # Errors
/// [`PlainError::Folder`] if one of them cannot be read.
pub fn read_project(folder: &Path) -> Result<ProjectFiles, PlainError> {
    let mut files = ProjectFiles::new();
    files.insert(MANIFEST, &read(folder.join(MANIFEST))?);
    add_stages(folder, STAGES_DIR, &mut files)?;
    Ok(files)
}

fn add_stages(folder: &Path, below: &str, files: &mut ProjectFiles) -> Result<(), PlainError> {
    let path = folder.join(below);
    let failed = |source| PlainError::Folder { path: path.clone(), source };
    for entry in std::fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(failed)?.is_dir() {
            add_stages(folder, &name, files)?;
        } else if name.ends_with(".sql") {
            files.insert(name, &read(entry.path())?);
        }
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<String, PlainError> {
    std::fs::read_to_string(&path).map_err(|source| PlainError::Folder { path, source })
}
