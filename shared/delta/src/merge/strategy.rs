//! How replaced rows leave a table.

use serde::{Deserialize, Serialize};
use windlass_project::spec::table::MergeWrite;

use super::StagedMerge;
use super::touched::touched;
use crate::DeltaError;
use crate::pin::PinnedTable;

/// [`MergeWrite::Auto`] writes deletion vectors if fewer than one in so many rows of the touched files is replaced. Rewriting reads
/// and writes all the others, once; marking makes every later scan of the files skip rows.
const VECTORS_BELOW_ONE_IN: u64 = 5;

/// The property of tables that may have deletion vectors.
const VECTORS_ENABLED: &str = "delta.enableDeletionVectors";

/// How replaced rows leave a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeStrategy {
    /// The rows of their files that stay are copied to new files.
    Rewrite,
    /// They are deleted by the deletion vectors of their files.
    DeletionVectors,
}

/// How a merge into `table` is to replace rows, given what the stage asks for and what tasks have found.
///
/// Deletion vectors are written only where the table has the feature on and the log counts the rows of every touched file, which
/// the protocol demands of files with vectors. `Auto` writes them if less than a fifth of the touched files' rows are
/// replaced.
///
/// # Errors
/// [`WriteError::BadMerge`](crate::write::WriteError::BadMerge) if the merge is not one into this version.
pub fn choose_strategy(
    setting: MergeWrite,
    table: &PinnedTable,
    staged: &StagedMerge,
) -> Result<MergeStrategy, DeltaError> {
    let enabled = table.properties().get(VECTORS_ENABLED).is_some_and(|value| value == "true");
    let touched = touched(table, staged)?;
    // A file that is replaced as a whole is neither copied nor given a vector.
    let parts = || touched.iter().filter(|file| !file.is_whole());
    let replaced = parts().map(|file| file.replaced.len()).sum();
    let rows = parts().map(|file| file.rows.map(|rows| rows - file.deleted)).sum();
    Ok(strategy(setting, enabled, replaced, rows))
}

/// The rule, over `replaced` of the `rows` of the touched files.
fn strategy(setting: MergeWrite, enabled: bool, replaced: u64, rows: Option<u64>) -> MergeStrategy {
    let Some(rows) = rows.filter(|_| enabled) else { return MergeStrategy::Rewrite };
    match setting {
        MergeWrite::Rewrite => MergeStrategy::Rewrite,
        MergeWrite::DeletionVectors => MergeStrategy::DeletionVectors,
        MergeWrite::Auto if replaced.saturating_mul(VECTORS_BELOW_ONE_IN) < rows => MergeStrategy::DeletionVectors,
        MergeWrite::Auto => MergeStrategy::Rewrite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_gets_what_it_asks_for_where_the_table_has_it() {
        assert_eq!(strategy(MergeWrite::DeletionVectors, true, 99, Some(100)), MergeStrategy::DeletionVectors);
        assert_eq!(strategy(MergeWrite::DeletionVectors, false, 1, Some(100)), MergeStrategy::Rewrite);
        assert_eq!(strategy(MergeWrite::DeletionVectors, true, 1, None), MergeStrategy::Rewrite);
        assert_eq!(strategy(MergeWrite::Rewrite, true, 1, Some(100)), MergeStrategy::Rewrite);
    }

    #[test]
    fn auto_marks_less_than_a_fifth() {
        assert_eq!(strategy(MergeWrite::Auto, true, 19, Some(100)), MergeStrategy::DeletionVectors);
        assert_eq!(strategy(MergeWrite::Auto, true, 20, Some(100)), MergeStrategy::Rewrite);
        assert_eq!(strategy(MergeWrite::Auto, true, 0, Some(0)), MergeStrategy::Rewrite);
        assert_eq!(strategy(MergeWrite::Auto, false, 1, Some(100)), MergeStrategy::Rewrite);
        assert_eq!(strategy(MergeWrite::Auto, true, 1, None), MergeStrategy::Rewrite);
    }
}
