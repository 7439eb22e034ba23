//! A pipeline of a test: run on the containers, and in one process for the expected result.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::Cluster;
use super::eventually;
use crate::command::binary;

/// A project, its sources' folders, and their locations in the cluster's storage.
pub(super) struct Pipeline {
    project: PathBuf,
    source: &'static str,
    folder: PathBuf,
    _dir: Option<TempDir>,
}

/// A run of the command that continues.
pub(super) struct Running {
    child: Child,
    reported: TempDir,
}

/// How a run ended.
pub(super) struct Ended {
    pub(super) succeeded: bool,
    /// The document that `--output json` prints.
    pub(super) document: Value,
    pub(super) reported: String,
}

impl Pipeline {
    /// The project `project`, whose source `source` is the folder `folder`.
    pub(super) fn of(project: PathBuf, source: &'static str, folder: PathBuf) -> Self {
        Self { project, source, folder, _dir: None }
    }

    /// A project of one stage over the source `rows`: four files of `rows` rows each, with the columns `id` and `key`.
    /// Each stage of its query has four tasks.
    pub(super) fn of_rows(rows: usize, stage: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (project, folder) = (dir.path().join("project"), dir.path().join("rows"));
        fs::create_dir_all(project.join("stages")).unwrap();
        fs::create_dir_all(&folder).unwrap();
        let manifest = "name: losses\nsession: { target_partitions: 4 }\nsources:\n  rows: { kind: listing, format: csv, \
                        location: rows }\n";
        fs::write(project.join("windlass.yaml"), manifest).unwrap();
        fs::write(project.join("stages/answer.sql"), stage).unwrap();
        for file in 0..4 {
            let ids = file * rows..(file + 1) * rows;
            let lines: String = ids.map(|id| format!("{id},{}\n", id % 1_000)).collect();
            fs::write(folder.join(format!("{file}.csv")), format!("id,key\n{lines}")).unwrap();
        }
        Self { project, source: "rows", folder, _dir: Some(dir) }
    }

    fn stored(&self) -> String {
        format!("s3://windlass/data/{}", self.source)
    }

    fn windlass(&self) -> Command {
        let mut command = Command::new(binary());
        command.arg("--project").arg(&self.project);
        command.env_remove("WINDLASS_HOME").env_remove("WINDLASS_CLUSTER");
        command
    }

    fn on(&self, cluster: &Cluster) -> Command {
        let mut command = self.windlass();
        command.arg("--cluster").arg(cluster.address());
        command
    }

    /// Puts the source into the cluster's storage.
    pub(super) fn put(&self, cluster: &Cluster) {
        cluster.put(&self.folder, &self.stored());
    }

    /// Starts a run on the cluster that computes everything, regardless of earlier runs.
    pub(super) fn start(&self, cluster: &Cluster) -> Running {
        let reported = tempfile::tempdir().unwrap();
        let file = |name: &str| fs::File::create(reported.path().join(name)).unwrap();
        let mut command = self.on(cluster);
        let source = format!("{}={}", self.source, self.stored());
        command.args(["--output", "json", "run", "--source", &source, "--full-refresh"]);
        let child = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Running { child, reported }
    }

    /// Runs it on the cluster, which must succeed.
    #[track_caller]
    pub(super) fn run(&self, cluster: &Cluster) {
        self.start(cluster).succeeds();
    }

    /// The rows of `tables` on the cluster, in an order that does not depend on the cluster.
    pub(super) fn rows(&self, cluster: &Cluster, tables: &[&str]) -> String {
        tables.iter().map(|table| rows_of(self.on(cluster), &self.binding(&self.stored()), table)).collect()
    }

    /// The rows of `tables` after a run in one process.
    pub(super) fn rows_embedded(&self, tables: &[&str]) -> String {
        let home = tempfile::tempdir().unwrap();
        let binding = self.binding(self.folder.to_str().unwrap());
        let embedded = || {
            let mut command = self.windlass();
            command.arg("--home").arg(home.path());
            command
        };
        let ran = embedded().arg("run").args(&binding).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        tables.iter().map(|table| rows_of(embedded(), &binding, table)).collect()
    }

    fn binding(&self, location: &str) -> [String; 2] {
        ["--source".to_owned(), format!("{}={location}", self.source)]
    }
}

#[track_caller]
fn rows_of(mut command: Command, binding: &[String], table: &str) -> String {
    let ask = format!("SELECT * FROM {table}");
    let output = command.args(["query", &ask, "--limit", "0", "--output", "csv"]).args(binding).output().unwrap();
    assert!(output.status.success(), "{table}: {}", String::from_utf8_lossy(&output.stderr));
    let answer = String::from_utf8(output.stdout).unwrap();
    let (head, rows) = answer.split_once('\n').unwrap();
    let mut rows: Vec<&str> = rows.lines().collect();
    assert!(!rows.is_empty(), "{table} is empty");
    rows.sort_unstable();
    format!("{table}: {head}\n{}\n", rows.join("\n"))
}

impl Running {
    /// Whether it continues.
    pub(super) fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub(super) fn end(mut self) -> Ended {
        let status = eventually("the end of the run", || self.child.try_wait().unwrap());
        let read = |name: &str| fs::read_to_string(self.reported.path().join(name)).unwrap();
        let (out, reported) = (read("out"), read("err"));
        let document = serde_json::from_str(&out).unwrap_or(Value::Null);
        Ended { succeeded: status.success(), document, reported: format!("{out}\n{reported}") }
    }

    /// Waits until it has succeeded.
    #[track_caller]
    pub(super) fn succeeds(self) {
        let ended = self.end();
        assert!(ended.succeeded, "{}", ended.reported);
        assert_eq!(ended.document["run"]["status"], "succeeded", "{}", ended.reported);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of fixtures.
pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}
