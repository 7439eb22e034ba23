//! Unusual files as sources of a run on an embedded cluster, in a folder with an unusual name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::util::display::array_value_to_string;
use futures::TryStreamExt;
use windlass_base::config::SessionSettings;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{LogKind, PlanDecision, Refresh, RunRecord, RunStatus};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;

use crate::delta_read::tables::{append, write_parquet};

/// A project of sources and stages, in a folder whose name would differ if it were read as a URL.
struct Lab {
    _dir: tempfile::TempDir,
    root: PathBuf,
    windlass: Windlass,
}

impl Lab {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("x%20y");
        fs::create_dir_all(dir.path().join("x y")).unwrap();
        let home = Location::from_path(&root.join(".windlass")).unwrap();
        let session = SessionSettings { target_partitions: 2, ..SessionSettings::default() };
        let windlass = Windlass::embedded(windlass_tests::embedded(home, session)).await.unwrap();
        Self { root, windlass, _dir: dir }
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    fn project(&self, sources: &str, stages: &[(&str, &str)]) -> Project {
        let manifest = format!("name: odd\nsources:\n{sources}");
        let stages = stages.iter().map(|(name, sql)| (format!("stages/{name}.sql"), (*sql).to_owned()));
        let files: ProjectFiles = stages.chain([("windlass.yaml".to_owned(), manifest)]).collect();
        Project::from_files(&files, &self.root, None, &[])
            .unwrap_or_else(|error| panic!("{}", error.problems().map(ToString::to_string).unwrap_or_default()))
    }

    async fn run(&self, project: &Project) -> RunRecord {
        self.windlass.run(project, &RunOptions::default()).await.unwrap().wait().await.unwrap()
    }

    /// The rows of a stage's table as texts, sorted.
    async fn rows(&self, project: &Project, stage: &str) -> Vec<String> {
        let rows =
            self.windlass.query(project, &format!("SELECT * FROM {stage}"), &QueryOptions::default()).await.unwrap();
        let batches: Vec<RecordBatch> = rows.stream().try_collect().await.unwrap();
        let row = |batch: &RecordBatch, row: usize| {
            let values = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
            values.collect::<Vec<_>>().join("|")
        };
        let mut rows: Vec<String> = batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Vec<_>>())
            .collect();
        rows.sort_unstable();
        rows
    }
}

fn with_nan() -> RecordBatch {
    RecordBatch::try_from_iter([
        ("i", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as _),
        ("x", Arc::new(Float64Array::from(vec![1.0, f64::NAN, 1.0, 0.0])) as _),
    ])
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_reads_files_of_every_kind() {
    let lab = Lab::new().await;
    for (day, csv, json) in
        [("2026-01-01", "net,tax\n1,2\n", "{\"n\": 1}\n"), ("2026-01-02", "tax,net\n4,3\n", "{\"n\": 2.5}\n")]
    {
        lab.write(&format!("data/csv/day={day}/a.csv"), csv);
        lab.write(&format!("data/json/day={day}/a.json"), json);
    }
    let notes: String = (0..500).map(|i| format!("{i},\"line\n\"\"{i}\"\"\"\n")).collect();
    lab.write("data/notes/50%25.csv", &format!("id,note\n{notes}"));
    fs::create_dir_all(lab.root.join("data/p")).unwrap();
    write_parquet(&lab.root.join("data/p/a%2Fb.parquet"), &[with_nan()]);
    // Code that reads the odd name as a URL would write this table elsewhere.
    let foreign = lab.root.parent().unwrap().join("d");
    fs::create_dir_all(&foreign).unwrap();
    append(&foreign, with_nan(), &[]).await;
    let sources = "  c: { kind: listing, location: data/csv, format: csv, partition_columns: { day: date } }
  j: { kind: listing, location: data/json, format: json, partition_columns: { day: date } }
  notes: { kind: listing, location: data/notes, format: csv }
  p: { kind: listing, location: data/p, format: parquet }
  d: { kind: delta, location: ../d }
";
    let floats = "SELECT 'eq' AS f, i FROM T WHERE x = 1 UNION ALL SELECT 'ne', i FROM T WHERE x <> 1 \
                  UNION ALL SELECT 'gt', i FROM T WHERE x > 2 UNION ALL SELECT 'nan', i FROM T WHERE isnan(x) \
                  UNION ALL SELECT 'between', i FROM T WHERE x BETWEEN 0 AND 5 UNION ALL SELECT 'not', i FROM T WHERE NOT x <= 1";
    let project = lab.project(
        sources,
        &[
            ("by_day", "SELECT c.day, sum(c.net) AS net, sum(c.tax) AS tax, sum(j.n) AS n FROM c JOIN j ON c.day = j.day GROUP BY c.day"),
            ("lines", "SELECT count(*) AS n, sum(id) AS ids, sum(length(note)) AS letters FROM notes"),
            ("of_p", &floats.replace(" T ", " p ")),
            ("of_d", &floats.replace(" T ", " d ")),
            ("great", "SELECT max(x) AS x, max(i) AS i, min(x) AS least FROM p"),
        ],
    );
    let record = lab.run(&project).await;
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    assert_eq!(lab.rows(&project, "by_day").await, ["2026-01-01|1|2|1.0", "2026-01-02|3|4|2.5"]);
    let letters: usize = (0..500).map(|i| format!("line\n\"{i}\"").len()).sum();
    assert_eq!(lab.rows(&project, "lines").await, [format!("500|124750|{letters}")]);
    let expected = ["between|1", "between|3", "between|4", "eq|1", "eq|3", "gt|2", "nan|2", "ne|2", "ne|4", "not|2"];
    assert_eq!(lab.rows(&project, "of_p").await, expected);
    assert_eq!(lab.rows(&project, "of_d").await, expected);
    assert_eq!(lab.rows(&project, "great").await, ["NaN|4|0.0"]);
    // Everything is in the folder of that name, and nothing next to it.
    assert!(lab.root.join(".windlass/tables/by_day/_delta_log/00000000000000000001.json").exists());
    assert_eq!(fs::read_dir(lab.root.parent().unwrap().join("x y")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(lab.root.parent().unwrap()).unwrap().count(), 3);
}

/// Writes other content of the same length into a file, or replaces the file, and restores its modification time.
fn replace(file: &Path, text: &str, in_place: bool) {
    let time = fs::metadata(file).unwrap().modified().unwrap();
    let written = if in_place { file.to_owned() } else { file.with_extension("new") };
    fs::write(&written, text).unwrap();
    File::options().write(true).open(&written).unwrap().set_modified(time).unwrap();
    fs::rename(&written, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_file_is_reread_and_a_value_of_the_wrong_type_is_named() {
    let lab = Lab::new().await;
    let csv = lab.write("data/c/a.csv", "n\n1\n");
    let text = lab.write("data/t/a.txt", "one");
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    for file in [&csv, &text] {
        File::options().write(true).open(file).unwrap().set_modified(hour_ago).unwrap();
    }
    let sources = "  c: { kind: listing, location: data/c, format: csv, schema: { n: long } }
  t: { kind: text_files, location: data/t }
";
    let project = lab.project(sources, &[("numbers", "SELECT n FROM c"), ("texts", "SELECT content FROM t")]);
    let reused = async || {
        let plan = lab.windlass.plan(&project, &RunOptions::default()).await.unwrap();
        plan.stages.iter().filter(|stage| stage.decision == PlanDecision::Reuse).count()
    };
    assert_eq!(lab.run(&project).await.status, RunStatus::Succeeded);
    for (number, word, in_place) in [("2", "two", false), ("3", "six", true)] {
        replace(&csv, &format!("n\n{number}\n"), in_place);
        replace(&text, word, in_place);
        assert_eq!(reused().await, 0);
        assert_eq!(lab.run(&project).await.status, RunStatus::Succeeded);
        assert_eq!(lab.rows(&project, "numbers").await, [number]);
        assert_eq!(lab.rows(&project, "texts").await, [word]);
    }
    assert_eq!(lab.run(&project).await.status, RunStatus::Succeeded);
    fs::write(&csv, "n\n1\n2.5\n").unwrap();
    let record = lab.run(&project).await;
    assert_eq!(record.status, RunStatus::Failed);
    let failed = serde_json::to_string(&record.stages).unwrap();
    assert!(
        failed.contains("WL0381") && failed.contains("a.csv`, line 3: `2.5` does not fit the column `n`"),
        "{failed}"
    );
}

/// The engine's readers do not check whether a file is still the one that was listed.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_during_a_run_fails_the_stage_that_reads_it() {
    let lab = Lab::new().await;
    let numbers = |last: i64| RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(0..last)) as _)]);
    let file = lab.root.join("data/p/a.parquet");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    write_parquet(&file, &[numbers(5).unwrap()]);
    let project = lab.project(
        "  p: { kind: listing, location: data/p, format: parquet }\n",
        &[
            ("long", "SELECT sum(a.value * b.value % 7) AS s FROM range(0, 3000) AS a CROSS JOIN range(0, 3000) AS b"),
            ("reading", "SELECT sum(p.n) AS s, count(*) AS n, max(long.s) > 0 AS more FROM p CROSS JOIN long"),
        ],
    );
    let run = async |change: &dyn Fn()| {
        let refresh = Refresh { full: vec![Refresh::EVERYTHING.to_owned()], ..Refresh::default() };
        let mut handle = lab.windlass.run(&project, &RunOptions { refresh, ..RunOptions::default() }).await.unwrap();
        while let Some(event) = handle.events.recv().await {
            if matches!(&event.kind, LogKind::StageStarted { stage, .. } if stage.as_str() == "long") {
                change();
            }
        }
        handle.wait().await.unwrap()
    };
    // Another file next to it is not one that the run has listed.
    let add = || write_parquet(&lab.root.join("data/p/b.parquet"), &[numbers(9).unwrap()]);
    let record = run(&add).await;
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    assert_eq!(lab.rows(&project, "reading").await, ["10|5|true"]);
    fs::remove_file(lab.root.join("data/p/b.parquet")).unwrap();
    for gone in [false, true] {
        write_parquet(&file, &[numbers(6).unwrap()]);
        let change = || {
            fs::remove_file(&file).unwrap();
            if !gone {
                write_parquet(&file, &[numbers(7).unwrap()]);
            }
        };
        let record = run(&change).await;
        assert_eq!(record.status, RunStatus::Failed, "{:?}", record.stages);
        let failure = record.stages.iter().find_map(|stage| stage.failure.clone()).unwrap();
        assert_eq!(failure.code, "WL0310", "{failure:?}");
        assert!(failure.message.contains("a.parquet"), "{failure:?}");
        assert_eq!(lab.rows(&project, "reading").await, ["10|5|true"]);
    }
}
