//! Commands that end at a failpoint, each in a copy of a project.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use futures::StreamExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use windlass_base::failpoint::{LOG_VARIABLE, VARIABLE};

use crate::command::binary;

/// The signal that a process ends with at a point: SIGABRT.
const ABORTED: i32 = 6;

/// Both points of each step.
pub(crate) fn points(lists: &[&[&str]]) -> Vec<String> {
    let steps = lists.iter().flat_map(|steps| steps.iter());
    steps.flat_map(|step| [format!("{step}.before"), format!("{step}.after")]).collect()
}

/// Checks cases side by side, as many as the machine has processors.
pub(crate) async fn each<C, F>(cases: impl IntoIterator<Item = C>, check: impl Fn(C) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let side_by_side = std::thread::available_parallelism().map_or(2, usize::from);
    let mut ended = futures::stream::iter(cases).map(|case| tokio::spawn(check(case))).buffer_unordered(side_by_side);
    while let Some(ended) = ended.next().await {
        ended.unwrap();
    }
}

/// Makes copies of a project with its home, which no process uses.
pub(crate) struct Copies {
    template: PathBuf,
    dir: TempDir,
}

impl Copies {
    pub(crate) fn of(template: &Path) -> Self {
        Self { template: template.to_owned(), dir: tempfile::tempdir().unwrap() }
    }

    /// A copy for the case of that name.
    pub(crate) fn make(&self, name: &str) -> Case {
        let project = self.dir.path().join(name.replace('*', "-"));
        copy(&self.template, &project, (self.template.to_str().unwrap(), project.to_str().unwrap()));
        Case::at(project)
    }
}

/// Copies a folder. What a home says of places in the folder is said of the copy, except in logs of tables.
fn copy(from: &Path, to: &Path, places: (&str, &str)) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, places);
            continue;
        }
        fs::copy(entry.path(), &target).unwrap();
        if target.extension().is_some_and(|extension| extension == "json") && !from.ends_with("_delta_log") {
            let text = fs::read_to_string(&target).unwrap();
            fs::write(&target, text.replace(places.0, places.1)).unwrap();
        }
    }
}

/// A project that is a case's own.
pub(crate) struct Case {
    pub(crate) project: PathBuf,
    log: PathBuf,
}

impl Case {
    pub(crate) fn at(project: PathBuf) -> Self {
        let mut log = project.clone().into_os_string();
        log.push(".log");
        Self { project, log: log.into() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--project").arg(&self.project).args(args).stdin(Stdio::null());
        for variable in ["WINDLASS_HOME", "WINDLASS_CLUSTER", VARIABLE, LOG_VARIABLE] {
            command.env_remove(variable);
        }
        // The machine goes on when the process ends.
        command.env("WINDLASS_SYNC", "off");
        command
    }

    /// What has become of a command.
    pub(crate) async fn outcome(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// A command that succeeds.
    pub(crate) async fn succeed(&self, args: &[&str]) -> Output {
        let output = self.outcome(args).await;
        assert!(output.status.success(), "{}: {args:?}: {}", self.project.display(), text(&output));
        output
    }

    /// The document that a command prints.
    pub(crate) async fn document(&self, args: &[&str]) -> Value {
        let output = self.succeed(&[args, &["--output", "json"]].concat()).await;
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A command that comes to `point`, and ends there.
    pub(crate) async fn dies_at(&self, point: &str, args: &[&str]) {
        let mut command = self.command(args);
        let output = command.env(VARIABLE, point).env(LOG_VARIABLE, &self.log).output().await.unwrap();
        let said = text(&output);
        assert_eq!(output.status.signal(), Some(ABORTED), "{point}: {args:?} did not end there: {said}");
        let name = point.split('*').next().unwrap_or(point);
        assert_eq!(fs::read_to_string(&self.log).unwrap(), format!("failpoint {name}\n"), "{point}: {said}");
        fs::remove_file(&self.log).unwrap();
    }
}

/// What a command has printed.
pub(crate) fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
