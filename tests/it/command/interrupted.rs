//! Processes killed while they run a pipeline, and others that use the same home: what the next run finds.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::binary;

/// A query that takes minutes.
const SLOW: &str = "SELECT sum(a.n * b.n % 7) AS s FROM kept AS a CROSS JOIN kept AS b CROSS JOIN kept AS c";
pub(super) const QUICK: &str = "SELECT count(*) AS s FROM kept";

pub(super) struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    pub(super) fn new() -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap() };
        lab.project("killed");
        lab
    }

    /// A project: `added` adds a row in every run, as does its reader `reader`; `stamped` changes in every run; `slow`
    /// keeps the run from ending.
    pub(super) fn project(&self, name: &str) -> PathBuf {
        let project = self.dir.path().join(name);
        let write = |file: &str, text: &str| {
            let file = project.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let sources = "sources: { rows: { kind: rows, columns: { n: long }, rows: [[1], [2], [3]] } }";
        write("windlass.yaml", &format!("name: {name}\n{sources}\nrun: {{ max_parallel_stages: 3 }}\n"));
        write("stages/added.sql", "/* windlass\nio: { mode: append }\n*/\nSELECT sum(n) AS s FROM rows");
        write("stages/reader.sql", "/* windlass\nio: { mode: append }\n*/\nSELECT count(*) AS n FROM added");
        write("stages/stamped.sql", "SELECT now() AS at, count(*) AS n FROM rows");
        let kept = "/* windlass\nmaterialize: cache\n*/\nSELECT unnest(range(0, 20000)) AS n FROM rows";
        write("stages/kept.sql", kept);
        write("stages/slow.sql", SLOW);
        project
    }

    pub(super) fn slow(&self, name: &str, sql: &str) {
        fs::write(self.dir.path().join(name).join("stages/slow.sql"), sql).unwrap();
    }

    /// The command on a project, all of which share one home.
    pub(super) fn windlass(&self, name: &str) -> Command {
        let mut command = Command::new(binary());
        command.arg("--project").arg(self.dir.path().join(name)).arg("--home").arg(self.home());
        command.env_remove("WINDLASS_HOME").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Starts a run and waits until `stages` have committed and the slow one has begun.
    pub(super) fn start(&self, name: &str, stages: &[&str]) -> Child {
        let mut events: Vec<(&str, Option<&str>)> =
            stages.iter().map(|stage| ("stage_committed", Some(*stage))).collect();
        events.push(("stage_started", Some("slow")));
        self.start_as(name, &["run"], &events)
    }

    /// Starts a command that prints events, and waits until it has printed `events`, each with the stage that it is about.
    #[expect(clippy::zombie_processes, reason = "the caller gets the process, or the test ends")]
    pub(super) fn start_as(&self, name: &str, args: &[&str], events: &[(&str, Option<&str>)]) -> Child {
        let mut child = self.windlass(name).args(args).arg("--events").stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut missing = events.to_vec();
        for line in lines {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            missing.retain(|(kind, stage)| event["event"] != *kind || event["stage"].as_str() != *stage);
            if missing.is_empty() {
                return child;
            }
        }
        panic!("the run ended before {missing:?}");
    }

    pub(super) fn run(&self, name: &str) {
        let output = self.windlass(name).arg("run").output().unwrap();
        assert!(output.status.success(), "{}", output_text(&output));
    }

    pub(super) fn json(&self, name: &str, args: &[&str]) -> Value {
        let output = self.windlass(name).args(args).args(["--output", "json"]).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", output_text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(super) fn count(&self, name: &str, table: &str) -> u64 {
        let answer = self.json(name, &["query", &format!("SELECT count(*) AS n FROM {table}")]);
        answer[0]["n"].as_u64().unwrap()
    }

    /// A part of the bundle of a run.
    pub(super) fn bundle(&self, run: &str, part: &str) -> Value {
        json_file(&self.home().join("runs").join(run).join(part))
    }

    pub(super) fn caches(&self) -> usize {
        fs::read_dir(self.home().join("cache")).map_or(0, Iterator::count)
    }
}

pub(super) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn output_text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json_file(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn a_killed_run_is_continued_and_adds_its_rows_once() {
    let lab = Lab::new();
    let name = "killed";
    let rows = || (lab.count(name, "added"), lab.count(name, "reader"));
    kill(lab.start(name, &["added", "reader", "stamped"]));
    assert_eq!((rows(), lab.caches()), ((1, 1), 1));
    // Killed again, with only the slow stage left to do.
    kill(lab.start(name, &["added", "reader", "stamped"]));
    assert_eq!((rows(), lab.caches()), ((1, 1), 1), "only what the last run keeps is left");

    lab.slow(name, QUICK);
    let plan = lab.json(name, &["plan"]);
    let decision = |stage: &str| {
        let all = plan["stages"].as_array().unwrap();
        all.iter().find(|planned| planned["stage"] == stage).unwrap().clone()
    };
    assert_eq!(decision("added")["decision"], "reuse");
    assert!(decision("added")["reason"].as_str().unwrap().contains("interrupted"), "{}", decision("added"));
    let stamp = lab.json(name, &["query", "SELECT at FROM stamped"]);
    lab.run(name);
    assert_eq!((rows(), lab.caches()), ((1, 1), 0));
    assert_eq!(lab.json(name, &["query", "SELECT at FROM stamped"]), stamp, "it was the same run that went on");
    // That run has ended: the next one is a new run, and so is the one after it.
    lab.run(name);
    assert_eq!(rows(), (2, 2));
    assert_ne!(lab.json(name, &["query", "SELECT at FROM stamped"]), stamp);
    lab.run(name);
    assert_eq!(rows(), (3, 3));

    // With another definition, or other rows to add, it is a new run as well.
    lab.slow(name, SLOW);
    kill(lab.start(name, &["added", "reader", "stamped"]));
    assert_eq!(rows(), (4, 4));
    let more = lab.dir.path().join("killed/stages/added.sql");
    fs::write(more, "/* windlass\nio: { mode: append }\n*/\nSELECT max(n) AS s FROM rows").unwrap();
    lab.slow(name, QUICK);
    lab.run(name);
    assert_eq!(rows(), (5, 5));
}

#[test]
fn one_process_at_a_time_writes_to_a_home_and_a_killed_one_does_not_block() {
    let lab = Lab::new();
    lab.project("other");
    lab.slow("other", QUICK);
    let holder = lab.start("killed", &["added"]);
    let refused = lab.windlass("other").arg("run").output().unwrap();
    let text = output_text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("WL0615") && text.contains(&format!("process {}", holder.id())), "{text}");
    assert!(!lab.home().join("tables/slow").exists() || !text.contains("committed"), "{text}");
    let refused = lab.windlass("other").args(["cursors", "reset", "added", "--yes"]).output().unwrap();
    assert!(output_text(&refused).contains("WL0615"), "{}", output_text(&refused));
    // Readers need not wait.
    assert_eq!(lab.count("killed", "added"), 1);
    lab.json("other", &["plan"]);
    lab.json("other", &["tables"]);
    assert_eq!(lab.json("killed", &["runs", "list"])[0]["status"], "running");

    kill(holder);
    lab.run("other");
    assert_eq!(lab.caches(), 0, "what the killed run kept is gone");
    let record = fs::read_dir(lab.home().join("runs")).unwrap().map(|run| run.unwrap().path().join("run.json"));
    let statuses: Vec<Value> = record.map(|file| json_file(&file)["status"].clone()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == "succeeded").count(), 1, "{statuses:?}");
}
