//! The baseline for results and times.

use std::fs;
use std::path::Path;

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;
use windlass_base::error::full_message;
use windlass_tests::plain::{PlainEngine, PlainError, PlainOptions, PlainReport, run_project};

const EVENTS: &str = "id,team,amount\n1,red,5\n2,red,1\n3,blue,7\n4,blue,2\n5,green,-4\n";

fn project(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// A view with a parameter, a cache over it, a table with every rule over both, and one with `mode: append`.
fn teams() -> TempDir {
    project(&[
        ("data/events.csv", EVENTS),
        (
            "windlass.yaml",
            "name: teams\n\
             sources: { events: { kind: listing, location: data, format: csv } }\n\
             params: { least: { type: long, default: 2 } }\n",
        ),
        (
            "stages/counted.sql",
            "/* windlass\nmaterialize: view\n*/\nSELECT id, team, amount FROM events WHERE amount >= $least",
        ),
        (
            "stages/totals.sql",
            "/* windlass\nmaterialize: cache\n*/\nSELECT team, sum(amount) AS total FROM counted GROUP BY team",
        ),
        (
            "stages/shares.sql",
            "/* windlass\n\
             io:\n  partition_by: [team]\n  not_null: [total]\n  constraints: { positive: total > 0 }\n\
             */\n\
             SELECT id, amount, total, c.team FROM counted AS c JOIN totals AS t ON c.team = t.team",
        ),
        ("stages/history.sql", "/* windlass\nio: { mode: append }\n*/\nSELECT count(*) AS shares FROM shares"),
    ])
}

async fn rows(table: &Path, columns: &str) -> String {
    let url = deltalake::ensure_table_uri(table.to_str().unwrap()).unwrap();
    let provider = deltalake::open_table(url).await.unwrap().table_provider().await.unwrap();
    let ctx = SessionContext::new();
    ctx.register_table("t", provider).unwrap();
    let sorted = ctx.sql(&format!("SELECT {columns} FROM t ORDER BY 1")).await.unwrap();
    pretty_format_batches(&sorted.collect().await.unwrap()).unwrap().to_string()
}

fn written(report: &PlainReport) -> Vec<(&str, u64)> {
    let mut rows: Vec<_> = report.stages.iter().map(|stage| (stage.stage.as_str(), stage.rows)).collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn views_caches_and_tables_are_the_same_with_either_engine() {
    let project = teams();
    for engine in [PlainEngine::Stock, PlainEngine::Windlass] {
        let out = tempfile::tempdir().unwrap();
        let options = PlainOptions { engine, ..PlainOptions::new(out.path()) };
        let report = run_project(project.path(), &options).await.unwrap();
        assert_eq!(written(&report), [("counted", 0), ("history", 1), ("shares", 3), ("totals", 2)]);
        let shares = rows(&out.path().join("tables/shares"), "id, amount, total, team").await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(shares, @"
            +----+--------+-------+------+
            | id | amount | total | team |
            +----+--------+-------+------+
            | 1  | 5      | 5     | red  |
            | 3  | 7      | 9     | blue |
            | 4  | 2      | 9     | blue |
            +----+--------+-------+------+
            ");
        }
        assert!(out.path().join("tables/shares/team=blue").is_dir());
        assert!(!out.path().join("cache").exists());
    }
}

#[tokio::test]
async fn a_second_run_replaces_or_appends_and_a_pin_still_sees_the_first() {
    let (project, out) = (teams(), tempfile::tempdir().unwrap());
    let options = PlainOptions::new(out.path());
    for _ in 0..2 {
        run_project(project.path(), &options).await.unwrap();
    }
    let shares = rows(&out.path().join("tables/shares"), "count(*) AS n").await;
    assert!(shares.contains("| 3 |"), "{shares}");

    let reader = self::project(&[
        (
            "windlass.yaml",
            "name: reader\n\
             sources:\n  \
               now: { kind: delta, location: elsewhere }\n  \
               then: { kind: delta, location: elsewhere, version: 1 }\n",
        ),
        ("stages/runs_now.sql", "SELECT * FROM now"),
        ("stages/runs_then.sql", "SELECT * FROM \"then\""),
    ]);
    let history = out.path().join("tables/history").display().to_string();
    let mut options = PlainOptions::new(reader.path().join("out"));
    for source in ["now", "then"] {
        options.sources.push((source.to_owned(), history.clone()));
    }
    let report = run_project(reader.path(), &options).await.unwrap();
    assert_eq!(written(&report), [("runs_now", 2), ("runs_then", 1)]);
}

#[tokio::test]
async fn a_row_against_a_constraint_fails_the_stage_by_name() {
    let (project, out) = (teams(), tempfile::tempdir().unwrap());
    let mut options = PlainOptions::new(out.path());
    options.params.push(("least".to_owned(), "-10".to_owned()));
    let error = run_project(project.path(), &options).await.unwrap_err();
    let message = full_message(&error);
    assert!(matches!(error, PlainError::Write { .. }), "{message}");
    assert!(message.contains("shares") && message.contains("| 5  | -4"), "{message}");
}

#[tokio::test]
async fn a_location_for_a_missing_source_is_refused() {
    let (project, out) = (teams(), tempfile::tempdir().unwrap());
    let mut options = PlainOptions::new(out.path());
    options.sources.push(("event".to_owned(), "data".to_owned()));
    let error = run_project(project.path(), &options).await.unwrap_err();
    assert!(error.to_string().contains("the project has no source `event`"), "{error}");
}
