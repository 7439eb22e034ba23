//! Tables written by merges, read by independent programs: tests/readers. They need Python and are enabled by
//! `WINDLASS_READERS`.

use std::path::Path;
use std::process::Command;

use windlass_delta::merge::MergeStrategy;
use windlass_project::spec::table::WriteMode;
use windlass_tests::{Requirement, skip};

use super::lab::{define, merge};
use crate::delta_write::lab::Lab;

#[tokio::test(flavor = "multi_thread")]
async fn other_programs_read_what_merges_have_made() {
    if std::env::var_os("WINDLASS_READERS").is_none() {
        skip(Requirement::Readers, "other programs read tables where WINDLASS_READERS is set");
        return;
    }
    let (merged, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, partitioned, ways) in [
        ("marked", false, [MergeStrategy::DeletionVectors, MergeStrategy::DeletionVectors]),
        ("marked_parts", true, [MergeStrategy::DeletionVectors, MergeStrategy::DeletionVectors]),
        ("rewritten", true, [MergeStrategy::Rewrite, MergeStrategy::Rewrite]),
        ("both", false, [MergeStrategy::DeletionVectors, MergeStrategy::Rewrite]),
    ] {
        let lab = Lab::on_disk();
        let rows = |from: i64, to: i64, step: i64, name: &str| {
            format!(
                "SELECT value AS id, nullif(value % 3, 2) AS p, '{name} ' || value AS name, \
                 CAST(value AS DECIMAL(12, 3)) / 8 AS price, value % 10 = 7 AS gone \
                 FROM generate_series({from}, {to}, {step})"
            )
        };
        // More than one chunk of a bitmap, some of them too dense to be a list of numbers.
        let first = lab.rows(&rows(1, 200_000, 1, "old")).await.project(&[0, 1, 2, 3]).unwrap();
        let mut definition = define(&lab, first.schema());
        if partitioned {
            definition.partition_by = vec!["p".to_owned()];
        }
        lab.write(&definition, &first, WriteMode::Append, 0).await;
        let second = lab.rows(&rows(1, 250_000, 7, "second")).await;
        merge(&lab, &definition, &second, ways[0], 1).await;
        let third = lab.rows(&rows(20_000, 60_000, 2, "third")).await;
        merge(&lab, &definition, &third, ways[1], 2).await;

        let sql = "SELECT id, p, name, price FROM (
                SELECT *, row_number() OVER (PARTITION BY id ORDER BY round DESC) AS n FROM (
                    SELECT 1 AS round, id, p, name, price, false AS gone FROM round_1
                    UNION ALL SELECT 2, id, p, name, price, gone FROM round_2
                    UNION ALL SELECT 3, id, p, name, price, gone FROM round_3)) WHERE n = 1 AND NOT gone";
        for (table, batch) in [("round_1", first), ("round_2", second), ("round_3", third)] {
            lab.context.register_batch(table, batch).unwrap();
        }
        let expected = lab.rows(sql).await;
        let twin = Lab::on_disk();
        twin.write(&twin.define("t", expected.schema()), &expected, WriteMode::Append, 0).await;
        for (lab, folder) in [(&lab, &merged), (&twin, &plain)] {
            copy(&lab.path("t"), &folder.path().join(name));
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/run.sh");
    let output = Command::new(script).args([merged.path(), plain.path()]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(printed.matches(" EQUAL").count(), 4, "{printed}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            drop(std::fs::copy(entry.path(), to))
        }
    }
}
