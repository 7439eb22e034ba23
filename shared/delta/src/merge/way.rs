//! How replaced rows leave a table.

use serde::{Deserialize, Serialize};
use windlass_project::spec::table::MergeWrite;

use super::StagedMerge;
use super::touched::touched;
use crate::DeltaError;
use crate::pin::PinnedTable;

/// [`MergeWrite::Auto`] marks rows if fewer than one in so many rows of the touched files is replaced. Rewriting reads
/// and writes all the others, once; marking makes every later scan of the files skip rows.
const MARKED_AT_MOST_ONE_IN: u64 = 5;

/// The property of tables whose rows may be marked.
const VECTORS_ENABLED: &str = "delta.enableDeletionVectors";

/// How replaced rows leave a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeWay {
    /// The rows of their files that stay are copied to new files.
    Rewrite,
    /// They are marked in deletion vectors of their files.
    DeletionVectors,
}

/// How a merge into `table` is to replace rows, given what the stage asks for and what tasks have found.
///
/// Rows are marked only where the table has the feature on and the log counts the rows of every touched file, which
/// the protocol demands of files with vectors. `Auto` marks if less than a fifth of the touched files' rows are
/// replaced.
///
/// # Errors
/// [`WriteError::BadMerge`](crate::write::WriteError::BadMerge) if the merge is not one into this version.
pub fn choose(setting: MergeWrite, table: &PinnedTable, staged: &StagedMerge) -> Result<MergeWay, DeltaError> {
    let enabled = table.properties().get(VECTORS_ENABLED).is_some_and(|value| value == "true");
    let touched = touched(table, staged)?;
    // What is replaced as a whole is neither copied nor marked.
    let parts = || touched.iter().filter(|file| !file.is_whole());
    let replaced = parts().map(|file| file.replaced.len()).sum();
    let rows = parts().map(|file| file.rows.map(|rows| rows - file.deleted)).sum();
    Ok(way(setting, enabled, replaced, rows))
}

/// The rule, over `replaced` of the `rows` of the touched files.
fn way(setting: MergeWrite, enabled: bool, replaced: u64, rows: Option<u64>) -> MergeWay {
    let Some(rows) = rows.filter(|_| enabled) else { return MergeWay::Rewrite };
    match setting {
        MergeWrite::Rewrite => MergeWay::Rewrite,
        MergeWrite::DeletionVectors => MergeWay::DeletionVectors,
        MergeWrite::Auto if replaced.saturating_mul(MARKED_AT_MOST_ONE_IN) < rows => MergeWay::DeletionVectors,
        MergeWrite::Auto => MergeWay::Rewrite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_gets_what_it_asks_for_where_the_table_has_it() {
        assert_eq!(way(MergeWrite::DeletionVectors, true, 99, Some(100)), MergeWay::DeletionVectors);
        assert_eq!(way(MergeWrite::DeletionVectors, false, 1, Some(100)), MergeWay::Rewrite);
        assert_eq!(way(MergeWrite::DeletionVectors, true, 1, None), MergeWay::Rewrite);
        assert_eq!(way(MergeWrite::Rewrite, true, 1, Some(100)), MergeWay::Rewrite);
    }

    #[test]
    fn auto_marks_less_than_a_fifth() {
        assert_eq!(way(MergeWrite::Auto, true, 19, Some(100)), MergeWay::DeletionVectors);
        assert_eq!(way(MergeWrite::Auto, true, 20, Some(100)), MergeWay::Rewrite);
        assert_eq!(way(MergeWrite::Auto, true, 0, Some(0)), MergeWay::Rewrite);
        assert_eq!(way(MergeWrite::Auto, false, 1, Some(100)), MergeWay::Rewrite);
        assert_eq!(way(MergeWrite::Auto, true, 1, None), MergeWay::Rewrite);
    }
}
