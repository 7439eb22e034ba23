//! Plan texts without volatile or secret parts.

use windlass_scheduler::record::plan_text::normalize_plan_text;

fn roots() -> Vec<(String, String)> {
    let root = |path: &str, placeholder: &str| (path.to_owned(), placeholder.to_owned());
    vec![
        root("/tmp/proj", "<project>"),
        root("/tmp/proj/.windlass", "<home>"),
        root("s3://bucket/lake", "<lake>"),
        root("Xy12Zab", "<job>"),
    ]
}

fn normalized(text: &str) -> String {
    let once = normalize_plan_text(text, &roots());
    assert_eq!(normalize_plan_text(&once, &roots()), once, "twice is the same as once");
    once
}

#[test]
fn a_physical_plan_keeps_everything_but_its_files_and_roots() {
    let plan = "\
ProjectionExec: expr=[node_id@0 as id]
  FilterExec: kind@1 = a://b?c, projection=[node_id@0]
    DataSourceExec: file_groups={2 groups: [[tmp/proj/.windlass/tables/nodes/repo=x/part-00000-7a1f3c52-6a5e-4b8f-9a55-0c5b6c0a1d11-c000.snappy.parquet:0..10, tmp/proj/.windlass/tables/nodes/b.parquet], [tmp/proj/.windlass/tables/nodes/b.parquet:10..20]]}, projection=[node_id, kind], file_type=parquet, predicate=kind@1 = fn
      DataSourceExec: file_groups={1 group: [[tmp/proj/in/a.csv]]}, file_type=csv
";
    insta::assert_snapshot!(normalized(plan), @"
    ProjectionExec: expr=[node_id@0 as id]
      FilterExec: kind@1 = a://b?c, projection=[node_id@0]
        DataSourceExec: file_groups={2 groups, 2 files}, projection=[node_id, kind], file_type=parquet, predicate=kind@1 = fn
          DataSourceExec: file_groups={1 group, 1 file}, file_type=csv
    ");
}

#[test]
fn a_truncated_list_in_a_plan_says_so() {
    assert_eq!(
        normalized("file_groups={8 groups: [[a, b, ...], [c], [d], [e], [f], ...]}, x"),
        "file_groups={8 groups, 6+ files}, x"
    );
    assert_eq!(normalized("file_groups={0 groups: []}"), "file_groups={0 groups, 0 files}");
    assert_eq!(normalized("file_groups={something else"), "file_groups={something else");
}

#[test]
fn roots_are_replaced_in_every_spelling_and_only_as_whole_paths() {
    assert_eq!(normalized("/tmp/proj/.windlass/tables/x"), "<home>/tables/x");
    assert_eq!(normalized("file:///tmp/proj/.windlass"), "<home>");
    assert_eq!(normalized("[tmp/proj/in, /tmp/proj]"), "[<project>/in, <project>]");
    assert_eq!(normalized("s3://bucket/lake/nodes/a.parquet"), "<lake>/nodes/a.parquet");
    assert_eq!(normalized("job Xy12Zab, stage 1"), "job <job>, stage 1");
    for other in ["/tmp/project/x", "/var/tmp/proj/x", "my_tmp/proj", "s3://bucket/lakes/x", "Xy12Zabc"] {
        assert_eq!(normalized(other), other);
    }
    assert_eq!(normalize_plan_text("a / b", &[("/".into(), "<root>".into())]), "a / b");
}

#[test]
fn identifiers_of_files_and_runs_are_masked() {
    assert_eq!(
        normalized("part-00000-7a1f3c52-6a5e-4b8f-9a55-0c5b6c0a1d11-c000.parquet"),
        "part-00000-<uuid>-c000.parquet"
    );
    assert_eq!(normalized("runs/01934f1e2c3d7abc8def0123456789ab/x"), "runs/<uuid>/x");
    // A hash is not a UUID, and neither is a part of a longer word.
    for other in ["d41d8cd98f00b204e9800998ecf8427e", "7a1f3c52-6a5e-4b8f-9a55-0c5b6c0a1d11f", "größe 🦀"] {
        assert_eq!(normalized(other), other);
    }
}

#[test]
fn credentials_in_urls_are_hidden() {
    assert_eq!(normalized("(s3://AKIA:secret@b/x, y)"), "(s3://***@b/x, y)");
    assert_eq!(normalized("'https://h/x?sv=1&sig=abc%3D' z"), "'https://h/x?***' z");
    assert_eq!(normalized("abfss://container@account.dfs/x"), "abfss://container@account.dfs/x");
    assert_eq!(normalized("abfss://user:key@account.dfs/x"), "abfss://***@account.dfs/x");
    assert_eq!(normalized("memory:///a@b?c"), "memory:///a@b?c");
}
