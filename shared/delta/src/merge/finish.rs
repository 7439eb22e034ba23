//! From what tasks have staged to what the commit contains.

use deltalake::kernel::{AddCDCFile, DeletionVectorDescriptor};
use serde::{Deserialize, Serialize};
use windlass_base::count::counted;
use windlass_storage::Stores;

use super::touched::{Touched, deleted_after, touched};
use super::vectors::VectorFile;
use super::{MergeCounts, MergeStrategy, StagedMerge};
use crate::DeltaError;
use crate::pin::PinnedTable;
use crate::write::{StagedFiles, WriteError};

/// What a merge's commit contains, for [`CommitRequest`](crate::commit::CommitRequest): `added` is what is staged,
/// `replacement` goes into [`CommitMode::Merge`](crate::commit::CommitMode::Merge).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergedFiles {
    /// Files with new rows and, if files are rewritten, those with the rows that stay.
    pub added: StagedFiles,
    /// What becomes of the files that the table has.
    pub replacement: Replacement,
}

/// What becomes of the files that a merge takes rows from, and the record of its changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// How many rows are changed.
    pub counts: MergeCounts,
    /// Files that rows are taken from.
    pub files: Vec<ReplacedFile>,
    /// Change data files: all changes of the commit, if there are any.
    #[serde(with = "crate::write::action_lines::change_files")]
    pub(crate) changes: Vec<AddCDCFile>,
}

/// A file that a merge takes rows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedFile {
    /// As the log names it.
    pub path: String,
    /// The vector of all its rows that are deleted; `None` if the file is removed.
    pub(crate) vector: Option<DeletionVectorDescriptor>,
}

impl ReplacedFile {
    /// Whether the file stays in the table, with a new deletion vector.
    pub fn stays(&self) -> bool {
        self.vector.is_some()
    }
}

/// Makes the commit's part of a merge into `table`, the version that the positions are of. `copies` are the files with
/// the rows of [`remaining_rows`](super::remaining_rows), written for [`MergeStrategy::Rewrite`]. For
/// [`MergeStrategy::DeletionVectors`] this writes the file of vectors, which nothing refers to before the commit.
///
/// # Errors
/// [`WriteError::BadMerge`] if the merge is not one into this version of the table, or if the copies are not the rows
/// that stay; [`WriteError::Vectors`] if vectors cannot be written; [`DeltaError::Log`] if the ones there are cannot be
/// read.
pub async fn finish(
    table: &PinnedTable,
    staged: &StagedMerge,
    strategy: MergeStrategy,
    copies: Option<StagedFiles>,
    stores: &Stores,
) -> Result<MergedFiles, DeltaError> {
    let touched = touched(table, staged)?;
    check_copies(table, &touched, strategy, copies.as_ref())?;
    let files = match strategy {
        MergeStrategy::Rewrite => touched.iter().map(removed).collect(),
        MergeStrategy::DeletionVectors => with_new_vectors(table, &touched, stores).await?,
    };
    let replacement = Replacement { counts: staged.counts(), files, changes: staged.changes.clone() };
    Ok(MergedFiles { added: staged.added.clone().and(copies.unwrap_or_default()), replacement })
}

fn removed(file: &Touched<'_>) -> ReplacedFile {
    ReplacedFile { path: file.log_path.to_owned(), vector: None }
}

/// Writes the vectors of `touched`, all in one file.
async fn with_new_vectors(
    table: &PinnedTable,
    touched: &[Touched<'_>],
    stores: &Stores,
) -> Result<Vec<ReplacedFile>, DeltaError> {
    let mut file = VectorFile::new();
    let mut replaced = Vec::with_capacity(touched.len());
    for (touched, deleted) in touched.iter().zip(deleted_after(table, touched, stores).await?) {
        if touched.rows.is_none() {
            let reason = format!("the log does not count the rows of `{}`, so none can be marked", touched.log_path);
            return Err(WriteError::BadMerge { table: table.location().to_string(), reason }.into());
        }
        let vector = if touched.is_whole() { None } else { Some(file.push(&deleted)?) };
        replaced.push(ReplacedFile { path: touched.log_path.to_owned(), vector });
    }
    if replaced.iter().any(ReplacedFile::stays) {
        file.write(table.location(), stores).await?;
    }
    Ok(replaced)
}

/// No row may be lost with a file that is removed, and none may be there twice.
fn check_copies(
    table: &PinnedTable,
    touched: &[Touched<'_>],
    strategy: MergeStrategy,
    copies: Option<&StagedFiles>,
) -> Result<(), WriteError> {
    let copied = copies.map_or(0, StagedFiles::rows);
    let staying: Option<u64> = match strategy {
        MergeStrategy::Rewrite => touched.iter().map(Touched::staying).sum(),
        MergeStrategy::DeletionVectors => Some(0),
    };
    let complete = match staying {
        Some(rows) => rows == copied,
        None => copies.is_some(),
    };
    if complete {
        return Ok(());
    }
    let expected = staying.map_or_else(|| "some rows".to_owned(), |rows| counted(rows, "row"));
    let reason = format!("the touched files keep {expected}, but the merge copied {copied}");
    Err(WriteError::BadMerge { table: table.location().to_string(), reason })
}
