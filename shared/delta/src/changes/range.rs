//! Which files hold the changes of a range of versions. Pure: it sees what the log says of each version, and no store.
//!
//! Delta protocol, "Change Data Files" and "Add CDC File": a commit that lists change data files says all of its changes
//! there; any other commit's changes are the rows of the data files that it adds and removes.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{ChangeError, Gap};
use crate::log::{FileAction, TableMetadata, VectorDescriptor};

/// What the log says of a range of versions.
#[derive(Debug, Clone, Default)]
pub struct LogFacts {
    /// The table's root, for messages.
    pub table: String,
    /// The newest version of the table.
    pub newest: u64,
    /// The metadata in force before the first version of the range; `None` if nothing comes before it, or if what came
    /// before cannot be known any more.
    pub before: Option<TableMetadata>,
    /// The commits of the range whose log files are there.
    pub commits: BTreeMap<u64, CommitFacts>,
}

/// What one commit did.
#[derive(Debug, Clone, Default)]
pub struct CommitFacts {
    /// When its log file was written, in milliseconds since 1970.
    pub written: i64,
    /// `commitInfo.inCommitTimestamp`, in milliseconds since 1970.
    pub in_commit_timestamp: Option<i64>,
    /// The metadata that it sets.
    pub table: Option<TableMetadata>,
    /// The data files that it adds.
    pub adds: Vec<FileAction>,
    /// The data files that it removes.
    pub removes: Vec<FileAction>,
    /// The change data files that it lists.
    pub recorded: Vec<FileAction>,
}

/// The files that hold the changes of the versions `first` to `last`, oldest change first.
#[derive(Debug, Clone)]
pub struct ChangeRange {
    /// The table's root, for messages.
    pub table: String,
    /// The first version whose changes are in it.
    pub first: u64,
    /// The last version whose changes are in it; below `first` if the range is empty.
    pub last: u64,
    /// The metadata in force at `last`.
    pub metadata: TableMetadata,
    /// The files to read.
    pub files: Vec<ChangedFile>,
}

/// A file that holds changes of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// The commit.
    pub version: u64,
    /// When the commit was made, in milliseconds since 1970.
    pub timestamp: i64,
    /// What happened to its rows.
    pub kind: ChangeKind,
    /// The file; its deletion vector counts only as far as `rows` says.
    pub file: FileAction,
    /// Which of its rows.
    pub rows: RowsRead,
    /// The table's partition columns when it was written, if they are others than in the end.
    pub partition_columns: Option<Vec<String>>,
}

/// What happened to the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// They were inserted.
    Insert,
    /// They were deleted.
    Delete,
    /// The file says it itself, row by row, in `_change_type`.
    Recorded,
}

/// Which rows of a file are changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowsRead {
    /// All of them.
    All,
    /// All but those of the vector.
    Without(VectorDescriptor),
    /// Those of one vector that are not in the other.
    Within {
        /// The vector that names the rows.
        within: VectorDescriptor,
        /// The vector whose rows are left out.
        without: Option<VectorDescriptor>,
    },
}

/// A file without which a range cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NeededFile<'a> {
    /// A data file or change data file, as the log names it.
    Data(&'a str),
    /// The file of a deletion vector.
    Vector(&'a VectorDescriptor),
}

/// Plans the changes of versions `first` to `last`, both inclusive: exactly those, or an error. `last` may be `first - 1`,
/// which is the empty range.
///
/// # Errors
/// [`ChangeError`] if any version of the range cannot be read, is not recorded, or does not fit the others.
pub fn plan(first: u64, last: u64, log: &LogFacts) -> Result<ChangeRange, ChangeError> {
    let gap = |gap| ChangeError::CursorGap { table: log.table.clone(), gap };
    if last.checked_add(1).is_none_or(|end| end < first) {
        return Err(gap(Gap::Backwards { first, last }));
    }
    if let Some(version) = [first.saturating_sub(1), last].into_iter().find(|version| *version > log.newest) {
        return Err(gap(Gap::Ahead { version, newest: log.newest }));
    }
    if let Some(version) = (first..=last).find(|version| !log.commits.contains_key(version)) {
        return Err(gap(Gap::Missing { version }));
    }
    let mut state = log.before.clone();
    if state.is_none() && first > 0 {
        return Err(gap(Gap::Missing { version: first - 1 }));
    }
    let mut files = Vec::new();
    for (version, commit) in log.commits.range(first..).take_while(|(version, _)| **version <= last) {
        let version = *version;
        let before = state.as_ref().map(|before| before.partition_columns.clone());
        state = Some(step(&log.table, version, state, commit.table.as_ref())?);
        let now = state.as_ref().map(|now| now.partition_columns.clone());
        let in_commit = state.as_ref().is_some_and(TableMetadata::has_in_commit_timestamps);
        let timestamp = commit.in_commit_timestamp.filter(|_| in_commit).unwrap_or(commit.written);
        let mut changed = changes_of(commit).map_err(|path| ChangeError::InvalidCommit {
            table: log.table.clone(),
            version,
            file: path.to_owned(),
        })?;
        changed.sort_by(|a, b| (&a.1.path, a.0).cmp(&(&b.1.path, b.0)));
        files.extend(changed.into_iter().map(|(kind, file, rows)| {
            // A file that is removed was written under what was in force before.
            let is_removed = kind == ChangeKind::Delete && !matches!(rows, RowsRead::Within { .. });
            let partition_columns = if is_removed { before.clone().or_else(|| now.clone()) } else { now.clone() };
            ChangedFile { version, timestamp, kind, file: file.clone(), rows, partition_columns }
        }));
    }
    let Some(metadata) = state else { return Err(gap(Gap::Missing { version: first })) };
    for file in &mut files {
        file.partition_columns.take_if(|columns| *columns == metadata.partition_columns);
    }
    Ok(ChangeRange { table: log.table.clone(), first, last, metadata, files })
}

/// The metadata in force at `version`, given that in force before and what the commit sets.
fn step(
    table: &str,
    version: u64,
    before: Option<TableMetadata>,
    set: Option<&TableMetadata>,
) -> Result<TableMetadata, ChangeError> {
    let table = table.to_owned();
    let now = match (before, set) {
        (None, None) => return Err(ChangeError::CursorGap { table, gap: Gap::Missing { version } }),
        (Some(before), None) => before,
        (None, Some(set)) => set.clone(),
        (Some(before), Some(set)) => {
            if before.id != set.id {
                return Err(ChangeError::TableReplaced { table, version });
            }
            let columns = before.incompatible_columns(set);
            if !columns.is_empty() {
                return Err(ChangeError::SchemaChanged { table, version, columns });
            }
            set.clone()
        }
    };
    if now.has_feed() { Ok(now) } else { Err(ChangeError::FeedDisabled { table, version }) }
}

type FileChange<'a> = (ChangeKind, &'a FileAction, RowsRead);

/// The changes of one commit; the path of a file that it names twice in the same way is the error.
fn changes_of(commit: &CommitFacts) -> Result<Vec<FileChange<'_>>, &str> {
    let recorded = by_path(&commit.recorded)?;
    if !recorded.is_empty() {
        return Ok(recorded.into_values().map(|file| (ChangeKind::Recorded, file, all_but(file))).collect());
    }
    let (adds, removes) = (by_path(&commit.adds)?, by_path(&commit.removes)?);
    let paths: BTreeSet<&str> = adds.keys().chain(removes.keys()).copied().collect();
    let mut changes = Vec::new();
    for path in paths {
        match (removes.get(path).copied(), adds.get(path).copied()) {
            // The file stays: what differs is which of its rows are deleted.
            (Some(removed), Some(added)) if removed.data_change || added.data_change => {
                let (old, new) = (&removed.deletion_vector, &added.deletion_vector);
                if old != new {
                    changes.extend(within(new, old).map(|rows| (ChangeKind::Delete, removed, rows)));
                    changes.extend(within(old, new).map(|rows| (ChangeKind::Insert, added, rows)));
                }
            }
            (Some(removed), None) if removed.data_change => {
                changes.push((ChangeKind::Delete, removed, all_but(removed)));
            }
            (None, Some(added)) if added.data_change => changes.push((ChangeKind::Insert, added, all_but(added))),
            _ => {}
        }
    }
    Ok(changes)
}

fn by_path(files: &[FileAction]) -> Result<BTreeMap<&str, &FileAction>, &str> {
    let mut by_path = BTreeMap::new();
    for file in files {
        if by_path.insert(file.path.as_str(), file).is_some() {
            return Err(&file.path);
        }
    }
    Ok(by_path)
}

fn all_but(file: &FileAction) -> RowsRead {
    file.deletion_vector.clone().map_or(RowsRead::All, RowsRead::Without)
}

/// The rows of one vector that are not in the other.
fn within(vector: &Option<VectorDescriptor>, without: &Option<VectorDescriptor>) -> Option<RowsRead> {
    vector.clone().map(|within| RowsRead::Within { within, without: without.clone() })
}

impl ChangeRange {
    /// The range in parts, of which each has files that are partitioned by the same columns; at least one.
    pub fn by_partitioning(self) -> Vec<Self> {
        let Self { table, first, last, metadata, files } = self;
        let mut parts: Vec<Self> = Vec::new();
        let part = |partition_columns: Vec<String>, files: Vec<ChangedFile>| {
            let metadata = TableMetadata { partition_columns, ..metadata.clone() };
            Self { table: table.clone(), first, last, metadata, files }
        };
        for mut file in files {
            let columns = file.partition_columns.take().unwrap_or_else(|| metadata.partition_columns.clone());
            match parts.iter_mut().find(|part| part.metadata.partition_columns == columns) {
                Some(part) => part.files.push(file),
                None => parts.push(part(columns, vec![file])),
            }
        }
        if parts.is_empty() {
            parts.push(part(metadata.partition_columns.clone(), Vec::new()));
        }
        parts
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether all that happened is that whole new files of rows were inserted.
    pub fn insert_only(&self) -> bool {
        self.files
            .iter()
            .all(|changed| changed.kind == ChangeKind::Insert && !matches!(changed.rows, RowsRead::Within { .. }))
    }

    /// The files without which the range cannot be read, with the version that needs each first.
    pub fn needed(&self) -> BTreeMap<NeededFile<'_>, u64> {
        let mut needed = BTreeMap::new();
        for changed in &self.files {
            let mut need = |file| {
                needed.entry(file).or_insert(changed.version);
            };
            need(NeededFile::Data(&changed.file.path));
            let vectors = match &changed.rows {
                RowsRead::All => [None, None],
                RowsRead::Without(without) => [Some(without), None],
                RowsRead::Within { within, without } => [Some(within), without.as_ref()],
            };
            vectors.into_iter().flatten().filter(|vector| !vector.is_inline()).for_each(|vector| {
                need(NeededFile::Vector(vector));
            });
        }
        needed
    }

    /// Checks that every file that the range needs exists.
    ///
    /// # Errors
    /// [`ChangeError::Vacuumed`] naming the oldest for which `exists` is false.
    pub fn check_files(&self, exists: impl Fn(&NeededFile<'_>) -> bool) -> Result<(), ChangeError> {
        let needed = self.needed();
        let missing = needed.iter().filter(|(file, _)| !exists(file)).min_by_key(|(_, version)| **version);
        match missing {
            None => Ok(()),
            Some((NeededFile::Data(path), version)) => Err(self.vacuumed(*version, path)),
            Some((NeededFile::Vector(vector), version)) => Err(self.vacuumed(*version, &vector.path_or_inline_dv)),
        }
    }

    /// The error that says that `file`, which holds changes of `version`, is gone.
    pub(super) fn vacuumed(&self, version: u64, file: &str) -> ChangeError {
        ChangeError::Vacuumed { table: self.table.clone(), version, file: file.to_owned() }
    }
}
