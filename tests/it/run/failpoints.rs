//! Runs that end before and after each durable step: resumed, or run again if they had not begun, they give the rows of a run
//! that nothing ends, with one commit a stage.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::Schema;
use deltalake::kernel::{DataType, StructField};
use serde_json::Value;
use tempfile::TempDir;
use windlass_base::failpoint::{LEASES, LOG, RUN};

use crate::delta_read::tables::{append, array, batch, rows_of};
use crate::failpoints::{Case, Copies, each, points, text};
use crate::incremental::tables::{load, open};

const MANIFEST: &str = "name: ended\nsources: { t: { kind: delta, location: t } }\nrun: { max_parallel_stages: 2 }\n";
/// A diamond: one stage is incremental, one appends, one has a quarantine, one an export.
const STAGES: [(&str, &str, &str); 6] = [
    ("base", "io: { key: [id], incremental: auto }", "SELECT id, g, v FROM t"),
    ("added", "io: { mode: append, incremental: auto }", "SELECT id, v FROM t"),
    (
        "checked",
        "io: { key: [id] }\nexpect: [{ sql: v > 0, name: positive, on_failure: quarantine }]",
        "SELECT id, g, v FROM base",
    ),
    ("sums", "io: { key: [g] }", "SELECT g, sum(v) AS total, count(*) AS n FROM base GROUP BY g"),
    ("joined", "io: { key: [id] }", "SELECT c.id, c.v, s.total FROM checked AS c JOIN sums AS s ON c.g = s.g"),
    ("totals", "", "SELECT count(*) AS n, sum(total) AS s FROM joined"),
];
/// The stage with the export, once it has that.
const EXPORTED: (&str, &str) = ("sums", "io: { key: [g], exports: [{ format: csv, location: out }] }");
const TABLES: [&str; 7] = ["base", "added", "checked", "checked__quarantine", "sums", "joined", "totals"];
/// Steps that are taken for several stages: the process ends the first time before, and the third time after.
const REPEATED: [&str; 6] = [
    "run.event.execution_succeeded",
    "run.event.stage_committed",
    "run.commit",
    "run.checkpoint",
    "run.stage_record",
    "delta.put",
];

fn write_stage(project: &Path, (name, header, sql): (&str, &str, &str)) {
    let header = if header.is_empty() { String::new() } else { format!("/* windlass\n{header}\n*/\n") };
    fs::write(project.join(format!("stages/{name}.sql")), format!("{header}{sql}\n")).unwrap();
}

fn numbers(ids: Range<i64>) -> RecordBatch {
    let of = |value: fn(i64) -> i64| array(Int64Array::from_iter_values(ids.clone().map(value)));
    batch(vec![("id", of(|id| id)), ("g", of(|id| id.rem_euclid(3))), ("v", of(|id| 10 * id))])
}

/// A project that has run once, and has something to do for every stage since.
struct Template {
    dir: TempDir,
    project: PathBuf,
    /// The run, and the version that it has left of each table.
    run: String,
    versions: BTreeMap<&'static str, u64>,
}

impl Template {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = dir.path().join("project");
        let source = project.join("t");
        fs::create_dir_all(&source).unwrap();
        fs::create_dir_all(project.join("stages")).unwrap();
        fs::write(project.join("windlass.yaml"), MANIFEST).unwrap();
        let columns = ["id", "g", "v"].map(|name| StructField::nullable(name, DataType::LONG));
        let create = open(&source).await.create().with_columns(columns);
        create.with_configuration([("delta.enableChangeDataFeed", Some("true"))]).await.unwrap();
        append(&source, numbers(0..10), &[]).await;
        for stage in STAGES {
            write_stage(&project, stage);
        }
        let case = Case::at(project.clone());
        case.succeed(&["run"]).await;
        let (run, _) = newest_run(&case).await;
        let versions = TABLES.map(|table| (table, *commits(&case, table, 0).last_key_value().unwrap().0));
        append(&source, numbers(-3..0), &[]).await;
        append(&source, numbers(10..15), &[]).await;
        for (name, _, sql) in STAGES.into_iter().filter(|(name, ..)| *name == EXPORTED.0) {
            write_stage(&project, (name, EXPORTED.1, sql));
        }
        Self { dir, project, run, versions: versions.into() }
    }
}

/// The newest run of a project, and its status.
async fn newest_run(case: &Case) -> (String, String) {
    let runs = case.document(&["runs", "list"]).await;
    let field = |name: &str| runs[0][name].as_str().unwrap().to_owned();
    (field("run_id"), field("status"))
}

fn folder(case: &Case, table: &str) -> PathBuf {
    case.project.join(".windlass/tables").join(table)
}

/// The commits of a table after a version, as they are written.
fn commits(case: &Case, table: &str, after: u64) -> BTreeMap<u64, String> {
    let entries = fs::read_dir(folder(case, table).join("_delta_log")).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = files.filter_map(|path| {
        let version: u64 = path.file_stem()?.to_str()?.parse().ok()?;
        (version > after).then(|| (version, fs::read_to_string(&path).unwrap()))
    });
    read.collect()
}

/// The run that a commit names.
fn run_of(commit: &str) -> Option<String> {
    let mut actions = commit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    actions.find_map(|action| action["commitInfo"]["windlass.run_id"].as_str().map(ToOwned::to_owned))
}

/// The names of all data files of a table, whether or not its log names them.
fn data_files(case: &Case, table: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder(case, table)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

/// Columns of a quarantine that tell which run put rows aside, and when.
const OF_THE_RUN: [&str; 2] = ["_windlass_run_id", "_windlass_at"];

/// What a run has made.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    /// The rows of each table, without which run has put them aside.
    rows: BTreeMap<&'static str, Vec<String>>,
    /// The lines of each exported file.
    exported: Vec<BTreeSet<String>>,
}

impl Made {
    async fn by(case: &Case) -> Self {
        let mut rows = BTreeMap::new();
        for table in TABLES {
            let loaded = load(&open(&folder(case, table)).await).await;
            let fields = loaded.schema.fields().iter().filter(|field| !OF_THE_RUN.contains(&field.name().as_str()));
            let schema = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
            rows.insert(table, rows_of(&loaded.batches, &schema));
        }
        let files = fs::read_dir(case.project.join("out")).unwrap().map(|entry| entry.unwrap().path());
        let lines = |file: PathBuf| -> BTreeSet<String> {
            fs::read_to_string(file).unwrap().lines().map(ToOwned::to_owned).collect()
        };
        Self { rows, exported: files.map(lines).collect() }
    }
}

/// Finishes what a run has begun that ended at `point`: by resuming it, or by another run if it had not come to its
/// schedule. Gives the id of the run that was resumed.
async fn recover(case: &Case, before: &str, point: &str) -> Option<String> {
    let (run, status) = newest_run(case).await;
    if run == before || status == "succeeded" {
        // It had not begun, or was at its end: then another one must find nothing to do.
        case.succeed(&["run"]).await;
        return None;
    }
    assert_eq!(status, "interrupted", "{point}");
    let resumed = case.outcome(&["runs", "resume", &run]).await;
    if resumed.status.success() {
        return Some(run);
    }
    let has_schedule = !["run.bundle", "run.request", "run.pins", "run.plan", "run.schedule.before"]
        .iter()
        .any(|early| point.starts_with(early));
    assert!(!has_schedule, "{point}: run {run} cannot be resumed: {}", text(&resumed));
    case.succeed(&["run"]).await;
    None
}

/// Everything that the cases have in common.
struct Lab {
    _dir: TempDir,
    copies: Copies,
    run: String,
    versions: BTreeMap<&'static str, u64>,
    expected: Made,
}

impl Lab {
    async fn new() -> Self {
        let Template { dir, project, run, versions } = Template::new().await;
        let copies = Copies::of(&project);
        let whole = copies.make("whole");
        whole.succeed(&["run"]).await;
        let expected = Made::by(&whole).await;
        assert_eq!(expected.exported.len(), 1, "{expected:?}");
        let lab = Self { _dir: dir, copies, run, versions, expected };
        lab.check_commits(&whole, "a run that nothing ends");
        lab
    }

    /// The commits to a table since the first run.
    fn commits(&self, case: &Case, table: &str) -> BTreeMap<u64, String> {
        commits(case, table, self.versions[table])
    }

    /// There is one commit to each table since the first run.
    fn check_commits(&self, case: &Case, name: &str) {
        for table in TABLES {
            let made = self.commits(case, table);
            assert_eq!(made.len(), 1, "{name}: commits of {table}: {made:#?}");
        }
    }

    /// A run ends at each of `points`, one after the other, and is recovered from the last.
    async fn check(&self, points: &[&str]) {
        let (Some(last), name) = (points.last(), points.join("-")) else { return };
        let case = self.copies.make(&name);
        for (at, point) in points.iter().enumerate() {
            match at {
                0 => case.dies_at(point, &["run"]).await,
                _ => case.dies_at(point, &["runs", "resume", &newest_run(&case).await.0]).await,
            }
        }
        let before = TABLES.map(|table| (table, self.commits(&case, table), data_files(&case, table)));

        let resumed = recover(&case, &self.run, last).await;
        assert_eq!(Made::by(&case).await, self.expected, "{name}");
        self.check_commits(&case, &name);
        for (table, commits, files) in before {
            let now = self.commits(&case, table);
            let by: BTreeSet<Option<String>> = now.values().map(|commit| run_of(commit)).collect();
            assert!(!by.contains(&None), "{name}: a commit of {table} names no run: {now:#?}");
            assert!(resumed.is_none() || by.contains(&resumed), "{name}: {table} is of {by:?}, not of {resumed:?}");
            if !commits.is_empty() {
                assert_eq!(now, commits, "{name}: the commit of {table} is another one");
                assert_eq!(data_files(&case, table), files, "{name}: {table} was written again");
            }
        }
        fs::remove_dir_all(&case.project).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_at_any_step_is_finished_with_one_commit_a_stage() {
    let lab = Arc::new(Lab::new().await);
    let cases = points(&[LEASES, RUN, LOG]).into_iter().map(|point| match point.strip_suffix(".after") {
        Some(step) if REPEATED.contains(&step) => vec![format!("{point}*3")],
        _ => vec![point],
    });
    // A run that is resumed may end as well.
    let twice = points(&[&["run.event.resumed"]]).into_iter().map(|point| {
        let first = "run.event.stage_committed.after*2".to_owned();
        vec![first, point]
    });
    each(cases.chain(twice), |points| {
        let lab = Arc::clone(&lab);
        async move {
            let points: Vec<&str> = points.iter().map(String::as_str).collect();
            lab.check(&points).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_as_a_stage_fails_is_resumed_to_its_failure() {
    let lab = Lab::new().await;
    let (name, header, sql) = STAGES[5];
    for point in points(&[&["run.event.stage_failed"]]) {
        let case = lab.copies.make(&point);
        write_stage(&case.project, (name, "expect: [{ sql: n < 0, name: few }]", sql));
        case.dies_at(&point, &["run"]).await;
        let (run, status) = newest_run(&case).await;
        assert_eq!(status, "interrupted", "{point}");
        let resumed = case.outcome(&["runs", "resume", &run]).await;
        assert!(!resumed.status.success(), "{point}: {}", text(&resumed));
        assert_eq!(newest_run(&case).await, (run, "failed".to_owned()), "{point}: {}", text(&resumed));
        write_stage(&case.project, (name, header, sql));
        case.succeed(&["run"]).await;
        assert_eq!(Made::by(&case).await, lab.expected, "{point}");
        lab.check_commits(&case, &point);
    }
}
