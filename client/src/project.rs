//! Loads the files of a project from disk.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_base::coded;
use windlass_evidence::artifact::{RunRequestRecord, SavedPlan};
use windlass_project::graph::{PipelineGraph, check};
use windlass_project::spec::files::{
    CONTRACTS_DIR, MANIFEST, MAX_FILE_BYTES, MAX_FILES, POLICIES_DIR, SEED_EXTENSIONS, SEEDS_DIR, STAGE_EXTENSIONS,
    STAGES_DIR, SUBDAG_EXTENSIONS, SUBDAGS_DIR, TEST_EXTENSIONS, TESTS_DIR,
};
use windlass_project::spec::{ProjectFiles, codes};
use windlass_storage::Location;

use crate::error::ClientError;

/// The default home of a project.
const DEFAULT_HOME: &str = ".windlass";

/// The folders that are read in addition to `stages`, each with the extensions of its files.
const OPTIONAL_DIRS: [(&str, &[&str]); 4] =
    [(SUBDAGS_DIR, &SUBDAG_EXTENSIONS), (CONTRACTS_DIR, &YAML), (POLICIES_DIR, &YAML), (SEEDS_DIR, &SEED_EXTENSIONS)];
const YAML: [&str; 2] = ["yaml", "yml"];

/// Why a project could not be read from disk.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Neither the folder nor any of its parents is a project.
    #[error("no {MANIFEST} in {} or any folder above it", .0.display())]
    NoProject(PathBuf),
    /// The folder is not a project.
    #[error("no {MANIFEST} in {}", .0.display())]
    NoManifest(PathBuf),
    /// A project file is too large.
    #[error("{} has {bytes} bytes, a project file may have {MAX_FILE_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The project has too many files.
    #[error("the project has more than {MAX_FILES} files: stages, sub-DAGs, contracts, policies, seeds and fixtures")]
    TooMany,
    /// A file is not UTF-8 text.
    #[error("{} is not UTF-8 text: byte {byte} cannot be read", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The position of the first invalid byte, counted from 0.
        byte: usize,
    },
    /// The name of a file is not UTF-8.
    #[error("the file name {} is not UTF-8 text", .0.display())]
    BadFileName(PathBuf),
    /// A file has the extension of a project file in another case.
    #[error("{} is not read: extensions are in lower case", .0.display())]
    ExtensionCase(PathBuf),
    /// A link leads outside the project folder.
    #[error("{} is a link that leads out of the project folder", .0.display())]
    Outside(PathBuf),
    /// The file system returned an error.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The file system's error.
        source: io::Error,
    },
}

coded! {
    LoadError {
        NoProject => (codes::NO_PROJECT),
            "go to a project's folder, name one with `--project DIR`, or make one with `windlass init`";
        NoManifest => (codes::NO_MANIFEST),
            "go to a project's folder, name one with `--project DIR`, or make one with `windlass init`";
        TooLarge => (codes::LIMIT), "keep data out of project files: read it from a source";
        TooMany => (codes::LIMIT), "split it into several projects";
        NotUtf8 => (codes::NOT_UTF8), "save the file as UTF-8";
        BadFileName => (codes::NOT_UTF8), "rename the file with ASCII letters, digits and `_`";
        ExtensionCase => "WL0384", "rename the file with its extension in lower case, or move it elsewhere";
        Outside => (codes::OUTSIDE), "copy the file into the project";
        Io => (codes::UNREADABLE), "check that the file exists and that you may read it";
    }
}

/// A project that has been loaded, resolved and bound: with its target applied, and its sources relocated.
#[derive(Debug, Clone)]
pub struct Project {
    /// The project's folder, the base of relative locations.
    pub dir: PathBuf,
    /// The resolved pipeline.
    pub graph: Arc<PipelineGraph>,
    /// The relocated sources, as given: on a cluster, a relative location is resolved against the scheduler's `data`,
    /// not the current folder.
    pub sources: Vec<(String, String)>,
}

impl Project {
    /// Reads the project in `dir`, applies `target` and relocates `sources` (names and locations).
    ///
    /// # Errors
    /// [`ClientError::Load`] if the files cannot be read, [`ClientError::Project`] with every problem in them.
    pub fn open(dir: &Path, target: Option<&str>, sources: &[(String, String)]) -> Result<Self, ClientError> {
        let dir = std::path::absolute(dir).map_err(|source| LoadError::Io { path: dir.to_owned(), source })?;
        Self::from_files(&load_project(&dir)?, &dir, target, sources)
    }

    /// Reads the project in `dir` with the target and the sources of a saved plan.
    ///
    /// # Errors
    /// As [`Project::open`].
    pub fn open_for(dir: &Path, plan: &SavedPlan) -> Result<Self, ClientError> {
        let sources: Vec<(String, String)> = plan.request.sources.clone().into_iter().collect();
        Self::open(dir, plan.request.target.as_deref(), &sources)
    }

    /// Reads the project in `dir` with the target and the sources of a run, which was asked to do what `request` says.
    ///
    /// # Errors
    /// As [`Project::open`].
    pub fn open_as(dir: &Path, request: &RunRequestRecord) -> Result<Self, ClientError> {
        let sources: Vec<(String, String)> = request.request.sources.clone().into_iter().collect();
        Self::open(dir, request.request.target.as_deref(), &sources)
    }

    /// The project with the given `files`, as [`Project::open`]. Its relative locations are resolved against `dir`.
    ///
    /// # Errors
    /// [`ClientError::Project`] with every problem in the files.
    pub fn from_files(
        files: &ProjectFiles,
        dir: &Path,
        target: Option<&str>,
        sources: &[(String, String)],
    ) -> Result<Self, ClientError> {
        let dir = std::path::absolute(dir).map_err(|source| LoadError::Io { path: dir.to_owned(), source })?;
        let mut graph = check(files)?;
        if let Some(target) = target {
            graph = graph.apply_target(target)?;
        }
        for (name, location) in sources {
            // Locations on the command line are relative to the current folder.
            let location = match location.contains("://") {
                true => location.clone(),
                false => std::path::absolute(location)
                    .map_err(|source| LoadError::Io { path: location.into(), source })?
                    .display()
                    .to_string(),
            };
            graph = graph.with_source_at(name, &location)?;
        }
        Ok(Self { dir, graph: Arc::new(graph), sources: sources.to_vec() })
    }

    /// Where state, bundles and tables are stored: `given`, else the target's home, else `.windlass` in the project.
    ///
    /// # Errors
    /// [`ClientError::Storage`] if that is not a location.
    pub fn home(&self, given: Option<&str>) -> Result<Location, ClientError> {
        let here = std::path::absolute(".").map_err(|source| LoadError::Io { path: ".".into(), source })?;
        Ok(match (given, &self.graph.home) {
            (Some(given), _) => Location::parse(given, &here)?,
            (None, Some(home)) => Location::parse(home, &self.dir)?,
            (None, None) => Location::parse(DEFAULT_HOME, &self.dir)?,
        })
    }
}

/// The project that contains `start`: the nearest folder, itself or a parent, with a `windlass.yaml`.
pub fn find_project_dir(start: &Path) -> Result<PathBuf, LoadError> {
    let absolute = std::path::absolute(start).map_err(|source| LoadError::Io { path: start.to_owned(), source })?;
    let found = absolute.ancestors().find(|dir| dir.join(MANIFEST).is_file());
    found.map(Path::to_owned).ok_or_else(|| LoadError::NoProject(absolute.clone()))
}

/// Reads the files of the project in `dir`: `windlass.yaml` and every `.sql` and `.plan` file below `stages`. Hidden
/// files and folders are omitted.
pub fn load_project(dir: &Path) -> Result<ProjectFiles, LoadError> {
    let manifest = dir.join(MANIFEST);
    if !manifest.is_file() {
        return Err(LoadError::NoManifest(dir.to_owned()));
    }
    let root = dir.canonicalize().map_err(|source| LoadError::Io { path: dir.to_owned(), source })?;
    let mut loader = Loader { root, files: ProjectFiles::new(), seen: BTreeSet::new() };
    loader.file(&manifest, MANIFEST.to_owned())?;
    loader.folder(&dir.join(STAGES_DIR), STAGES_DIR, &STAGE_EXTENSIONS)?;
    for (other, extensions) in OPTIONAL_DIRS {
        loader.folder(&dir.join(other), other, extensions)?;
    }
    Ok(loader.files)
}

/// [`load_project`] together with the fixtures, which are not part of runs: every YAML and CSV file below `tests`.
pub fn load_project_with_fixtures(dir: &Path) -> Result<ProjectFiles, LoadError> {
    let files = load_project(dir)?;
    let root = dir.canonicalize().map_err(|source| LoadError::Io { path: dir.to_owned(), source })?;
    let mut loader = Loader { root, files: ProjectFiles::new(), seen: BTreeSet::new() };
    loader.folder(&dir.join(TESTS_DIR), TESTS_DIR, &TEST_EXTENSIONS)?;
    Ok(files.with(&loader.files))
}

struct Loader {
    /// The project's folder without links.
    root: PathBuf,
    files: ProjectFiles,
    /// The folders read so far, with links resolved, so that a link to a parent folder does not loop.
    seen: BTreeSet<PathBuf>,
}

impl Loader {
    /// Reads the files below a folder with one of the extensions; `name` is the folder's path below the project.
    fn folder(&mut self, path: &Path, name: &str, extensions: &[&str]) -> Result<(), LoadError> {
        if !path.is_dir() {
            return Ok(());
        }
        let real = self.inside(path)?;
        if !self.seen.insert(real) {
            return Ok(());
        }
        let io_error = |source| LoadError::Io { path: path.to_owned(), source };
        let mut entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(io_error)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let file_name = entry.file_name();
            if file_name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
            let wanted = extensions.contains(&extension);
            let is_dir = path.is_dir();
            if !is_dir && !wanted && extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)) {
                return Err(LoadError::ExtensionCase(path));
            }
            if !is_dir && !wanted {
                continue;
            }
            let Some(file_name) = file_name.to_str() else { return Err(LoadError::BadFileName(path)) };
            let name = format!("{name}/{file_name}");
            if is_dir {
                self.folder(&path, &name, extensions)?;
            } else {
                self.file(&path, name)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: String) -> Result<(), LoadError> {
        // The manifest is one additional file.
        if self.files.len() > MAX_FILES {
            return Err(LoadError::TooMany);
        }
        self.inside(path)?;
        let io_error = |source| LoadError::Io { path: path.to_owned(), source };
        let bytes = fs::metadata(path).map_err(io_error)?.len();
        if bytes > MAX_FILE_BYTES as u64 {
            return Err(LoadError::TooLarge { path: path.to_owned(), bytes });
        }
        let bytes = fs::read(path).map_err(io_error)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| LoadError::NotUtf8 { path: path.to_owned(), byte: error.valid_up_to() })?;
        self.files.insert(name, text);
        Ok(())
    }

    /// The path with links resolved, which must be inside the project.
    fn inside(&self, path: &Path) -> Result<PathBuf, LoadError> {
        let real = path.canonicalize().map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
        if real.starts_with(&self.root) { Ok(real) } else { Err(LoadError::Outside(path.to_owned())) }
    }
}
