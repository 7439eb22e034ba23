//! Which files are rewritten.

use windlass_delta::maintenance::layout_mark;
use windlass_evidence::artifact::MaintenanceKind::{Compact, Zorder};
use windlass_project::maintenance::Readers;

use super::*;

fn deleted(mut file: FileFacts, rows: u64) -> FileFacts {
    file.deleted_rows = Some(rows);
    file
}

fn within(partition: &str, mut files: Vec<FileFacts>) -> Vec<FileFacts> {
    for file in &mut files {
        file.partition = vec![Some(partition.to_owned())];
    }
    files
}

fn laid_out(mut files: Vec<FileFacts>, columns: &[&str]) -> Vec<FileFacts> {
    let columns: Vec<_> = columns.iter().map(|column| (*column).to_owned()).collect();
    for file in &mut files {
        file.layout = Some(layout_mark(&columns));
    }
    files
}

/// A case whose rows are laid out by `x`.
fn ordered(files: Vec<FileFacts>) -> Case {
    let mut case = Case::of(files);
    case.policy.optimize.zorder = vec!["x".to_owned()];
    case
}

#[test]
fn small_files_are_combined_when_there_are_more_than_allowed() {
    let case = Case::of(files("a", 3, 40 * MIB));
    assert_eq!(
        case.told(Compact),
        "not due: not more than 3 files are below 50.0 MiB, and none has deleted rows, 0.2 of all or more"
    );
    let case = Case::of([files("a", 4, 40 * MIB), files("b", 1, 50 * MIB)].concat());
    assert_eq!(case.told(Compact), "due: there are 4 files below 50.0 MiB [4 files, 167772160 bytes]");
    assert_eq!(case.bins(Compact), ["a00 a01", "a02 a03"]);
    let rewrite = case.rewrite(Compact).unwrap();
    assert_eq!((rewrite.target_file_bytes, rewrite.zorder.len()), (100 * MIB, 0));
    assert_eq!(rewrite.bins[0].bytes, 80 * MIB);
}

#[test]
fn files_go_into_the_first_bin_with_room_whatever_their_order_in_the_log() {
    let mut sizes =
        [("a", 45), ("b", 40), ("c", 45), ("d", 10), ("e", 5), ("f", 49)].map(|(path, mib)| file(path, mib * MIB));
    let bins = Case::of(sizes.to_vec()).bins(Compact);
    assert_eq!(bins, ["a b d e", "c f"]);
    sizes.reverse();
    assert_eq!(Case::of(sizes.to_vec()).bins(Compact), bins);
}

#[test]
fn a_small_file_alone_in_its_bin_stays() {
    let case = Case::of(files("a", 5, 40 * MIB));
    assert_eq!(case.bins(Compact), ["a00 a01", "a02 a03"]);
    let mut case = Case::of(files("a", 1, 40 * MIB));
    case.policy.optimize.small_files = 0;
    assert_eq!(
        case.told(Compact),
        "not due: no file below 50.0 MiB has another to be combined with, and none has deleted rows, 0.2 of all or more"
    );
}

#[test]
fn the_writers_target_counts_unless_the_policy_has_one() {
    let mut case = Case::of(files("a", 4, 40 * MIB));
    case.policy.optimize.target_file_bytes = None;
    assert!(!case.step(Compact).action.due, "40 MiB are not below half of 64");
}

#[test]
fn files_are_rewritten_without_their_deleted_rows() {
    let case = Case::of(vec![
        deleted(file("a", 100 * MIB), 20),
        deleted(file("b", 100 * MIB), 19),
        deleted(file("c", 100 * MIB), 100),
        file("d", 10 * MIB),
    ]);
    assert_eq!(
        case.told(Compact),
        "due: there are 2 files with deleted rows, 0.2 of all or more [2 files, 209715200 bytes]"
    );
    assert_eq!(case.bins(Compact), ["a c"], "nothing is left of `c`, and `d` is the only small file");
    let mut unknown = deleted(file("a", 100 * MIB), 20);
    unknown.rows = None;
    let mut empty = deleted(file("b", MIB), 0);
    empty.rows = Some(0);
    assert!(!Case::of(vec![unknown, empty]).step(Compact).action.due);
}

#[test]
fn files_that_become_small_without_their_deleted_rows_are_combined_at_once() {
    let mut all = files("a", 3, 10 * MIB);
    all.push(deleted(file("b", 100 * MIB), 90));
    assert_eq!(Case::of(all.clone()).bins(Compact), ["a00 a01 a02 b"]);
    all.remove(0);
    assert_eq!(Case::of(all).bins(Compact), ["b"], "then there are 3 small files, as many as may be");
}

#[test]
fn readers_that_know_no_deletion_vectors_get_none() {
    let mut case = Case::of(vec![deleted(file("a", 100 * MIB), 0), file("b", 100 * MIB)]);
    assert!(!case.step(Compact).action.due);
    case.policy.readers = Readers::Any;
    assert_eq!(
        case.told(Compact),
        "due: there is 1 file with a deletion vector, which not all `readers` know [1 files, 104857600 bytes]"
    );
}

#[test]
fn partitions_are_judged_and_packed_separately() {
    let mut case = Case::of(
        [within("1", files("a", 4, MIB)), within("2", files("b", 3, MIB)), within("3", files("c", 5, MIB))].concat(),
    );
    case.table.partition_columns = vec!["day".to_owned()];
    assert_eq!(case.bins(Compact), ["a00 a01 a02 a03", "c00 c01 c02 c03 c04"]);
    assert_eq!(
        case.told(Compact),
        "due: there are 9 files below 50.0 MiB, in 2 of 3 partitions [9 files, 9437184 bytes]"
    );
}

#[test]
fn a_turn_rewrites_whole_bins_up_to_its_budget() {
    let mut case = Case::of(files("a", 8, 40 * MIB));
    case.policy.max_bytes = Some(170 * MIB);
    case.budget = Some(170 * MIB);
    assert_eq!(case.bins(Compact), ["a00 a01", "a02 a03"]);
    assert_eq!(
        case.told(Compact),
        "due: there are 8 files below 50.0 MiB; 160.0 MiB of 320.0 MiB in this turn: `max_bytes` is 170.0 MiB \
         [4 files, 167772160 bytes]"
    );
    case.budget = Some(70 * MIB);
    assert_eq!(
        case.told(Compact),
        "not due: there are 8 files below 50.0 MiB; none of 320.0 MiB in this turn: 70.0 MiB are left of `max_bytes`, \
         170.0 MiB, and at least 80.0 MiB are rewritten at a time"
    );
}

#[test]
fn the_layout_comes_before_compaction_in_the_budget() {
    let late = within("2", vec![deleted(file("b", 40 * MIB), 50)]);
    let mut case = ordered([within("1", files("a", 4, 40 * MIB)), late].concat());
    case.budget = Some(180 * MIB);
    assert_eq!(case.bins(Zorder), ["a00 a01 a02 a03"]);
    assert_eq!(
        case.step(Compact).action.reason.split_once("; ").unwrap().1,
        "none of 40.0 MiB in this turn: 20.0 MiB \
        may still be rewritten, and at least 40.0 MiB are rewritten at a time"
    );
}

#[test]
fn nothing_is_rewritten_where_that_is_off_or_impossible() {
    let mut case = ordered(files("a", 9, MIB));
    case.policy.optimize.enabled = false;
    assert_eq!([case.told(Zorder), case.told(Compact)], ["not due: `optimize` is off"; 2]);
    case.table.frozen = Some("rows may only be added to it".to_owned());
    assert_eq!([case.told(Zorder), case.told(Compact)], ["not due: rows may only be added to it"; 2]);
}

#[test]
fn files_that_are_not_laid_out_are() {
    assert_eq!(Case::of(files("a", 9, 100 * MIB)).told(Zorder), "not due: `zorder` names no columns");
    let new = files("a", 9, 100 * MIB);
    let case =
        ordered([new, laid_out(files("b", 2, 100 * MIB), &["x"]), laid_out(files("c", 1, MIB), &["x"])].concat());
    assert_eq!(
        case.told(Zorder),
        "due: 9 files, 900.0 MiB, are not laid out by `x` and 1 file that is laid out is small [10 files, 944766976 bytes]"
    );
    assert_eq!(
        case.bins(Zorder),
        ["a00 a01 a02 a03 a04 a05 a06 a07", "a08 c00"],
        "a bin has up to 8 files of the target"
    );
    assert_eq!(case.rewrite(Zorder).unwrap().zorder, ["x"]);
    assert!(!case.step(Compact).action.due);
    let other = ordered(laid_out(files("b", 2, 100 * MIB), &["y"]));
    assert_eq!(other.bins(Zorder), ["b00 b01"], "laid out by other columns is not laid out");
}

#[test]
fn little_that_is_not_laid_out_waits() {
    let done = || laid_out(files("a", 4, 100 * MIB), &["x"]);
    assert_eq!(ordered(done()).told(Zorder), "not due: all files are laid out by `x`");
    let with = |files: Vec<FileFacts>| ordered([done(), files].concat());
    assert_eq!(with(files("b", 3, MIB)).told(Zorder), "not due: 3 files are not laid out by `x`, too few to matter");
    assert_eq!(with(files("b", 4, MIB)).bins(Zorder), ["b00 b01 b02 b03"], "more than `small_files`");
    assert_eq!(with(files("b", 1, 50 * MIB)).bins(Zorder), ["b00"], "half of the target");
}

#[test]
fn files_that_are_laid_out_keep_their_layout_when_their_deleted_rows_go() {
    let shrinking = deleted(laid_out(files("a", 1, 100 * MIB), &["x"]).remove(0), 50);
    let case = ordered(vec![shrinking]);
    assert_eq!(case.told(Zorder), "due: 1 file that is laid out has deleted rows [1 files, 104857600 bytes]");
    let new = deleted(file("b", MIB), 50);
    let case = ordered(vec![new]);
    assert_eq!(case.bins(Compact), ["b"], "too small to be laid out yet");
    assert!(!case.step(Zorder).action.due);
}

#[test]
fn small_files_are_not_compacted_where_rows_are_laid_out() {
    let case = ordered(laid_out(files("a", 4, MIB), &["x"]));
    assert_eq!(case.told(Zorder), "due: 4 files that are laid out are small [4 files, 4194304 bytes]");
    assert_eq!(
        case.told(Compact),
        "not due: small files are combined when rows are laid out, and no other file has deleted rows, 0.2 of all or more"
    );
}

#[test]
fn rows_are_laid_out_only_by_columns_that_have_an_order() {
    let mut case = ordered(files("a", 4, 40 * MIB));
    case.policy.optimize.zorder = vec!["x".to_owned(), "z".to_owned()];
    assert_eq!(
        case.told(Zorder),
        "not due: rows cannot be laid out by `z`: the table has no such column, or its type has no order that files keep"
    );
    assert_eq!(case.bins(Compact).len(), 2, "so small files are combined as in any table");
    case.table.partition_columns = vec!["z".to_owned()];
    assert_eq!(
        case.told(Zorder),
        "not due: rows cannot be laid out by `z`, which partitions the table: remove it from `zorder`"
    );
}

#[test]
fn a_bin_is_not_larger_than_a_turn() {
    let mut case = ordered(files("a", 6, 100 * MIB));
    (case.policy.max_bytes, case.budget) = (Some(300 * MIB), Some(300 * MIB));
    assert_eq!(case.bins(Zorder), ["a00 a01 a02"]);
    let rest = files("a", 4, 100 * MIB).into_iter().map(|file| deleted(file, 75));
    let mut case = Case::of(rest.collect());
    assert_eq!(case.bins(Compact), ["a00 a01 a02 a03"]);
    case.policy.max_bytes = Some(250 * MIB);
    assert_eq!(case.bins(Compact), ["a00 a01", "a02 a03"], "what is read counts");
    (case.policy.max_bytes, case.budget) = (Some(99 * MIB), Some(99 * MIB));
    assert_eq!(
        case.told(Compact).split_once("; ").unwrap().1,
        "none of 400.0 MiB in this turn: `max_bytes` is 99.0 MiB, and at least 100.0 MiB are rewritten at a time"
    );
}
