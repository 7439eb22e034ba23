//! A home that an earlier version has written is read, and taken up where it was left: tests/fixtures/home-v0.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use assert_cmd::Command;
use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Int64Type;
use serde_json::{Value, json};

use super::{binary, json as told};
use crate::delta_read::tables::{append, array};
use crate::incremental::tables::{load, open};

/// Where the home was written, and is unpacked: what it remembers of an export goes by the folder's whole path.
const PLACE: &str = "/tmp/windlass-home-v0";

/// The unpacked home, one at a time on this machine, which is removed when this is dropped.
struct Frozen {
    place: PathBuf,
    _alone: File,
}

impl Frozen {
    fn unpack() -> Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/home-v0");
        let alone = File::create(format!("{PLACE}.lock")).unwrap();
        alone.lock().unwrap();
        let frozen = Self { place: PLACE.into(), _alone: alone };
        frozen.remove();
        fs::create_dir(&frozen.place).unwrap();
        let mut tar = Process::new("tar");
        let tar = tar.arg("--extract").arg("--gzip").arg("--file").arg(fixture.join("home.tar.gz"));
        assert!(tar.arg("--directory").arg(&frozen.place).status().unwrap().success());
        let copied = Process::new("cp").arg("-R").arg(fixture.join("shop")).arg(&frozen.place).status();
        assert!(copied.unwrap().success());
        frozen
    }

    fn remove(&self) {
        if self.place.exists() {
            fs::remove_dir_all(&self.place).unwrap();
        }
    }

    fn windlass(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.env_remove("WINDLASS_HOME").env_remove("WINDLASS_CLUSTER");
        command.arg("--project").arg(self.place.join("shop")).arg("--home").arg(self.place.join("home")).args(args);
        command
    }

    fn told(&self, args: &[&str]) -> Value {
        told(&mut self.windlass(args))
    }

    fn query(&self, sql: &str) -> Value {
        self.told(&["query", sql])
    }

    /// The version of its source that each stage has applied, and how many more there are.
    fn cursors(&self) -> BTreeMap<String, (i64, u64)> {
        let cursors = self.told(&["cursors", "ls"]);
        let cursors = cursors.as_array().unwrap().iter().map(|cursor| {
            let source = &cursor["sources"][0];
            let taken = (source["version"].as_i64().unwrap(), source["behind"].as_u64().unwrap());
            (cursor["stage"].as_str().unwrap().to_owned(), taken)
        });
        cursors.collect()
    }

    /// What is planned for each stage.
    fn decisions(&self) -> BTreeMap<String, String> {
        let plan = self.told(&["plan"]);
        let stages = plan["stages"].as_array().unwrap().iter();
        stages.map(|stage| (text(&stage["stage"]), text(&stage["decision"]))).collect()
    }

    /// The orders in quarantine, by id.
    async fn quarantine(&self) -> Vec<i64> {
        let rows = load(&open(&self.place.join("home/tables/checked__quarantine")).await).await;
        let ids = rows.batches.iter().map(|rows| rows.column_by_name("id").unwrap().as_primitive::<Int64Type>());
        let mut ids: Vec<i64> = ids.flat_map(|ids| ids.values().to_vec()).collect();
        ids.sort_unstable();
        ids
    }

    /// The lines of the exported files but for their headings.
    fn exported(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.place.join("out")).unwrap().map(|file| file.unwrap().path());
        let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "csv"));
        let lines = files.flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// Another program adds orders, one of which is not as expected, and an event.
    async fn add(&self) {
        // Without nulls, as their columns are in the tables.
        let orders = RecordBatch::try_from_iter([
            ("id", array(Int64Array::from(vec![5, 6]))),
            ("customer", array(StringArray::from(vec!["bo", "dee"]))),
            ("amount", array(Int64Array::from(vec![-2, 9]))),
        ]);
        append(&self.place.join("lake/orders"), orders.unwrap(), &[]).await;
        let events = [("id", array(Int64Array::from(vec![4]))), ("what", array(StringArray::from(vec!["open"])))];
        let events = RecordBatch::try_from_iter(events).unwrap();
        append(&self.place.join("lake/events"), events, &[]).await;
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

const TOTALS: &str = "SELECT customer, orders, amount FROM totals ORDER BY customer";
const HISTORY: &str = "SELECT id FROM history ORDER BY id";
const CHECKED: &str = "SELECT id, amount FROM checked ORDER BY id";

fn totals(rows: &[(&str, i64, i64)]) -> Value {
    rows.iter().map(|row| json!({ "customer": row.0, "orders": row.1, "amount": row.2 })).collect()
}

fn lines(rows: &[(&str, i64, i64)]) -> BTreeSet<String> {
    rows.iter().map(|(customer, orders, amount)| format!("{customer},{orders},{amount}")).collect()
}

fn ids(ids: &[i64]) -> Value {
    ids.iter().map(|id| json!({ "id": id })).collect()
}

fn amounts(rows: &[(i64, i64)]) -> Value {
    rows.iter().map(|(id, amount)| json!({ "id": id, "amount": amount })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_of_an_earlier_version_is_read_and_continued() {
    let frozen = Frozen::unpack();
    let stages = ["checked", "history", "totals"];

    // What it holds is read as it was written.
    let runs = frozen.told(&["runs", "list"]);
    let numbers: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["sequence"].as_u64()).collect();
    assert_eq!(numbers, [Some(2), Some(1)], "{runs}");
    for run in runs.as_array().unwrap() {
        let shown = frozen.told(&["runs", "show", &text(&run["run_id"])]);
        assert_eq!((text(&shown["pipeline"]), text(&shown["status"])), ("shop".to_owned(), "succeeded".to_owned()));
        let of_run: BTreeSet<_> = shown["stages"].as_array().unwrap().iter().map(|it| text(&it["stage"])).collect();
        assert_eq!(of_run, BTreeSet::from(stages.map(str::to_owned)));
        assert!(!frozen.told(&["runs", "log", &text(&run["run_id"])]).as_array().unwrap().is_empty());
    }
    // Two sources, three stages and the quarantine of one of them.
    assert_eq!(frozen.told(&["ls"]).as_array().unwrap().len(), 6);
    let before = frozen.cursors();
    assert!(before.len() == 3 && before.values().all(|(_, behind)| *behind == 0), "{before:?}");
    let old = [("ada", 2, 4), ("bo", 1, 25), ("cy", 1, 7)];
    assert_eq!(frozen.query(TOTALS), totals(&old));
    assert_eq!(frozen.query(HISTORY), ids(&[1, 2, 3]));
    assert_eq!(frozen.query(CHECKED), amounts(&[(1, 5), (2, 25), (4, 7)]));
    assert_eq!(frozen.quarantine().await, [3]);
    assert_eq!(frozen.exported(), lines(&old));

    // Nothing has changed, so nothing is computed, unless the engine is another one.
    let decisions = frozen.decisions();
    frozen.add().await;
    assert!(frozen.cursors().values().all(|(_, behind)| *behind == 1), "{:?}", frozen.cursors());
    let run = frozen.told(&["run"])["run"].clone();
    assert_eq!((text(&run["status"]), run["sequence"].as_u64()), ("succeeded".to_owned(), Some(3)), "{run}");
    if run["versions"]["datafusion"] == runs[0]["versions"]["datafusion"] {
        assert_eq!(decisions, BTreeMap::from(stages.map(|stage| (stage.to_owned(), "reuse".to_owned()))));
        let strategies: BTreeMap<_, _> =
            run["stages"].as_array().unwrap().iter().map(|it| (text(&it["stage"]), text(&it["strategy"]))).collect();
        assert!(strategies.values().all(|strategy| strategy != "full"), "{strategies:?}");
        assert_eq!(strategies["history"], "append");
    }

    // The rows are those of all that the sources have, and the cursors have moved on by what was added.
    let new = [("ada", 2, 4), ("bo", 2, 23), ("cy", 1, 7), ("dee", 1, 9)];
    assert_eq!(frozen.query(TOTALS), totals(&new));
    assert_eq!(frozen.query(HISTORY), ids(&[1, 2, 3, 4]));
    assert_eq!(frozen.query(CHECKED), amounts(&[(1, 5), (2, 25), (4, 7), (6, 9)]));
    let quarantine: BTreeSet<i64> = frozen.quarantine().await.into_iter().collect();
    assert_eq!(quarantine, BTreeSet::from([3, 5]));
    assert_eq!(frozen.exported(), lines(&new), "what was exported before is replaced");
    let after = frozen.cursors();
    let expected: BTreeMap<_, _> = before.into_iter().map(|(stage, (version, _))| (stage, (version + 1, 0))).collect();
    assert_eq!(after, expected);
    assert_eq!(frozen.told(&["runs", "list"]).as_array().unwrap().len(), 3);
}
