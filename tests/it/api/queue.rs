//! A scheduler that gets more runs than it may drive: they wait, in order, or are refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use windlass_base::error::Coded;
use windlass_client::{ConnectOptions, Project, RunHandle, RunOptions, Windlass};
use windlass_evidence::artifact::{RunRecord, RunStatus};
use windlass_project::spec::RenderStyle;

use super::support::{Lab, Limits, SLOW, TOTALS, impatient, shop};

/// A pipeline with a stage that is done in no time.
fn tiny(dir: &Path, name: &str) -> Project {
    fs::create_dir_all(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), format!("name: {name}\n")).unwrap();
    fs::write(dir.join("stages/one.sql"), "SELECT 1 AS one").unwrap();
    Project::open(dir, None, &[]).unwrap()
}

/// As [`shop`], with another name.
fn named(dir: &Path, name: &str, stages: &[(&str, &str)]) -> Project {
    shop(dir, stages);
    let path = dir.join("windlass.yaml");
    let text = fs::read_to_string(&path).unwrap().replace("name: shop", &format!("name: {name}"));
    fs::write(&path, text).unwrap();
    Project::open(dir, None, &[]).unwrap()
}

/// A scheduler, and a run of `shop` on it that goes on until it is cancelled.
struct Busy {
    lab: Lab,
    windlass: Windlass,
    dir: tempfile::TempDir,
    active: RunHandle,
}

impl Busy {
    async fn with(limits: Limits) -> Self {
        let lab = Lab::start(limits).await;
        lab.land_orders();
        let dir = tempfile::tempdir().unwrap();
        let windlass = lab.connect().await;
        let slow = shop(&dir.path().join("slow"), &SLOW);
        let active = windlass.run(&slow, &RunOptions::default()).await.unwrap();
        assert_eq!(*active.queued.borrow(), None);
        Self { lab, windlass, dir, active }
    }

    /// Another pipeline than `shop`.
    fn other(&self, name: &str) -> Project {
        tiny(&self.dir.path().join(name), name)
    }

    /// The pipeline of the active run, with stages that end soon.
    fn same(&self) -> Project {
        shop(&self.dir.path().join("same"), &TOTALS)
    }

    async fn submit(&self, project: &Project, priority: i32) -> RunHandle {
        self.windlass.run(project, &RunOptions { priority, ..RunOptions::default() }).await.unwrap()
    }

    async fn cancel(&self, handle: &RunHandle) {
        assert_eq!(self.windlass.cancel(&handle.run_id).await.unwrap(), "cancelled");
    }

    /// Nothing is kept of runs that have ended.
    async fn stop(self) {
        assert_eq!((self.lab.server.active_runs(), self.lab.server.queued_runs()), (0, 0));
        let kept = self.lab.left_behind().into_iter().filter(|path| path.contains(".submissions"));
        assert_eq!(kept.collect::<Vec<_>>(), Vec::<String>::new());
        self.lab.server.stop().await;
    }
}

/// The record of a run that succeeds.
async fn succeeded(handle: RunHandle) -> RunRecord {
    let record = handle.wait().await.unwrap();
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
    record
}

fn assert_one_after_another(records: &[RunRecord]) {
    for pair in records.windows(2) {
        let (before, after) = (pair[0].ended_at.unwrap(), pair[1].started_at);
        assert!(before <= after, "{} has begun before {} ended", pair[1].pipeline, pair[0].pipeline);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_pipeline_follow_each_other() {
    let busy = Busy::with(Limits::default()).await;
    let project = busy.same();
    let second = busy.submit(&project, 0).await;
    let third = busy.submit(&project, 0).await;
    assert_eq!((*second.queued.borrow(), *third.queued.borrow()), (Some(1), Some(2)));
    assert_eq!((busy.lab.server.active_runs(), busy.lab.server.queued_runs()), (1, 2));
    let runs = busy.windlass.runs(&project).await.unwrap();
    let listed: Vec<_> = runs.queued.iter().map(|run| (run.run_id.clone(), run.position)).collect();
    assert_eq!(listed, [(third.run_id.clone(), 2), (second.run_id.clone(), 1)]);
    assert_eq!(runs.bundles.run_ids().await.unwrap(), std::slice::from_ref(&busy.active.run_id));
    // Another pipeline does not wait for them.
    succeeded(busy.submit(&busy.other("other"), 0).await).await;

    busy.cancel(&busy.active).await;
    let records = [succeeded(second).await, succeeded(third).await];
    assert_one_after_another(&records);
    assert!(records[0].sequence < records[1].sequence);
    assert!(busy.windlass.runs(&project).await.unwrap().queued.is_empty());
    busy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_priority_starts_earlier() {
    let busy = Busy::with(Limits { runs: 1, ..Limits::default() }).await;
    let mut first = busy.submit(&busy.other("first"), 0).await;
    let second = busy.submit(&busy.other("second"), 0).await;
    assert_eq!((*first.queued.borrow(), *second.queued.borrow()), (Some(1), Some(2)));
    let urgent = busy.submit(&busy.other("urgent"), 5).await;
    assert_eq!(*urgent.queued.borrow(), Some(1));
    // Whoever watches is told.
    let told = first.queued.wait_for(|position| *position == Some(2));
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap().unwrap();
    busy.cancel(&busy.active).await;
    assert_one_after_another(&[succeeded(urgent).await, succeeded(first).await, succeeded(second).await]);
    busy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_run_is_cancelled_before_it_begins() {
    let busy = Busy::with(Limits { runs: 1, ..Limits::default() }).await;
    let project = busy.other("other");
    let first = busy.submit(&project, 0).await;
    let second = busy.submit(&project, 0).await;
    busy.cancel(&first).await;
    let error = first.wait().await.unwrap_err();
    assert_eq!((error.code().0, error.is_retryable()), ("WL0812", false), "{error}");
    let queued = busy.windlass.runs(&project).await.unwrap().queued;
    assert_eq!(queued.iter().map(|run| (&run.run_id, run.position)).collect::<Vec<_>>(), [(&second.run_id, 1)]);
    // As Ctrl-C does it.
    second.cancel_token().cancel();
    assert_eq!(second.wait().await.unwrap_err().code().0, "WL0812");
    busy.cancel(&busy.active).await;
    assert!(busy.windlass.runs(&project).await.unwrap().bundles.run_ids().await.unwrap().is_empty());
    busy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_runs_until_there_is_room() {
    let busy = Busy::with(Limits { runs: 2, queued: 2, queued_per_pipeline: 1, ..Limits::default() }).await;
    let options = ConnectOptions { away: Duration::from_millis(300), ..impatient() };
    let hasty = Windlass::connect_with(&busy.lab.url, options).await.unwrap();
    let same = busy.same();
    let waiting = busy.submit(&same, 0).await;
    let refused = hasty.run(&same, &RunOptions::default()).await.unwrap_err();
    assert_eq!((refused.code().0, refused.is_retryable()), ("WL0811", true), "{refused}");
    let at_once = RunOptions { no_wait: true, ..RunOptions::default() };
    let refused = hasty.run(&same, &at_once).await.unwrap_err();
    assert_eq!(refused.code().0, "WL0606", "{refused}");

    let second = named(&busy.dir.path().join("second"), "second", &SLOW);
    let active = busy.submit(&second, 0).await;
    let queued = busy.submit(&busy.other("queued"), 0).await;
    let refused = hasty.run(&busy.other("more"), &RunOptions::default()).await.unwrap_err();
    assert_eq!((refused.code().0, refused.is_retryable()), ("WL0810", true), "{refused}");
    assert_eq!(hasty.run(&busy.other("more"), &at_once).await.unwrap_err().code().0, "WL0807");
    assert_eq!(busy.lab.server.queued_runs(), 2);

    // A client with more patience gets in when one leaves.
    let more = busy.other("more");
    let (accepted, ()) = tokio::join!(busy.submit(&more, 0), busy.cancel(&queued));
    busy.cancel(&active).await;
    busy.cancel(&busy.active).await;
    succeeded(accepted).await;
    succeeded(waiting).await;
    busy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_project_is_refused_before_it_waits_and_a_stage_that_cannot_be_planned_when_its_run_starts() {
    let busy = Busy::with(Limits { runs: 1, ..Limits::default() }).await;
    let params = vec![("least".to_owned(), "many".to_owned())];
    let wrong = RunOptions { params, ..RunOptions::default() };
    assert!(busy.windlass.run(&busy.same(), &wrong).await.is_err());
    assert_eq!(busy.lab.server.queued_runs(), 0);
    let bad = named(&busy.dir.path().join("bad"), "bad", &[("bad", "SELECT customr\nFROM orders")]);
    let queued = busy.submit(&bad, 0).await;
    busy.cancel(&busy.active).await;
    let error = queued.wait().await.unwrap_err();
    let shown = error.problems().unwrap().render(RenderStyle::default());
    assert!(shown.contains("stages/bad.sql:1") && shown.contains("SELECT customr"), "{shown}");
    busy.stop().await;
}

/// What the command says to `args` about the pipeline in `dir`.
async fn command(busy: &Busy, dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(crate::command::binary());
    command.arg("--cluster").arg(&busy.lab.url).arg("--project").arg(dir).args(args).env_remove("WINDLASS_HOME");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_the_queue_and_cancels_what_is_in_it() {
    let busy = Busy::with(Limits { runs: 1, ..Limits::default() }).await;
    let queued = busy.submit(&busy.other("other"), 0).await;
    let dir = busy.dir.path().join("other");
    let said = async |args: &[&str]| {
        let output = command(&busy, &dir, args).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = said(&["runs", "list"]).await;
    assert!(listed.contains(" queued ") && listed.contains("starts next"), "{listed}");
    let listed: Value = serde_json::from_str(&said(&["runs", "list", "--output", "json"]).await).unwrap();
    assert_eq!(listed, json!([{ "run_id": queued.run_id, "status": "queued", "position": 1, "target": null }]));
    let refused = command(&busy, &dir, &["run", "--no-wait"]).await;
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("WL0807"), "{text}");
    assert_eq!(said(&["runs", "cancel", queued.run_id.as_str()]).await, format!("run {} cancelled\n", queued.run_id));
    assert_eq!(queued.wait().await.unwrap_err().code().0, "WL0812");
    busy.cancel(&busy.active).await;
    busy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_queued_runs_all_end() {
    let busy = Busy::with(Limits { runs: 4, ..Limits::default() }).await;
    let projects: Vec<Project> = ["a", "b", "c", "d"].map(|name| busy.other(name)).into();
    let mut handles = Vec::new();
    for number in 0..200 {
        handles.push(busy.submit(&projects[number % 4], 0).await);
    }
    busy.cancel(&busy.active).await;
    let mut last = [0; 4];
    for (number, handle) in handles.into_iter().enumerate() {
        let record = succeeded(handle).await;
        assert!(record.sequence.0 > last[number % 4], "run {number} came too early");
        last[number % 4] = record.sequence.0;
    }
    busy.stop().await;
}
