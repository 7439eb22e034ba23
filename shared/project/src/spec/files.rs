//! The texts of a project.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::source_map::Expanded;
use super::span::{Position, Span, line_and_column};

/// The file that makes a folder a project.
pub const MANIFEST: &str = "windlass.yaml";
/// The folder, at any depth of which each `.sql` and each `.plan` file is a stage.
pub const STAGES_DIR: &str = "stages";
/// The folder of the schema contracts, one a file.
pub const CONTRACTS_DIR: &str = "contracts";
/// The folder of the sub-DAGs: `NAME.yaml`, and the queries of its stages in the folder `NAME` beside it.
pub const SUBDAGS_DIR: &str = "subdags";
/// The extensions of the files below [`SUBDAGS_DIR`].
pub const SUBDAG_EXTENSIONS: [&str; 3] = ["yaml", "yml", "sql"];
/// The folder with files that projects of one organisation have in common.
pub const POLICIES_DIR: &str = "policies";
/// The folder of the tables that sources of rows name.
pub const SEEDS_DIR: &str = "seeds";
/// The extensions of the files below [`SEEDS_DIR`].
pub const SEED_EXTENSIONS: [&str; 1] = ["csv"];
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
/// Files that one project may have, of all kinds.
pub const MAX_FILES: usize = 10_000;

/// The files of a project: path below the project folder (parts separated by `/`) and text. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectFiles {
    files: BTreeMap<Arc<str>, Arc<str>>,
    /// What sub-DAGs were expanded to. Who has the files can make it again, so it is neither sent nor stored.
    #[serde(skip)]
    expanded: BTreeMap<Arc<str>, Arc<Expanded>>,
}

impl ProjectFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file, or replaces the one of that path. A byte order mark at its start is left out.
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

    /// These files and those of `others`, which win.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.files.extend(others.files.iter().map(|(path, text)| (path.clone(), text.clone())));
        self
    }

    /// These files, and what was made of some of them.
    #[must_use]
    pub(crate) fn with_expanded(&self, expanded: BTreeMap<Arc<str>, Arc<Expanded>>) -> Self {
        Self { files: self.files.clone(), expanded }
    }

    /// What a text was made of, if it was made of one.
    pub(super) fn expanded(&self, path: &str) -> Option<&Expanded> {
        self.expanded.get(path).map(AsRef::as_ref)
    }

    /// The file that a text is or was made of.
    pub(crate) fn origin<'f>(&'f self, path: &'f str) -> &'f str {
        self.expanded(path).map_or(path, |expanded| &expanded.origin)
    }

    /// The place in a file that a place in it, or in what was made of it, comes from.
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
