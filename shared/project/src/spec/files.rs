//! The texts of a project.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::source_map::Expanded;
use super::span::{Position, Span, line_and_column};

/// The manifest file of a project.
pub const MANIFEST: &str = "windlass.yaml";
/// The folder in which every `.sql` and `.plan` file, at any depth, is a stage.
pub const STAGES_DIR: &str = "stages";
/// The folder of the schema contracts, one per file.
pub const CONTRACTS_DIR: &str = "contracts";
/// The folder of the sub-DAGs: `NAME.yaml`, and the queries of its stages in the folder `NAME` next to it.
pub const SUBDAGS_DIR: &str = "subdags";
/// The extensions of the files below [`SUBDAGS_DIR`].
pub const SUBDAG_EXTENSIONS: [&str; 3] = ["yaml", "yml", "sql"];
/// The folder with files shared by the projects of an organisation.
pub const POLICIES_DIR: &str = "policies";
/// The folder of the CSV files of `rows` sources.
pub const SEEDS_DIR: &str = "seeds";
/// The extensions of the files below [`SEEDS_DIR`].
pub const SEED_EXTENSIONS: [&str; 1] = ["csv"];
/// The folder of the fixtures, one per file, and of tables that they refer to. They are not part of what runs.
pub const TESTS_DIR: &str = "tests";
/// The extensions of fixtures and of their tables.
pub const TEST_EXTENSIONS: [&str; 3] = ["yaml", "yml", "csv"];
/// The extensions of the files that are stages: a query, or a plan of the engine.
pub const STAGE_EXTENSIONS: [&str; 2] = ["sql", "plan"];
/// The maximum size of a project file in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// The maximum number of stages of a project.
pub const MAX_STAGES: usize = 1_000;
/// The maximum number of files of a project.
pub const MAX_FILES: usize = 10_000;

/// The files of a project: path below the project folder (parts separated by `/`) and text. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectFiles {
    files: BTreeMap<Arc<str>, Arc<str>>,
    /// The expanded texts of sub-DAGs. They can be regenerated from the files, so they are neither sent nor stored.
    #[serde(skip)]
    expanded: BTreeMap<Arc<str>, Arc<Expanded>>,
}

impl ProjectFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces the one of that path. A byte order mark at its start is omitted.
    pub fn insert(&mut self, path: impl Into<Arc<str>>, text: &str) {
        self.files.insert(path.into(), text.strip_prefix('\u{feff}').unwrap_or(text).into());
    }

    /// The text of a file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(AsRef::as_ref)
    }

    /// Every file in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.files.iter()
    }

    /// The files that are not below `folder`.
    #[must_use]
    pub fn without(&self, folder: &str) -> Self {
        let outside = |path: &str| path.strip_prefix(folder).is_none_or(|rest| !rest.starts_with('/'));
        let files = self.files.iter().filter(|(path, _)| outside(path));
        Self {
            files: files.map(|(path, text)| (path.clone(), text.clone())).collect(),
            expanded: self.expanded.clone(),
        }
    }

    /// These files and those of `others`, which take precedence.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.files.extend(others.files.iter().map(|(path, text)| (path.clone(), text.clone())));
        self
    }

    /// These files, with the texts expanded from them.
    #[must_use]
    pub(crate) fn with_expanded(&self, expanded: BTreeMap<Arc<str>, Arc<Expanded>>) -> Self {
        Self { files: self.files.clone(), expanded }
    }

    /// The expansion of a path, if it is an expanded text.
    pub(super) fn expanded(&self, path: &str) -> Option<&Expanded> {
        self.expanded.get(path).map(AsRef::as_ref)
    }

    /// The source file of a text.
    pub(crate) fn origin<'f>(&'f self, path: &'f str) -> &'f str {
        self.expanded(path).map_or(path, |expanded| &expanded.origin)
    }

    /// Maps a span in a file, or in a text expanded from it, to the source file.
    fn original(&self, span: &Span) -> Span {
        self.expanded(&span.file).map_or_else(|| span.clone(), |expanded| expanded.original(span))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A hash of every file's path and text, in 32 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in self.files.iter().flat_map(|(path, text)| [path, text]) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// The line and column at which `span` starts.
    pub fn position(&self, span: &Span) -> Position {
        let span = self.original(span);
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
