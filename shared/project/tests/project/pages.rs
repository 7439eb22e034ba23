//! Parts of the documentation, for these tests and for those of runs (`tests/it`), which share this file.

use std::collections::BTreeSet;

use windlass_project::spec::ProjectFiles;

const CONTRACTS: &str = include_str!("../../../../docs/contracts.md");
const SUBDAGS: &str = include_str!("../../../../docs/subdags.md");

/// The widenings that the page of contracts lists, as pairs of types.
fn widenings() -> BTreeSet<(String, String)> {
    let rows =
        CONTRACTS.split_once("| from | to |").unwrap().1.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut found = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let words = |cell: &str| -> Vec<String> {
            cell.split('`').skip(1).step_by(2).map(|word| word.replace("(p,s)", "(12,2)")).collect()
        };
        for from in words(cells[0]) {
            found.extend(words(cells[1]).into_iter().map(|to| (from.clone(), to)));
        }
    }
    found
}

/// Whether the page of contracts lists that `from` is widened to `to`.
pub(crate) fn widens(from: &str, to: &str) -> bool {
    widenings().contains(&(from.to_owned(), to.to_owned()))
}

/// The files of the example on the page of sub-DAGs.
pub(crate) fn subdag_example() -> ProjectFiles {
    let yaml: Vec<&str> = SUBDAGS.split("```yaml\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect();
    let sql = SUBDAGS.split_once("```sql\n").unwrap().1.split_once("```").unwrap().0;
    ProjectFiles::from_iter([
        ("windlass.yaml", yaml[0]),
        ("subdags/cleaned.yaml", yaml[1]),
        ("subdags/cleaned/totals.sql", sql),
    ])
}
