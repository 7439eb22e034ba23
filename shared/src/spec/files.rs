//! The texts of a project.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::span::{Position, Span, line_and_column};

/// The file that makes a folder a project.
pub const MANIFEST: &str = "windlass.yaml";
/// The folder, at any depth of which each `.sql` and each `.plan` file is a stage.
pub const STAGES_DIR: &str = "stages";
/// The folder of the schema contracts, one a file.
pub const CONTRACTS_DIR: &str = "contracts";
/// The folder with files that projects of one organisation have in common.
pub const POLICIES_DIR: &str = "policies";
/// The folder of the fixtures, one a file, and of tables that they name. They are no part of what runs.
pub const TESTS_DIR: &str = "tests";
/// The extensions of the files that are fixtures, or tables that fixtures name.
pub const TEST_EXTENSIONS: [&str; 3] = ["yaml", "yml", "csv"];
/// The extensions of the files that are stages: a query, or a plan of the engine.
pub const STAGE_EXTENSIONS: [&str; 2] = ["sql", "plan"];
/// Bytes that one project file may have.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// Stages that one project may have.
pub const MAX_STAGES: usize = 1_000;

/// The files of a project: path below the project folder (parts separated by `/`) and text. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectFiles(BTreeMap<Arc<str>, Arc<str>>);

impl ProjectFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces the one of that path. A byte order mark at its start is left out.
    pub fn insert(&mut self, path: impl Into<Arc<str>>, text: &str) {
        self.0.insert(path.into(), text.strip_prefix('\u{feff}').unwrap_or(text).into());
    }

    /// The text of a file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(AsRef::as_ref)
    }

    /// Every file in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter()
    }

    /// The files that are not below `folder`.
    #[must_use]
    pub fn without(&self, folder: &str) -> Self {
        let outside = |path: &str| path.strip_prefix(folder).is_none_or(|rest| !rest.starts_with('/'));
        Self(self.0.iter().filter(|(path, _)| outside(path)).map(|(path, text)| (path.clone(), text.clone())).collect())
    }

    /// These files and those of `others`, which win.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().map(|(path, text)| (path.clone(), text.clone())));
        self
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A hash of every file's path and text, in 32 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in self.0.iter().flat_map(|(path, text)| [path, text]) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// The line and column at which `span` starts.
    pub fn position(&self, span: &Span) -> Position {
        let (line, column) = line_and_column(self.get(&span.file).unwrap_or_default(), span.start);
        Position { file: span.file.to_string(), line, column }
    }
}

impl<P: Into<Arc<str>>, T: AsRef<str>> FromIterator<(P, T)> for ProjectFiles {
    fn from_iter<I: IntoIterator<Item = (P, T)>>(files: I) -> Self {
        let mut all = Self::new();
        for (path, text) in files {
            all.insert(path, text.as_ref());
        }
        all
    }
}
